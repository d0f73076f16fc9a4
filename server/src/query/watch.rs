//! Follows jobs until all have ended.

use std::{sync::Arc, time::Duration};

use tandem_domain::{state::JobState, timing};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Result},
    notifier::Notifier,
    store::{Store, overview::JobRow, targets::Target},
    target::rows_of,
};

/// Least time between two snapshots: a gang reports more often than a person can follow.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Snapshot {
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) done: bool,
}

/// Sends a snapshot now and after every change, until all jobs have ended, the client is gone, or `closing`.
pub(crate) async fn watch(
    store: Store,
    notifier: Arc<Notifier>,
    target: Target,
    sender: mpsc::Sender<Result<Snapshot>>,
    closing: CancellationToken,
) {
    let follow = follow(&store, &notifier, target, &sender);
    let outcome = tokio::select! {
        outcome = follow => outcome,
        () = closing.cancelled() => Err(Error::ShuttingDown),
        () = sender.closed() => Ok(()),
    };
    if let Err(error) = outcome {
        // The client may be gone; then nobody waits for the error.
        let _ = sender.send(Err(error)).await;
    }
}

async fn follow(
    store: &Store,
    notifier: &Notifier,
    target: Target,
    sender: &mpsc::Sender<Result<Snapshot>>,
) -> Result<()> {
    // Subscribed before the first read, so that no change is missed.
    let mut changes = notifier.subscribe();
    let mut before: Option<Vec<JobRow>> = None;
    loop {
        let jobs = rows_of(&mut *store.reader().await?, target).await?;
        let done = jobs.iter().all(|job| job.state.parse().is_ok_and(JobState::is_ended));
        if before.as_ref() != Some(&jobs) || done {
            before = Some(jobs.clone());
            if sender.send(Ok(Snapshot { jobs, done })).await.is_err() || done {
                return Ok(());
            }
        }
        next_change(&mut changes).await;
    }
}

/// Returns after a change, at most once in [`PAUSE`], or when it is time to poll.
pub(crate) async fn next_change(changes: &mut watch::Receiver<u64>) {
    sleep(PAUSE).await;
    // Whether the notifier was closed or the time is up: read again.
    let _ = timeout(timing::SCHEDULE_POLL, changes.changed()).await;
}
