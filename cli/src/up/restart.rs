//! When to start again what ended unexpectedly.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A child that ran this long was healthy: its next end counts as the first.
const HEALTHY: Duration = Duration::from_secs(60);

/// Counts the unexpected ends of one child in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait now that it ended after `ran_for`: 0.5 s, then twice as long each time, up to 30 s.
    pub(crate) fn after(self, ran_for: Duration) -> (Self, Duration) {
        let failures = if ran_for >= HEALTHY { 0 } else { self.failures };
        let delay = FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST);
        (Self { failures: failures.saturating_add(1) }, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_forgets_after_a_healthy_run() {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        for _ in 0..8 {
            let (next, delay) = backoff.after(Duration::ZERO);
            backoff = next;
            delays.push(delay.as_secs_f64());
        }
        assert_eq!(delays, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(backoff.after(HEALTHY).1, FIRST);
        assert_eq!(Backoff { failures: u32::MAX }.after(Duration::ZERO).1, LONGEST);
    }
}
