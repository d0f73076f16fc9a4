//! For how long there has been no coordinator, and whether that is too long for a rank to go on. Pure.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Away {
    grace: Duration,
    /// `None` while there is a stream.
    since: Option<Instant>,
}

impl Away {
    pub(crate) fn new(now: Instant, grace: Duration) -> Self {
        Self { grace, since: Some(now) }
    }

    /// There is a stream.
    pub(crate) fn back(&mut self) {
        self.since = None;
    }

    /// There is none. The second failure to get one is the same absence.
    pub(crate) fn gone(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Why a rank must stop, once it must.
    pub(crate) fn too_long(&self, now: Instant) -> Option<String> {
        self.too_long_at().filter(|at| now >= *at)?;
        let grace = humantime::format_duration(self.grace);
        Some(format!("no coordinator could be reached for {grace} (--away-grace)"))
    }

    pub(crate) fn too_long_at(&self) -> Option<Instant> {
        self.since.and_then(|since| since.checked_add(self.grace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_absence_counts_from_its_first_moment_and_a_stream_ends_it() {
        let start = Instant::now();
        let mut away = Away::new(start, 90 * SECOND);
        away.back();
        assert_eq!(away.too_long(start + 1000 * SECOND), None);
        away.gone(start + 1000 * SECOND);
        away.gone(start + 1060 * SECOND);
        assert_eq!(away.too_long_at(), Some(start + 1090 * SECOND));
        assert_eq!(away.too_long(start + 1090 * SECOND - Duration::from_millis(1)), None);
        let reason = away.too_long(start + 1090 * SECOND).unwrap();
        assert_eq!(reason, "no coordinator could be reached for 1m 30s (--away-grace)");
        away.back();
        away.gone(start + 1091 * SECOND);
        assert_eq!(away.too_long(start + 1091 * SECOND), None);
    }

    #[test]
    fn a_grace_without_end_never_ends() {
        let start = Instant::now();
        assert_eq!(Away::new(start, Duration::MAX).too_long(start + SECOND), None);
    }
}
