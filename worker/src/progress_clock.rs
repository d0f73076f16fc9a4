//! The progress clock of one rank: how long ago it last did a unit of work. Pure.
//!
//! A rank measures its own units of work and ends itself if one hangs (`rank::watchdog`). This clock is for a rank that
//! cannot end itself, because a signal stopped it or it waits in the kernel. `domain::timing` derives the limits from the
//! slowest unit of work.

use std::time::{Duration, Instant};

use tandem_domain::timing::{Progress, STOP_GRACE};

/// A rank that is asked to stop gets the time of this many of its slowest units of work: a step, an evaluation, ...
const STOP_UNITS: u32 = 4;

#[derive(Debug)]
pub(crate) struct ProgressClock {
    limits: Progress,
    /// When the rank last did something.
    last_at: Instant,
    /// Its slowest unit of work so far; `None` before the first.
    slowest: Option<Duration>,
}

impl ProgressClock {
    pub(crate) fn new(now: Instant, limits: Progress) -> Self {
        Self { limits, last_at: now, slowest: None }
    }

    /// The rank did something.
    pub(crate) fn worked(&mut self, now: Instant) {
        self.last_at = now;
    }

    /// The rank works; `slowest` is the time of its slowest unit of work so far, zero before the first.
    pub(crate) fn keep_alive(&mut self, now: Instant, slowest: Duration) {
        self.worked(now);
        self.slowest = self.slowest.max(Some(slowest).filter(|slowest| !slowest.is_zero()));
    }

    /// The worker did not run for `by`, and does not know what the rank did meanwhile: that time does not count.
    pub(crate) fn shift(&mut self, by: Duration) {
        self.last_at += by;
    }

    pub(crate) fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_at)
    }

    pub(crate) fn slowest(&self) -> Option<Duration> {
        self.slowest
    }

    /// Why the rank must be ended, once it must.
    pub(crate) fn stuck(&self, now: Instant) -> Option<String> {
        if now < self.stuck_at() {
            return None;
        }
        let slowest = match self.slowest {
            Some(slowest) => format!("its slowest unit of work so far took {:.1} s", slowest.as_secs_f64()),
            None => "it had not done its first unit of work".to_owned(),
        };
        Some(format!(
            "the rank made no progress for {:.0} s ({slowest}) and did not end itself: stopped by a signal, or stuck in \
             the kernel?",
            self.idle(now).as_secs_f64()
        ))
    }

    pub(crate) fn stuck_at(&self) -> Instant {
        self.last_at + self.limits.scaled(self.slowest).self_end
    }

    /// Between SIGTERM and SIGKILL.
    pub(crate) fn stop_grace(&self) -> Duration {
        STOP_GRACE.max(self.slowest.unwrap_or_default() * STOP_UNITS)
    }
}

#[cfg(test)]
mod tests {
    use tandem_domain::timing::{DEFAULT, Timing};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock(timing: Timing) -> (Instant, ProgressClock) {
        let start = Instant::now();
        (start, ProgressClock::new(start, timing.progress))
    }

    #[test]
    fn a_rank_without_progress_is_stuck_and_the_cause_says_for_how_long() {
        let (start, mut clock) = clock(DEFAULT);
        clock.keep_alive(start, Duration::from_millis(200));
        assert_eq!(clock.stuck(start + 50 * SECOND - Duration::from_millis(1)), None);
        let cause = clock.stuck(start + 52 * SECOND).unwrap();
        assert_eq!(
            cause,
            "the rank made no progress for 52 s (its slowest unit of work so far took 0.2 s) and did not end itself: \
             stopped by a signal, or stuck in the kernel?"
        );
        clock.worked(start + 52 * SECOND);
        assert_eq!(clock.stuck(start + 60 * SECOND), None);
        assert_eq!(clock.idle(start + 60 * SECOND), 8 * SECOND);
    }

    #[test]
    fn slow_work_and_loading_are_given_their_time() {
        let (start, mut clock) = clock(DEFAULT);
        assert_eq!(clock.stuck_at(), start + DEFAULT.progress.scaled(None).self_end);
        let cause = clock.stuck(start + 3600 * SECOND).unwrap();
        assert!(cause.contains("had not done its first unit of work"), "{cause}");
        // It still loads, and says so.
        clock.keep_alive(start, Duration::ZERO);
        assert_eq!((clock.slowest(), clock.stuck_at()), (None, start + DEFAULT.progress.scaled(None).self_end));
        clock.keep_alive(start, 60 * SECOND);
        // A faster unit of work changes nothing: the next may be slow again.
        clock.keep_alive(start, SECOND);
        assert_eq!(clock.stuck_at(), start + DEFAULT.progress.scaled(Some(60 * SECOND)).self_end);
        assert_eq!(clock.stop_grace(), 240 * SECOND);
    }

    #[test]
    fn the_stop_grace_has_a_lower_bound() {
        let (start, mut clock) = clock(DEFAULT);
        assert_eq!(clock.stop_grace(), STOP_GRACE);
        clock.keep_alive(start, SECOND);
        assert_eq!(clock.stop_grace(), STOP_GRACE);
    }

    #[test]
    fn time_in_which_the_worker_was_frozen_does_not_count() {
        let (start, mut clock) = clock(DEFAULT);
        clock.keep_alive(start, SECOND);
        clock.shift(60 * SECOND);
        assert_eq!(clock.stuck(start + 109 * SECOND), None);
        assert!(clock.stuck(start + 110 * SECOND).is_some());
        // Never negative, even before the shifted start.
        assert_eq!(clock.idle(start), Duration::ZERO);
    }
}
