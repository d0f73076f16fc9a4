//! Cancels jobs at a person's request.

use std::{collections::HashMap, time::Duration};

use tandem_domain::state::{AttemptState, JobEvent};
use uuid::Uuid;

use crate::{
    conclude,
    error::Result,
    store::{
        Conn, Store, attempts,
        events::{self, About},
        experiments::{self, Submission},
        jobs::{self, LockedJob},
        leases,
        notify::{Topic, notify},
        overview::JobRow,
        retry,
        targets::Target,
    },
    target::{self, jobs_of, to_cancel},
    unblock::unblock,
};

/// What became of a request to cancel.
#[derive(Debug)]
pub(crate) struct Cancelled {
    pub(crate) jobs: Vec<JobRow>,
    /// Jobs of the request that other experiments want, too.
    pub(crate) shared: Vec<SharedJob>,
}

#[derive(Debug)]
pub(crate) struct SharedJob {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// It was named itself, and is cancelled for all of them; otherwise it goes on.
    pub(crate) cancelled: bool,
    pub(crate) wanted_by: Vec<Submission>,
}

/// Cancels the jobs of `target` that have not ended, as `owner` asks for.
///
/// Dependants are cancelled too; of an experiment, only the jobs that no other experiment wants.
///
/// # Errors
/// As [`to_cancel`].
pub(crate) async fn cancel(store: &Store, target: &str, owner: &str) -> Result<Cancelled> {
    retry(|| cancel_once(store, target, owner)).await
}

/// One connection at a time: a request that waited for a second one while holding a first could wait for others that do
/// the same.
async fn cancel_once(store: &Store, target: &str, owner: &str) -> Result<Cancelled> {
    let mut tx = store.begin().await?;
    let targets = to_cancel(&mut tx, target, owner).await?;
    let mut ids: Vec<Uuid> = Vec::new();
    for target in &targets {
        ids.extend(jobs_of(&mut tx, *target).await?);
    }
    // Locked before the links are read: a submit that shares one of these jobs is either seen or waits.
    let locked = jobs::lock(&mut tx, &ids).await?;
    let live: Vec<&LockedJob> = locked.iter().filter(|job| !job.state.is_ended()).collect();
    let experiments: Vec<Uuid> = targets.iter().filter_map(Target::experiment).collect();
    if !experiments.is_empty() {
        ids = experiments::withdraw(&mut tx, &experiments).await?;
    }
    let (ending, going_on): (Vec<&LockedJob>, Vec<&LockedJob>) = live.iter().partition(|job| ids.contains(&job.id));
    let reason = format!("cancelled by {owner}");
    for job in &ending {
        cancel_job(&mut tx, job, &reason).await?;
    }
    experiments::lower_priorities(&mut tx, &ids_of(&going_on)).await?;
    let mut cancelled = ids_of(&ending);
    cancelled.extend(unblock(&mut tx).await?);
    let shared = shared(&mut tx, &live, &ending).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    // A list has a transaction of its own.
    let jobs = target::rows(&mut *store.reader().await?, &cancelled).await?;
    Ok(Cancelled { jobs, shared })
}

fn ids_of(jobs: &[&LockedJob]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.id).collect()
}

/// The jobs that are wanted although their experiment has withdrawn, and the cancelled ones that several wanted.
async fn shared(tx: &mut Conn, live: &[&LockedJob], cancelled: &[&LockedJob]) -> Result<Vec<SharedJob>> {
    let mut wanting: HashMap<Uuid, Vec<Submission>> = HashMap::new();
    for (job, submission) in experiments::wanting(tx, &ids_of(live)).await? {
        wanting.entry(job).or_default().push(submission);
    }
    let shared = live.iter().filter_map(|job| {
        let wanted_by = wanting.remove(&job.id)?;
        let cancelled = cancelled.iter().any(|other| other.id == job.id);
        let is_shared = !cancelled || wanted_by.len() > 1;
        is_shared.then(|| SharedJob { id: job.id, name: job.name.clone(), cancelled, wanted_by })
    });
    Ok(shared.collect())
}

async fn cancel_job(tx: &mut Conn, job: &LockedJob, reason: &str) -> Result<()> {
    if let Some(attempt) = attempts::lock_live(tx, job.id).await? {
        let leases = leases::lock(tx, attempt.id).await?;
        conclude::end_attempt(tx, &attempt, &leases, AttemptState::Cancelled, reason).await?;
    }
    let moved = jobs::transition(tx, job.id, job.state, JobEvent::Cancelled, reason, Duration::ZERO).await?;
    if moved.is_some() {
        events::append(tx, About::job(job.id), "cancelled", reason).await?;
        tracing::info!(job = %job.id, name = job.name, was = %job.state, "cancelled");
    }
    Ok(())
}
