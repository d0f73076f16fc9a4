//! Stores what workers report about their ranks, under the fence: a stale worker changes nothing and learns that.

pub(crate) mod batch;
pub(crate) mod collect;

use std::path::Path;

use tandem_domain::{
    state::{AttemptEvent, RankOutcome},
    timing::timing,
};
use tandem_proto::v1;
use tokio::time::sleep;

use crate::{
    broken::no_fence,
    conclude::{RankEnd, conclude},
    error::{Error, Result},
    store::{
        Conn, Store,
        attempts::{self, LockedAttempt},
        events::{self, About},
        files,
        leases::{self, LeaseHolder},
        logs, measures,
        notify::{Topic, notify},
        points, receipts, received, retry, signed, within,
    },
};
use batch::{Batch, NAME_BYTES_MAX, TEXT_BYTES_MAX, TRAINING};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Stored, now or before.
    Stored,
    /// The worker holds no lease for this attempt any more.
    Stale,
}

/// Stores the new events of a report in one transaction, all or none.
pub(crate) async fn report(
    store: &Store,
    root: &Path,
    holder: LeaseHolder,
    events: &[v1::RankEvent],
) -> Result<Receipt> {
    patiently(|| report_once(store, root, holder, events)).await
}

/// Runs a transaction that may lock leases. One that takes too long is cut, before the leases that it locks run out, and
/// runs again: its worker could only send the same once more.
async fn patiently<T, F>(mut transaction: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match within(timing().report_limit(), retry(&mut transaction)).await {
            Err(error @ Error::DatabaseSlow(_)) => {
                tracing::warn!(%error, "a report cannot be stored yet");
                // The next heartbeats renew the leases first.
                sleep(timing().lease_write).await;
            }
            outcome => return outcome,
        }
    }
    within(timing().report_limit(), retry(&mut transaction)).await
}

async fn report_once(store: &Store, root: &Path, holder: LeaseHolder, events: &[v1::RankEvent]) -> Result<Receipt> {
    let mut tx = store.reports.begin().await?;
    let Some(attempt) = attempts::lock(&mut tx, holder.attempt).await? else { return Ok(Receipt::Stale) };
    let last = events.iter().map(|event| signed(event.sequence)).max().unwrap_or(0);
    let before = received::advance(&mut tx, holder, last).await?;
    let before = if no_fence() { Some(before.unwrap_or(0)) } else { before };
    let Some(before) = before else { return Ok(Receipt::Stale) };
    if before == 0 {
        leases::set_reported(&mut tx, &[(holder.attempt, holder.rank)]).await?;
    }
    let mut batch = batch::sort(events.iter().filter(|event| signed(event.sequence) > before), holder.rank, root);
    if attempt.state.is_ended() && !no_fence() {
        // The rank is being stopped. Its log lines are kept, but its results no longer count.
        batch = Batch { lines: batch.lines, ..Batch::default() };
    }
    store_batch(&mut tx, &attempt, holder, &batch).await?;
    notify(&mut tx, &[Topic::Watch]).await?;
    tx.commit().await?;
    // An acknowledgement would tell the rank that its checkpoints are committed, but they have no rows.
    Ok(if attempt.state.is_ended() && !no_fence() { Receipt::Stale } else { Receipt::Stored })
}

/// Stores what one rank has reported.
pub(crate) async fn store_batch(
    tx: &mut Conn,
    attempt: &LockedAttempt,
    holder: LeaseHolder,
    batch: &Batch,
) -> Result<()> {
    let (job, fence) = (attempt.job, attempt.fence);
    let about = About { worker: Some(holder.worker), ..About::attempt(job, attempt.id) };
    if !attempt.state.is_ended() {
        let event = if batch.trains() { AttemptEvent::TrainingBegan } else { AttemptEvent::RankStarted };
        attempts::transition(tx, attempt, event, "").await?;
    }
    for phase in &batch.phases {
        let mut message = format!("rank {}: {}", holder.rank, phase.name);
        if phase.name == TRAINING && phase.first_step > 0 {
            message.push_str(&format!(" from step {}", phase.first_step));
            attempts::set_first_step(tx, attempt, phase.first_step).await?;
        }
        events::append_at(tx, about, &phase.name, &message, Some(phase.at)).await?;
    }
    for note in &batch.notes {
        tracing::info!(%job, attempt = %attempt.id, rank = holder.rank, kind = note.kind, "{}", note.message);
        events::append_at(tx, about, &note.kind, &note.message, Some(note.at)).await?;
    }
    // Rank 0 reports for all: they are at the same step.
    let phase = batch.phases.last().map(|phase| phase.name.as_str());
    if holder.rank == 0 && (phase.is_some() || batch.latest.is_some()) {
        measures::put_progress(tx, job, fence, phase, batch.latest.as_ref()).await?;
    }
    let measured: Vec<_> = batch.points.iter().map(|point| (job, fence, point.clone())).collect();
    points::insert(tx, &measured).await?;
    for result in &batch.results {
        measures::put_result(tx, job, fence, &result.name, result.value, result.at).await?;
    }
    for checkpoint in &batch.checkpoints {
        files::put_checkpoint(tx, job, fence, checkpoint).await?;
    }
    for artifact in &batch.artifacts {
        let artifact = files::Artifact { job_id: job, ..artifact.clone() };
        files::put_artifact(tx, fence, holder.rank, &artifact).await?;
    }
    let lines: Vec<_> = batch.lines.iter().map(|line| (attempt.id, holder.rank, line.clone())).collect();
    logs::insert(tx, &lines).await?;
    if let Some(environment) = &batch.environment {
        receipts::put_environment(tx, attempt.id, holder.rank, environment).await?;
    }
    Ok(())
}

/// Stores the end of a rank as its worker reports it. A second report changes nothing.
pub(crate) async fn rank_ended(
    store: &Store,
    holder: LeaseHolder,
    outcome: RankOutcome,
    cause: &str,
) -> Result<Receipt> {
    let end = RankEnd { outcome, cause: batch::short(cause, TEXT_BYTES_MAX) };
    let ended = patiently(|| async {
        let mut tx = store.reports.begin().await?;
        let ended = conclude(&mut tx, holder.attempt, |lease| {
            let is_theirs = lease.rank == holder.rank && lease.worker == holder.worker && lease.fence == holder.fence;
            is_theirs.then(|| end.clone())
        })
        .await?;
        tx.commit().await?;
        Ok(ended)
    })
    .await?;
    Ok(if ended == 0 { Receipt::Stale } else { Receipt::Stored })
}

/// Stores where the ranks of an attempt meet, from the worker of rank 0.
pub(crate) async fn rendezvous(store: &Store, holder: LeaseHolder, host: &str, port: u16) -> Result<Receipt> {
    let host = batch::short(host, NAME_BYTES_MAX);
    patiently(|| rendezvous_once(store, holder, &host, port)).await
}

async fn rendezvous_once(store: &Store, holder: LeaseHolder, host: &str, port: u16) -> Result<Receipt> {
    let mut tx = store.reports.begin().await?;
    if !attempts::set_rendezvous(&mut tx, holder.attempt, holder.fence, holder.worker, host, port).await? {
        return Ok(Receipt::Stale);
    }
    notify(&mut tx, &[Topic::Dispatch]).await?;
    tx.commit().await?;
    Ok(Receipt::Stored)
}
