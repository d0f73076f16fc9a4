//! Wakes whoever in this process has something to look at, whichever coordinator made the change.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::store::{
    Store,
    wake::{Listener, Wake},
};

/// Where the sleepers of this process sleep. All of them also look by themselves every second: a call may be lost.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) schedule: Notify,
    pub(crate) dispatch: Notify,
    /// Counts changes to jobs.
    watch: watch::Sender<u64>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { schedule: Notify::new(), dispatch: Notify::new(), watch: watch::Sender::new(0) }
    }

    /// Sees every change from now on: subscribe before you look.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.watch.subscribe()
    }

    fn wake(&self, wake: Wake) {
        match wake {
            Wake::Schedule => self.schedule.notify_one(),
            Wake::Dispatch => self.dispatch.notify_one(),
            Wake::Watch => self.watch.send_modify(|changes| *changes += 1),
        }
    }

    fn wake_all(&self) {
        [Wake::Schedule, Wake::Dispatch, Wake::Watch].into_iter().for_each(|wake| self.wake(wake));
    }

    /// Passes on what the database notifies, until `closing`.
    pub(crate) async fn listen(&self, store: &Store, closing: &CancellationToken) {
        while !closing.is_cancelled() {
            let failure = tokio::select! {
                failure = self.pass_on(store) => failure,
                () = closing.cancelled() => return,
            };
            tracing::warn!(error = %failure, "notifications of the database stopped; polling meanwhile");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = closing.cancelled() => return,
            }
        }
    }

    async fn pass_on(&self, store: &Store) -> sqlx::Error {
        let mut listener = match Listener::open(store).await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        // Whatever happened while nobody listened.
        self.wake_all();
        loop {
            match listener.next().await {
                Ok(Some(wake)) => self.wake(wake),
                Ok(None) => self.wake_all(),
                Err(error) => return error,
            }
        }
    }
}
