//! What follows from reading an attempt's artifacts back: a transaction each, which changes nothing if somebody else, or a
//! cancel, was first.

use tandem_domain::state::AttemptState;
use uuid::Uuid;

use crate::{
    conclude::settle,
    error::Result,
    store::{
        Conn, attempts,
        events::{self, About},
        jobs, leases,
        notify::{Topic, notify},
        verifying,
    },
};

/// An artifact that was not read back whole: the rank that wrote it, and how it differs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage<'a> {
    pub(super) rank: u32,
    pub(super) why: &'a str,
}

/// Ends an attempt whose artifacts are whole, or one of them damaged; `false` if it is not being verified any more.
pub(super) async fn settle_verified(tx: &mut Conn, attempt: Uuid, damage: Option<Damage<'_>>) -> Result<bool> {
    let Some(job) = attempts::job_of(tx, attempt).await? else { return Ok(false) };
    let Some(job) = jobs::lock(tx, &[job]).await?.pop() else { return Ok(false) };
    let Some(attempt) = attempts::lock(tx, attempt).await? else { return Ok(false) };
    if attempt.state != AttemptState::Verifying {
        return Ok(false);
    }
    let leases = leases::lock(tx, attempt.id).await?;
    let about = About::attempt(job.id, attempt.id);
    match damage {
        None => {
            events::append(tx, about, "verified", "what it made was read back whole").await?;
            settle(tx, &job, &attempt, &leases, AttemptState::Succeeded, "").await?;
        }
        Some(Damage { rank, why }) => {
            let lease = leases.iter().find(|lease| lease.rank == rank);
            let name = lease.map_or("an unknown worker", |lease| lease.worker_name.as_str());
            let cause = format!("rank {rank} on {name}: {why}");
            let about = About { worker: lease.map(|lease| lease.worker), ..about };
            events::append(tx, about, "artifact damaged", &cause).await?;
            if !verifying::blame(tx, attempt.id, attempt.fence, rank, why).await? {
                tracing::error!(attempt = %attempt.id, rank, "a damaged artifact of a rank that did not succeed");
            }
            settle(tx, &job, &attempt, &leases, AttemptState::Lost, &cause).await?;
        }
    }
    notify(tx, &[Topic::Schedule, Topic::Watch]).await?;
    Ok(true)
}

/// Stores why a job is not verified yet, unless that is known.
pub(super) async fn explain(tx: &mut Conn, attempt: Uuid, reason: &str) -> Result<()> {
    if let Some(job) = verifying::set_reason(tx, attempt, reason).await? {
        events::append(tx, About::attempt(job, attempt), "not verified yet", reason).await?;
        notify(tx, &[Topic::Watch]).await?;
    }
    Ok(())
}
