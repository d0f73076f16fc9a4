//! Wakes the tasks of this process that have something to do, whichever coordinator made the change.

use std::{convert::Infallible, time::Duration};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::store::{
    DbResult, Store,
    notify::{Listener, Topic},
};

/// The tasks of this process that wait for a change. Each also polls every second: a notification may be lost.
#[derive(Debug)]
pub(crate) struct Notifier {
    pub(crate) schedule: Notify,
    pub(crate) dispatch: Notify,
    pub(crate) verify: Notify,
    pub(crate) access: Notify,
    /// Counts changes to jobs.
    changes: watch::Sender<u64>,
}

impl Notifier {
    pub(crate) fn new() -> Self {
        Self {
            schedule: Notify::new(),
            dispatch: Notify::new(),
            verify: Notify::new(),
            access: Notify::new(),
            changes: watch::Sender::new(0),
        }
    }

    /// Sees every change to a job from now on: subscribe before reading.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn notify(&self, topic: Topic) {
        match topic {
            Topic::Schedule => self.schedule.notify_one(),
            Topic::Dispatch => self.dispatch.notify_one(),
            Topic::Verify => self.verify.notify_one(),
            Topic::Access => self.access.notify_one(),
            Topic::Watch => self.changes.send_modify(|changes| *changes += 1),
        }
    }

    fn notify_all(&self) {
        Topic::ALL.into_iter().for_each(|topic| self.notify(topic));
    }

    /// Passes on what the database notifies of, until `closing`.
    pub(crate) async fn listen(&self, store: &Store, closing: &CancellationToken) {
        while !closing.is_cancelled() {
            let Err(failure) = tokio::select! {
                failure = self.forward(store) => failure,
                () = closing.cancelled() => return,
            };
            tracing::warn!(error = %failure, "notifications of the database stopped; polling meanwhile");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = closing.cancelled() => return,
            }
        }
    }

    async fn forward(&self, store: &Store) -> DbResult<Infallible> {
        let mut listener = Listener::open(store).await?;
        // Changes may have been made while nobody listened.
        self.notify_all();
        loop {
            match listener.next().await? {
                Some(topic) => self.notify(topic),
                None => self.notify_all(),
            }
        }
    }
}
