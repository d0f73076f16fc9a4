//! How far a backup is, and whether it is to break off: what its parts share.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::interval;

pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the parts of a backup share.
#[derive(Clone)]
pub(crate) struct Work {
    pub(super) out: PathBuf,
    /// Bytes that went into the archive.
    pub(super) written: Arc<AtomicU64>,
    /// Files that were looked at.
    pub(super) looked: Arc<AtomicU64>,
    /// Whoever writes breaks off.
    pub(super) stop: Arc<AtomicBool>,
}

impl Work {
    pub(crate) fn new(out: PathBuf) -> Self {
        Self { out, written: Arc::default(), looked: Arc::default(), stop: Arc::default() }
    }

    /// Ends what waits for a disk, as soon as that answers.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(super) async fn stopped(&self) {
        let mut look = interval(LOOK_EVERY);
        while !self.stop.load(Relaxed) {
            look.tick().await;
        }
    }
}
