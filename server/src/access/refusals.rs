//! Refusals on their way into the audit: stored a moment later, so that who is refused costs the database little.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::store::audit::Entry;

/// Refusals that wait to be stored. What is more is counted.
const WAITING_MAX: usize = 1000;
/// How often the count is stored.
const COUNT_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Refusals {
    sender: Sender<Entry>,
    waiting: tokio::sync::Mutex<Receiver<Entry>>,
    left_out: AtomicU64,
    counted_at: Mutex<Option<Instant>>,
}

impl Default for Refusals {
    fn default() -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        Self { sender, waiting: tokio::sync::Mutex::new(waiting), left_out: 0.into(), counted_at: Mutex::default() }
    }
}

impl Refusals {
    pub(super) fn add(&self, entry: Entry) {
        if self.sender.try_send(entry).is_err() {
            self.leave_out();
        }
    }

    /// Counts one that is not stored.
    pub(super) fn leave_out(&self) {
        self.left_out.fetch_add(1, Relaxed);
    }

    /// What waits, with a line for those that were too many.
    pub(super) async fn take(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut waiting = self.waiting.lock().await;
        while let Ok(entry) = waiting.try_recv() {
            entries.push(entry);
        }
        let mut counted_at = self.counted_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY);
        let left_out = if is_due { self.left_out.swap(0, Relaxed) } else { 0 };
        if left_out > 0 {
            *counted_at = Some(Instant::now());
            let outcome = format!("{left_out} more refusals came in a row and are not told one by one");
            entries.push(Entry { who: "nobody".to_owned(), outcome, ..Entry::default() });
        }
        entries
    }
}
