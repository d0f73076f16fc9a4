//! Cancels jobs at a person's request.

use std::time::Duration;

use tandem_domain::state::{AttemptState, JobEvent};
use uuid::Uuid;

use crate::{
    conclude,
    error::Result,
    store::{
        Conn, Store, attempts,
        events::{self, About},
        experiments,
        jobs::{self, LockedJob},
        leases,
        notify::{Topic, notify},
        retry,
        targets::Target,
    },
    target::jobs_of,
    unblock::unblock,
};

const REASON: &str = "cancelled by request";

/// Cancels the jobs that have not ended and returns their ids.
///
/// Dependants are cancelled too; of an experiment, only the jobs that no other experiment wants.
pub(crate) async fn cancel(store: &Store, target: Target) -> Result<Vec<Uuid>> {
    retry(|| cancel_once(store, target)).await
}

async fn cancel_once(store: &Store, target: Target) -> Result<Vec<Uuid>> {
    let mut tx = store.begin().await?;
    let mut ids: Vec<Uuid> = jobs_of(&mut tx, target).await?;
    // Locked before the links are read: a submit that shares one of these jobs is either seen or waits.
    let locked = jobs::lock(&mut tx, &ids).await?;
    if let Target::Experiment(experiment) = target {
        ids = experiments::withdraw(&mut tx, experiment).await?;
    }
    let mut cancelled = Vec::new();
    for job in locked.iter().filter(|job| ids.contains(&job.id) && !job.state.is_ended()) {
        cancel_job(&mut tx, job).await?;
        cancelled.push(job.id);
    }
    cancelled.extend(unblock(&mut tx).await?);
    notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    Ok(cancelled)
}

async fn cancel_job(tx: &mut Conn, job: &LockedJob) -> Result<()> {
    if let Some(attempt) = attempts::lock_live(tx, job.id).await? {
        let leases = leases::lock(tx, attempt.id).await?;
        conclude::end_attempt(tx, &attempt, &leases, AttemptState::Cancelled, REASON).await?;
    }
    let moved = jobs::transition(tx, job.id, job.state, JobEvent::Cancelled, REASON, Duration::ZERO).await?;
    if moved.is_some() {
        events::append(tx, About::job(job.id), "cancelled", REASON).await?;
        tracing::info!(job = %job.id, name = job.name, was = %job.state, "cancelled");
    }
    Ok(())
}
