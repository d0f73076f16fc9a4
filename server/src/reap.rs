//! Finds leases that expired and workers that are silent.

use tandem_domain::{state::RankOutcome, timing::timing};

use crate::{
    conclude::{RankEnd, conclude},
    error::Result,
    store::{
        Store,
        events::{self, About},
        leader,
        leases::{self, LockedLease},
        notify::{Topic, notify},
        retry, workers,
    },
};

/// Ends the ranks whose leases expired by the database's clock, or that make no progress; returns their number.
pub(crate) async fn leases(store: &Store, term: i64) -> Result<usize> {
    let mut ended = 0;
    let expired = leases::expired(&mut *store.conn().await?).await?;
    for attempt in expired {
        ended += retry(|| async move {
            let mut tx = store.begin().await?;
            // After a coordinator was frozen everything looks expired to it, but it is no longer the leader.
            if !leader::is_current(&mut tx, term).await? {
                return Ok(0);
            }
            let ended = conclude(&mut tx, attempt, expiry).await?;
            tx.commit().await?;
            Ok(ended)
        })
        .await?;
    }
    Ok(ended)
}

/// Decided on the locked row, because the lease may have been renewed since it was found.
fn expiry(lease: &LockedLease) -> Option<RankEnd> {
    let expiry = lease.status.expiry(lease.now, &timing())?;
    Some(RankEnd { outcome: RankOutcome::Lost, cause: expiry.to_string() })
}

/// Marks workers as lost that were silent for longer than a lease, and forgets those lost long ago.
pub(crate) async fn workers(store: &Store, term: i64) -> Result<()> {
    let mut tx = store.begin().await?;
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
    if !lost.is_empty() {
        notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
    }
    tx.commit().await?;
    Ok(())
}
