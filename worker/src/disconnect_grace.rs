//! How long no coordinator could be reached, and whether that is too long for a rank to go on. Pure.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct DisconnectGrace {
    grace: Duration,
    /// `None` while there is a stream.
    since: Option<Instant>,
}

impl DisconnectGrace {
    pub(crate) fn new(now: Instant, grace: Duration) -> Self {
        Self { grace, since: Some(now) }
    }

    /// A stream is up.
    pub(crate) fn connected(&mut self) {
        self.since = None;
    }

    /// No stream is up. Further failures to connect belong to the same absence.
    pub(crate) fn disconnected(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Why the rank must stop, once the grace is over.
    pub(crate) fn expired(&self, now: Instant) -> Option<String> {
        self.expires_at().filter(|at| now >= *at)?;
        let grace = humantime::format_duration(self.grace);
        Some(format!("no coordinator could be reached for {grace} (--away-grace)"))
    }

    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.since.and_then(|since| since.checked_add(self.grace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_grace_counts_from_the_loss_of_the_stream_and_a_new_one_ends_it() {
        let start = Instant::now();
        let mut grace = DisconnectGrace::new(start, 90 * SECOND);
        grace.connected();
        assert_eq!(grace.expired(start + 1000 * SECOND), None);
        grace.disconnected(start + 1000 * SECOND);
        grace.disconnected(start + 1060 * SECOND);
        assert_eq!(grace.expires_at(), Some(start + 1090 * SECOND));
        assert_eq!(grace.expired(start + 1090 * SECOND - Duration::from_millis(1)), None);
        let reason = grace.expired(start + 1090 * SECOND).unwrap();
        assert_eq!(reason, "no coordinator could be reached for 1m 30s (--away-grace)");
        grace.connected();
        grace.disconnected(start + 1091 * SECOND);
        assert_eq!(grace.expired(start + 1091 * SECOND), None);
    }

    #[test]
    fn a_grace_without_end_never_ends() {
        let start = Instant::now();
        assert_eq!(DisconnectGrace::new(start, Duration::MAX).expired(start + SECOND), None);
    }
}
