//! Whether this process makes progress. Work counts its units here, and a watchdog (in a rank:
//! `worker/src/rank/watchdog.rs`) reads the count from time to time.
//!
//! A unit of work is timed by the watchdog's clock, which the watchdog advances whenever it reads: while a signal stops
//! the process, it stops its watchdog too, and that must not look like slow work. Waiting for other ranks is not a unit
//! of work. Without a watchdog all this costs an addition for each unit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a watchdog reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Grows with every unit of work and every wait that ended.
    pub count: u64,
    /// The slowest unit of work since [`Progress::measure`]; `None` before the first.
    pub slowest: Option<Duration>,
}

/// The progress of one process, shared by its threads.
#[derive(Debug)]
pub struct Progress {
    count: AtomicU64,
    /// The watchdog's clock, and its time at the end of the last unit of work or wait.
    now_ms: AtomicU64,
    last_ms: AtomicU64,
    /// One more than the time of the slowest unit of work; 0 before the first.
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

    /// Counts a unit of work as done.
    pub fn work_done(&self) {
        let now = self.now_ms.load(Relaxed);
        let took = now.saturating_sub(self.last_ms.swap(now, Relaxed));
        if self.measures.load(Relaxed) {
            self.slowest_ms.fetch_max(took + 1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
    }

    /// Counts the end of a wait for a peer or a disk: progress, but not a measure of this rank's own work.
    pub fn wait_done(&self) {
        self.last_ms.store(self.now_ms.load(Relaxed), Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// Begins to time units of work, which are alike from here on: loading is over.
    pub fn measure(&self) {
        self.wait_done();
        self.measures.store(true, Relaxed);
    }

    /// Called by the watchdog: advances its clock by the time in which this process ran.
    pub fn advance(&self, time: Duration) {
        self.now_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    pub fn read(&self) -> Reading {
        let slowest = self.slowest_ms.load(Relaxed).checked_sub(1).map(Duration::from_millis);
        Reading { count: self.count.load(Relaxed), slowest }
    }
}

static PROCESS: Progress = Progress::new();

/// The progress of this process.
pub fn process() -> &'static Progress {
    &PROCESS
}

// Of this process.
pub(crate) fn work_done() {
    PROCESS.work_done();
}

pub(crate) fn wait_done() {
    PROCESS.wait_done();
}

pub(crate) fn measure() {
    PROCESS.measure();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_slowest_unit_counts_from_the_first_step_on() {
        let progress = Progress::new();
        progress.advance(60 * SECOND);
        progress.work_done();
        assert_eq!(progress.read(), Reading { count: 1, slowest: None }, "loading");
        progress.advance(SECOND);
        progress.measure();
        assert_eq!(progress.read().slowest, None);
        for seconds in [1, 3, 2] {
            progress.advance(seconds * SECOND);
            progress.work_done();
        }
        assert_eq!(progress.read(), Reading { count: 5, slowest: Some(3 * SECOND) });
    }

    #[test]
    fn waiting_for_others_is_progress_but_no_slow_unit() {
        let progress = Progress::new();
        progress.measure();
        progress.work_done();
        progress.advance(30 * SECOND);
        let before = progress.read().count;
        progress.wait_done();
        progress.work_done();
        assert_eq!(progress.read(), Reading { count: before + 2, slowest: Some(Duration::ZERO) });
    }
}
