//! Puts the last points of jobs that have ended into chunks, while this coordinator leads.

use std::time::Duration;

use tandem_domain::timing::timing;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    store::{Store, chunks, facts, jobs, leader, within},
};

/// Jobs of one transaction, ...
const JOBS: i64 = 20;
/// ... and points of one of them: it is gone on with in the next transaction.
const POINTS: i64 = 10_000;
/// Between two transactions: people and workers go first.
const REST: Duration = Duration::from_millis(20);
/// How soon it is looked again.
const AGAIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(store: Store, holder: Uuid, closing: CancellationToken) {
    while !closing.is_cancelled() {
        let rest = match within(timing().report_limit(), step(&store, holder)).await {
            Ok(true) => REST,
            Ok(false) => AGAIN,
            Err(error) => {
                tracing::warn!(%error, "points of jobs that have ended take more room than they must; tried again");
                AGAIN
            }
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = sleep(rest) => {}
        }
    }
}

/// Returns whether there may be more.
pub(crate) async fn step(store: &Store, holder: Uuid) -> Result<bool> {
    let mut tx = store.reports.begin().await?;
    if !leader::is_held_by(&mut tx, holder).await? {
        return Ok(false);
    }
    let due = chunks::due(&mut tx, JOBS).await?;
    let mut is_more = due.len() as i64 == JOBS;
    let mut folded = due.clone();
    for job in jobs::lock(&mut tx, &due).await? {
        // One that runs again is due again when it ends; of one that was deleted nothing stays.
        if job.state.is_ended() {
            facts::fill_curves(&mut tx, &[job.id]).await?;
            if !chunks::fold_all(&mut tx, job.id, POINTS).await? {
                is_more = true;
                folded.retain(|other| *other != job.id);
            }
        }
    }
    chunks::set_folded(&mut tx, &folded).await?;
    tx.commit().await?;
    Ok(is_more)
}
