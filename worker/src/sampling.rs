//! What the device is like, looked at every few seconds beside everything else: a driver may block for long on a faulty card, and
//! neither heartbeats nor a rank's reports wait for it. What is late is said, and the worker goes on.
//!
//! [`card`] asks NVML, [`xid`] waits for its errors, [`machine`] reads /proc and asks file systems, [`owner`] finds out whose a
//! process is. [`watcher`] does so again and again, and has `domain::device` decide; [`told`] is what the coordinator is told.

mod card;
mod look;
mod machine;
mod owner;
mod told;
mod watcher;
mod xid;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tandem_domain::device::Process;
use tandem_proto::v1::{self, ForeignUse};
use tokio::{sync::watch, time::timeout};

use crate::nvml::Card;
use told::Told;
use watcher::{Circumstances, Newest};

/// What is known of the device, kept up to date by a task.
pub(crate) struct Sampling {
    newest: watch::Receiver<Newest>,
    circumstances: watch::Sender<Circumstances>,
    told: Told,
}

impl Sampling {
    /// `card`: none for a CPU slot. `state`: the worker's folder, whose disk is watched.
    pub(crate) fn start(card: Option<Card>, state: PathBuf, every: Duration) -> Self {
        let (sender, newest) = watch::channel(Newest::default());
        let (circumstances, known) = watch::channel(Circumstances::default());
        watcher::start(card, state, every, known, sender);
        Self { newest, circumstances, told: Told::default() }
    }

    /// Waits for the first look, and not for long.
    pub(crate) async fn first(&mut self, limit: Duration) {
        if timeout(limit, self.changed()).await.is_err() {
            tracing::warn!("the device has not been looked at within {limit:?}; the worker goes on without");
        }
    }

    /// Waits for a look, or for the news that there is none. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.newest.changed().await.is_err() {
            std::future::pending().await
        }
        self.told.take(&self.newest.borrow_and_update());
    }

    /// Foreign processes that have appeared since this was asked last.
    pub(crate) fn appeared(&mut self) -> Vec<Process> {
        self.told.appeared(&self.newest.borrow())
    }

    /// Xid errors since this was asked last.
    pub(crate) fn xids(&mut self) -> Vec<u64> {
        self.told.xids()
    }

    /// What the coordinator is to be told now; `None` before the first look. What it says of looks is said once.
    pub(crate) fn message(&mut self, now: Instant) -> Option<v1::Samples> {
        self.told.message(now, &self.newest.borrow())
    }

    /// For a heartbeat; `None` on a CPU slot, and before the first look.
    pub(crate) fn facts(&self) -> Option<v1::DeviceFacts> {
        told::facts(&self.newest.borrow())
    }

    /// Wants a look now; [`Self::has_looked_again`] says when there was one.
    pub(crate) fn look_again(&self) {
        self.circumstances.send_modify(|known| known.wanted += 1);
    }

    /// Whether a look was made, or was late, since somebody wanted one last.
    pub(crate) fn has_looked_again(&self) -> bool {
        self.newest.borrow().wanted >= self.circumstances.borrow().wanted
    }

    /// A rank runs, or none does any more.
    pub(crate) fn set_rank_runs(&self, rank_runs: bool) {
        self.circumstances.send_if_modified(|known| std::mem::replace(&mut known.rank_runs, rank_runs) != rank_runs);
    }

    /// The coordinator has said where its store is.
    pub(crate) fn set_store(&self, store: &Path) {
        self.circumstances.send_if_modified(|known| {
            let is_news = known.store.as_deref() != Some(store);
            known.store = Some(store.to_owned());
            is_news
        });
    }

    /// The coordinator has said when a device counts as used by others.
    pub(crate) fn set_foreign_use(&self, foreign: ForeignUse) {
        self.circumstances.send_if_modified(|known| known.foreign.replace(foreign) != Some(foreign));
    }
}
