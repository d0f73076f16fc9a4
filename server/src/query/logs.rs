//! The log lines of ranks, once or followed.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    notifier::Notifier,
    query::watch::next_change,
    store::{
        Store,
        logs::{self, LogRow, RankLog},
        small,
    },
    target::all_ended,
};

const PAGE: i64 = 500;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) jobs: Vec<Uuid>,
    pub(crate) follow: bool,
    /// About this many of the last lines; `None` means all.
    pub(crate) tail: Option<u32>,
}

/// Sends lines in order of time, each line of a rank once; with `follow`, until the jobs have ended.
pub(crate) async fn logs(
    store: Store,
    notifier: Arc<Notifier>,
    request: Request,
    sender: mpsc::Sender<Result<LogRow>>,
    closing: CancellationToken,
) {
    let outcome = tokio::select! {
        outcome = follow(&store, &notifier, &request, &sender) => outcome,
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
    request: &Request,
    sender: &mpsc::Sender<Result<LogRow>>,
) -> Result<()> {
    let mut changes = notifier.subscribe();
    let mut cursors: HashMap<RankLog, i64> = match request.tail {
        Some(lines) => {
            logs::tail(&mut *store.reader().await?, &request.jobs, i64::from(lines)).await?.into_iter().collect()
        }
        None => HashMap::new(),
    };
    loop {
        // Read before the lines: the last line of a job that has ended by now is stored.
        let ended = !request.follow || all_ended(&mut *store.reader().await?, &request.jobs).await?;
        loop {
            let known: Vec<(RankLog, i64)> = cursors.iter().map(|(log, sequence)| (*log, *sequence)).collect();
            let rows = logs::after(&mut *store.reader().await?, &request.jobs, &known, PAGE).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                cursors.insert(RankLog { attempt: row.attempt_id, rank: small(row.rank) }, row.sequence);
                if sender.send(Ok(row)).await.is_err() {
                    return Ok(());
                }
            }
        }
        if ended {
            return Ok(());
        }
        next_change(&mut changes).await;
    }
}
