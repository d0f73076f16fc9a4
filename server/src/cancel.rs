//! Cancels jobs at a person's request.

use std::{collections::HashMap, time::Duration};

use tandem_domain::{
    access::identity::Person,
    state::{AttemptState, JobEvent},
};
use uuid::Uuid;

use crate::{
    conclude,
    error::Result,
    sharing::{
        pause,
        stopping::{Stopping, stop},
    },
    store::{
        Conn, Store, attempts,
        audit::{self, Entry},
        dependencies,
        events::{self, About},
        experiments::{self, Submission},
        jobs::{self, LockedJob},
        leases,
        notify::{Topic, notify},
        overview::JobRow,
        retry,
        targets::Target,
        wishes,
    },
    target::{self, jobs_of},
    unblock::unblock,
    wish::{Wish, to_change},
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

/// Takes back what `who` wants of the jobs of `target` that have not ended, and cancels those that nobody wants any more.
///
/// Dependants go the same way.
///
/// # Errors
/// As [`to_change`].
pub(crate) async fn cancel(store: &Store, target: &str, who: &Person) -> Result<Cancelled> {
    retry(|| cancel_once(store, target, who)).await
}

/// Takes back all that `owner` wants, because `by` has disabled it. What runs stops at a checkpoint. Returns how many jobs
/// end, as nobody else wants them.
pub(crate) async fn cancel_all_of(store: &Store, owner: &str, by: &str) -> Result<usize> {
    retry(|| async {
        let mut tx = store.begin().await?;
        let experiments = experiments::live_of(&mut tx, owner).await?;
        let mut ids = Vec::new();
        for experiment in &experiments {
            ids.extend(jobs_of(&mut tx, Target::Experiment(*experiment)).await?);
        }
        let locked = jobs::lock(&mut tx, &ids).await?;
        let unwanted = experiments::withdraw(&mut tx, &experiments).await?;
        let live = locked.iter().filter(|job| !job.state.is_ended());
        let (ending, going_on): (Vec<&LockedJob>, Vec<&LockedJob>) = live.partition(|job| unwanted.contains(&job.id));
        let reason = format!("{owner} was disabled by {by}");
        for job in &ending {
            // What trains is cancelled when it has stopped: nobody wants it then.
            if stop(&mut tx, job, &reason).await? != Stopping::Asked {
                cancel_job(&mut tx, job, &reason).await?;
            }
        }
        wishes::settle(&mut tx, &ids_of(&going_on)).await?;
        pause::settle(&mut tx, &ids_of(&going_on)).await?;
        let followed = unblock(&mut tx).await?.len();
        notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
        tx.commit().await?;
        Ok(ending.len() + followed)
    })
    .await
}

/// One connection at a time: a request that waited for a second one while holding a first could wait for others that do
/// the same.
async fn cancel_once(store: &Store, target: &str, who: &Person) -> Result<Cancelled> {
    let mut tx = store.begin().await?;
    let wishes = to_change(&mut tx, target, who, "cancel").await?;
    let mut ids: Vec<Uuid> = Vec::new();
    for wish in &wishes {
        match *wish {
            Wish::Experiment(id) => ids.extend(jobs_of(&mut tx, Target::Experiment(id)).await?),
            Wish::OwnOf(id) => ids.extend(dependencies::all_from(&mut tx, id).await?),
            Wish::Job(id) => ids.push(id),
        }
    }
    // Locked before the links are read: a submit that shares one of these jobs is either seen or waits.
    let locked = jobs::lock(&mut tx, &ids).await?;
    let live: Vec<&LockedJob> = locked.iter().filter(|job| !job.state.is_ended()).collect();
    let experiments: Vec<Uuid> = wishes.iter().filter_map(Wish::experiment).collect();
    if !experiments.is_empty() {
        ids = experiments::withdraw(&mut tx, &experiments).await?;
    } else if matches!(wishes.as_slice(), [Wish::OwnOf(_)]) {
        ids = experiments::withdraw_own(&mut tx, &who.name, &ids).await?;
    }
    let (ending, going_on): (Vec<&LockedJob>, Vec<&LockedJob>) = live.iter().partition(|job| ids.contains(&job.id));
    for wish in &wishes {
        let (job, whose) = match wish {
            Wish::Experiment(id) => (None, experiments::get(&mut tx, *id).await?.map(|one| one.owner)),
            Wish::OwnOf(id) => (Some(*id), Some(who.name.clone())),
            Wish::Job(id) => (Some(*id), None),
        };
        let entry = Entry::done(who, "Jobs/Cancel", target, &whose.unwrap_or_default());
        audit::append(&mut tx, &[Entry { job, ..entry }]).await?;
    }
    let reason = format!("cancelled by {}", who.name);
    for job in &ending {
        cancel_job(&mut tx, job, &reason).await?;
    }
    wishes::settle(&mut tx, &ids_of(&going_on)).await?;
    pause::settle(&mut tx, &ids_of(&going_on)).await?;
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

/// Ends a job whose row is locked.
pub(crate) async fn cancel_job(tx: &mut Conn, job: &LockedJob, reason: &str) -> Result<()> {
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
