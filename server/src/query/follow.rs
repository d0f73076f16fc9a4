//! What the streams to clients share: when they end, and what they wait for in between.

use std::time::Duration;

use tandem_domain::timing;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// Least time between two reads: a gang reports more often than a person can follow.
const PAUSE: Duration = Duration::from_millis(100);

/// Does the work of a stream until it is done, the client is gone, or `closing`; the client is told why it ended early.
pub(crate) async fn until_gone<T, E: From<Error>>(
    sender: &mpsc::Sender<Result<T, E>>,
    closing: &CancellationToken,
    work: impl Future<Output = Result<(), E>>,
) {
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = closing.cancelled() => Err(Error::ShuttingDown.into()),
        () = sender.closed() => Ok(()),
    };
    if let Err(error) = outcome {
        // The client may be gone; then nobody waits for the error.
        let _ = sender.send(Err(error)).await;
    }
}

/// Returns after a change, at most once in [`PAUSE`], or when it is time to poll.
pub(crate) async fn next_change(changes: &mut watch::Receiver<u64>) {
    sleep(PAUSE).await;
    // Whether the notifier was closed or the time is up: read again.
    let _ = timeout(timing::SCHEDULE_POLL, changes.changed()).await;
}
