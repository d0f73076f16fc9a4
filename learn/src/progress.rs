//! Does this process get on? Work says so here, piece by piece, and a watcher (in a rank: `worker/src/rank/watchdog.rs`)
//! looks now and then.
//!
//! The time of a piece is measured by the watcher's clock, which it moves on at each look: a process that was stopped by
//! a signal, and its watcher with it, has not worked slowly. Waiting for other ranks is no piece of work either. Without a
//! watcher all this costs an addition for each pass.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a watcher reads of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressSample {
    /// Moves whenever something was done.
    pub count: u64,
    /// The slowest piece of work since [`measure`]; `None` before the first.
    pub slowest: Option<Duration>,
}

/// Threads of one process share one.
#[derive(Debug)]
pub struct Progress {
    count: AtomicU64,
    /// The watcher's clock, and what it showed when something was done last.
    now_ms: AtomicU64,
    last_ms: AtomicU64,
    /// One more than the slowest piece took; 0 before the first.
    slowest_ms: AtomicU64,
    measures: AtomicBool,
}

impl Progress {
    const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            now_ms: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            slowest_ms: AtomicU64::new(0),
            measures: AtomicBool::new(false),
        }
    }

    /// A piece of work is done.
    pub fn beat(&self) {
        let now = self.now_ms.load(Relaxed);
        let took = now.saturating_sub(self.last_ms.swap(now, Relaxed));
        if self.measures.load(Relaxed) {
            self.slowest_ms.fetch_max(took + 1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
    }

    /// A peer answered, or a disk did: that is progress, but says nothing of how long this rank's own work takes.
    pub fn waited(&self) {
        self.last_ms.store(self.now_ms.load(Relaxed), Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// From here on pieces are alike enough to be measured; loading is over.
    pub fn measure(&self) {
        self.waited();
        self.measures.store(true, Relaxed);
    }

    /// For the watcher: so much time has passed in which this process ran.
    pub fn pass(&self, time: Duration) {
        self.now_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    pub fn sample(&self) -> ProgressSample {
        let slowest = self.slowest_ms.load(Relaxed).checked_sub(1).map(Duration::from_millis);
        ProgressSample { count: self.count.load(Relaxed), slowest }
    }
}

static PROCESS: Progress = Progress::new();

/// That of this process.
pub fn process() -> &'static Progress {
    &PROCESS
}

/// See [`Progress::beat`].
pub(crate) fn beat() {
    PROCESS.beat();
}

/// See [`Progress::waited`].
pub(crate) fn waited() {
    PROCESS.waited();
}

/// See [`Progress::measure`].
pub(crate) fn measure() {
    PROCESS.measure();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_slowest_piece_counts_from_the_first_step_on() {
        let progress = Progress::new();
        progress.pass(60 * SECOND);
        progress.beat();
        assert_eq!(progress.sample(), ProgressSample { count: 1, slowest: None }, "loading");
        progress.pass(SECOND);
        progress.measure();
        assert_eq!(progress.sample().slowest, None);
        for seconds in [1, 3, 2] {
            progress.pass(seconds * SECOND);
            progress.beat();
        }
        assert_eq!(progress.sample(), ProgressSample { count: 5, slowest: Some(3 * SECOND) });
    }

    #[test]
    fn waiting_for_others_is_progress_but_no_slow_piece() {
        let progress = Progress::new();
        progress.measure();
        progress.beat();
        progress.pass(30 * SECOND);
        let before = progress.sample().count;
        progress.waited();
        progress.beat();
        assert_eq!(progress.sample(), ProgressSample { count: before + 2, slowest: Some(Duration::ZERO) });
    }
}
