//! Finds leases that expired and workers that are silent.

use tandem_domain::{state::RankOutcome, timing, timing::timing};
use uuid::Uuid;

use crate::{
    conclude::{RankEnd, conclude},
    error::Result,
    store::{
        Store,
        events::{self, About},
        heartbeats, leader,
        leases::{self, LockedLease},
        notify::{Topic, notify},
        retry, within, workers,
    },
};

/// Ends the ranks whose leases expired by the database's clock, or that make no progress; returns their number.
///
/// An attempt that cannot be read or ended holds up no other.
pub(crate) async fn leases(store: &Store, term: i64) -> Result<usize> {
    let expired = async { Ok(leases::expired(&mut *store.lane.conn().await?).await?) };
    let mut ended = 0;
    for attempt in within(timing().statement_limit(), expired).await? {
        match within(timing().transaction_limit(), retry(|| end_expired(store, term, attempt))).await {
            Ok(ranks) => ended += ranks,
            Err(error) if error.is_absence() => return Err(error),
            Err(error) => tracing::error!(%attempt, %error, "an attempt whose lease has expired cannot be ended"),
        }
    }
    Ok(ended)
}

async fn end_expired(store: &Store, term: i64, attempt: Uuid) -> Result<usize> {
    let mut tx = store.lane.begin().await?;
    // After a coordinator was frozen everything looks expired to it, but it is no longer the leader.
    if !leader::is_current(&mut tx, term).await? {
        return Ok(0);
    }
    // A lease that is locked is one that somebody speaks for, however long that takes: a report is being stored.
    if !leases::lock_all_at_once(&mut tx, attempt).await? {
        return Ok(0);
    }
    let ended = conclude(&mut tx, attempt, expiry).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Decided on the locked row, because the lease may have been renewed since it was found.
fn expiry(lease: &LockedLease) -> Option<RankEnd> {
    let expiry = lease.status.expiry(lease.now, &timing())?;
    Some(RankEnd { outcome: RankOutcome::Lost, cause: expiry.to_string() })
}

/// Marks workers as lost that were silent for longer than a lease, and forgets those lost long ago.
pub(crate) async fn workers(store: &Store, term: i64) -> Result<()> {
    within(timing().transaction_limit(), mark_workers(store, term)).await
}

async fn mark_workers(store: &Store, term: i64) -> Result<()> {
    let mut tx = store.lane.begin().await?;
    if !leader::is_current(&mut tx, term).await? {
        return Ok(());
    }
    let lost = workers::mark_lost(&mut tx).await?;
    for worker in &lost {
        let message = format!("{} sent no heartbeat for {:.0} s", worker.name, worker.silent_seconds);
        events::append(&mut tx, About::worker(worker.id), "worker lost", &message).await?;
        tracing::warn!(worker = %worker.id, name = worker.name, "worker lost");
    }
    workers::forget_lost(&mut tx).await?;
    heartbeats::forget(&mut tx, timing::LOST_WORKER_KEPT).await?;
    if !lost.is_empty() {
        notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
    }
    tx.commit().await?;
    Ok(())
}
