//! Follows jobs until all have ended. All who watch the same jobs share one reader of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tandem_domain::state::JobState;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

use crate::{
    error::Result,
    notifier::Notifier,
    query::follow::{next_change, until_gone},
    store::{Store, overview::JobRow, targets::Target},
    target::rows_of,
};

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) done: bool,
}

/// What was read last, or why nothing more is read; `None` before the first time.
type Newest = Option<Result<Arc<Snapshot>, Status>>;

/// One reader for each target that somebody watches.
#[derive(Clone)]
pub(crate) struct Watches {
    store: Store,
    notifier: Arc<Notifier>,
    /// Where the readers run.
    tasks: TaskTracker,
    readers: Arc<Mutex<Readers>>,
}

type Readers = HashMap<Target, watch::Sender<Newest>>;

fn lock(readers: &Mutex<Readers>) -> MutexGuard<'_, Readers> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a reader off the list when it is dropped.
struct Listed {
    readers: Arc<Mutex<Readers>>,
    target: Target,
    reader: watch::Sender<Newest>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut readers = lock(&self.readers);
        // Another may have begun in its place.
        if readers.get(&self.target).is_some_and(|listed| listed.same_channel(&self.reader)) {
            readers.remove(&self.target);
        }
    }
}

impl Watches {
    pub(crate) fn new(store: Store, notifier: Arc<Notifier>, tasks: TaskTracker) -> Self {
        Self { store, notifier, tasks, readers: Arc::default() }
    }

    /// Sends a snapshot now and after every change, until all jobs have ended, the client is gone, or `closing`. A client
    /// that takes them slowly misses some, never the last.
    pub(crate) async fn watch(
        self,
        target: Target,
        sender: mpsc::Sender<Result<Arc<Snapshot>, Status>>,
        closing: CancellationToken,
    ) {
        let mut newest = self.join(target);
        let work = async {
            loop {
                let seen = newest.borrow_and_update().clone();
                if let Some(snapshot) = seen.transpose()? {
                    let done = snapshot.done;
                    if sender.send(Ok(snapshot)).await.is_err() || done {
                        return Ok(());
                    }
                }
                if newest.changed().await.is_err() {
                    return Ok(());
                }
            }
        };
        until_gone(&sender, &closing, work).await;
    }

    /// The reader of this target, which starts if there is none.
    fn join(&self, target: Target) -> watch::Receiver<Newest> {
        let mut readers = self.readers();
        if let Some(reader) = readers.get(&target) {
            return reader.subscribe();
        }
        let (reader, newest) = watch::channel(None);
        readers.insert(target, reader.clone());
        self.tasks.spawn(self.clone().read(target, reader));
        newest
    }

    /// Reads at every change until all jobs have ended, a read fails, or nobody watches any more.
    async fn read(self, target: Target, reader: watch::Sender<Newest>) {
        // Subscribed before the first read, so that no change is missed.
        let mut changes = self.notifier.subscribe();
        // Even if it panics: who watches a reader that is gone would wait for ever.
        let _listed = Listed { readers: self.readers.clone(), target, reader: reader.clone() };
        loop {
            let read = self.snapshot(target).await.map_err(Status::from);
            let is_last = read.as_ref().map_or(true, |snapshot| snapshot.done);
            reader.send_if_modified(|newest| {
                let is_news = match (&*newest, &read) {
                    (Some(Ok(before)), Ok(now)) => is_last || before.jobs != now.jobs,
                    _ => true,
                };
                if is_news {
                    *newest = Some(read.map(Arc::new));
                }
                is_news
            });
            if is_last {
                return;
            }
            tokio::select! {
                () = next_change(&mut changes) => {}
                () = reader.closed() => {
                    // Nobody can join while the readers are locked.
                    let mut readers = self.readers();
                    if reader.receiver_count() == 0 {
                        readers.remove(&target);
                        break;
                    }
                }
            }
        }
    }

    async fn snapshot(&self, target: Target) -> Result<Snapshot> {
        let jobs = rows_of(&mut *self.store.reader().await?, target).await?;
        let done = jobs.iter().all(|job| job.state.parse().is_ok_and(JobState::is_ended));
        Ok(Snapshot { jobs, done })
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        lock(&self.readers)
    }

    /// How many targets are read.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.readers().len()
    }
}
