//! Refusals on their way into the audit: stored a moment later, so that who is refused costs the database little.

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::store::audit::Entry;

/// Refusals that wait to be stored. What is more is counted.
const WAITING_MAX: usize = 1000;

pub(super) struct Refusals {
    sender: Sender<Entry>,
    waiting: tokio::sync::Mutex<Receiver<Entry>>,
    left_out: std::sync::atomic::AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        Self { sender, waiting: tokio::sync::Mutex::new(waiting), left_out: 0.into() }
    }
}

impl Refusals {
    pub(super) fn add(&self, entry: Entry) {
        if self.sender.try_send(entry).is_err() {
            self.left_out.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// What waits, with a line for those that were too many.
    pub(super) async fn take(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut waiting = self.waiting.lock().await;
        while let Ok(entry) = waiting.try_recv() {
            entries.push(entry);
        }
        let left_out = self.left_out.swap(0, std::sync::atomic::Ordering::Relaxed);
        if left_out > 0 {
            let outcome = format!("{left_out} more refusals came faster than they could be stored");
            entries.push(Entry { who: "nobody".to_owned(), outcome, ..Entry::default() });
        }
        entries
    }
}
