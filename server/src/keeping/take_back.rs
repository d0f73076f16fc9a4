//! Takes jobs out of experiments, and deletes what nobody wants then: within a transaction, so that to say what would go is to do it
//! and not to commit.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use tandem_domain::state::JobEvent;
use uuid::Uuid;

use crate::{
    cancel::cancel_job,
    error::{Error, Result},
    sharing::pause,
    store::{
        Conn, archive,
        deletions::{self, Gone, Reason},
        events::{self, About},
        experiments,
        jobs::{self, LockedJob},
        wishes::{self, Wanted},
    },
    unblock::unblock,
};

/// What is done with what has not ended and nobody else wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Live {
    Refuse,
    Cancel,
    /// As it would be cancelled, in a transaction that is not committed.
    Rehearse,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TakenBack {
    /// Experiments that have no jobs any more.
    pub(crate) experiments: Vec<Uuid>,
    pub(crate) gone: Vec<Gone>,
    /// Those of `gone` that had not ended.
    pub(crate) cancelled: HashSet<Uuid>,
    pub(crate) stays: Vec<Staying>,
}

/// A job that stays, and why: a clause each.
#[derive(Clone, Debug)]
pub(crate) struct Staying {
    pub(crate) job: Uuid,
    pub(crate) name: String,
    pub(crate) why: Vec<String>,
}

/// Takes back what is wanted. `reason` is for those who look at a job's events.
///
/// # Errors
/// `Refused` if a job has not ended that nobody else wants, and `live` says so; `Conflict` if somebody else takes back the same.
pub(crate) async fn take_back(tx: &mut Conn, wanted: &[Wanted], reason: &str, live: Live) -> Result<TakenBack> {
    let mut ids: Vec<Uuid> = wanted.iter().map(|one| one.job).collect();
    ids.sort_unstable();
    ids.dedup();
    // Locked before links are looked at: a submit that shares one of these jobs is either seen or waits.
    let locked = jobs::lock(tx, &ids).await?;
    if deletions::take_links(tx, wanted).await? != wanted.len() as u64 {
        return Err(Error::Conflict("somebody else deletes the same just now; look again".to_owned()));
    }
    let cancelled = end(tx, &locked, reason, live).await?;
    // What others have is theirs now.
    archive::settle(tx, &ids).await?;
    let going_on: Vec<Uuid> = locked.iter().filter(|job| !job.state.is_ended()).map(|job| job.id).collect();
    wishes::settle(tx, &going_on).await?;
    pause::settle(tx, &going_on).await?;
    let from: BTreeSet<Uuid> = wanted.iter().map(|one| one.experiment).collect();
    let experiments = deletions::mark_experiments(tx, &from.into_iter().collect::<Vec<_>>()).await?;
    let gone = delete_unwanted(tx, &ids, reason).await?;
    let is_gone: HashSet<Uuid> = gone.iter().map(|job| job.id).collect();
    let left: Vec<&LockedJob> = locked.iter().filter(|job| !is_gone.contains(&job.id)).collect();
    let stays = staying(tx, &left, wanted).await?;
    Ok(TakenBack { experiments, gone, cancelled, stays })
}

/// Ends what has not ended and nobody wants any more.
async fn end(tx: &mut Conn, locked: &[LockedJob], reason: &str, live: Live) -> Result<HashSet<Uuid>> {
    let live_jobs: Vec<&LockedJob> = locked.iter().filter(|job| !job.state.is_ended()).collect();
    let ids: Vec<Uuid> = live_jobs.iter().map(|job| job.id).collect();
    let wanting: HashSet<Uuid> = experiments::wanting(tx, &ids).await?.into_iter().map(|(job, _)| job).collect();
    let ending: Vec<&LockedJob> = live_jobs.into_iter().filter(|job| !wanting.contains(&job.id)).collect();
    let Some(first) = ending.first() else { return Ok(HashSet::new()) };
    match live {
        Live::Refuse => {
            let others = match ending.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            return Err(Error::Refused(format!(
                "`{}` is {}{others}, and nobody else wants it",
                first.name, first.state
            )));
        }
        Live::Cancel => {
            for job in &ending {
                cancel_job(tx, job, reason).await?;
            }
            unblock(tx).await?;
        }
        Live::Rehearse => {
            for job in &ending {
                jobs::transition(tx, job.id, job.state, JobEvent::Cancelled, reason, Duration::ZERO).await?;
            }
        }
    }
    Ok(ending.iter().map(|job| job.id).collect())
}

/// Deletes what nobody wants of these jobs, and then what they started from, if nobody wants that either.
async fn delete_unwanted(tx: &mut Conn, jobs: &[Uuid], reason: &str) -> Result<Vec<Gone>> {
    let mut gone: Vec<Gone> = Vec::new();
    let mut candidates = jobs.to_vec();
    loop {
        let more = deletions::delete_unwanted(tx, &candidates).await?;
        if more.is_empty() {
            break;
        }
        let ids: Vec<Uuid> = more.iter().map(|job| job.id).collect();
        for id in &ids {
            events::append(tx, About::job(*id), "deleted", reason).await?;
        }
        let inputs = deletions::unwanted_inputs(tx, &ids).await?;
        jobs::lock(tx, &inputs).await?;
        candidates.retain(|id| !ids.contains(id));
        candidates.extend(inputs);
        candidates.sort_unstable();
        candidates.dedup();
        gone.extend(more);
    }
    deletions::clear(tx, &gone.iter().map(|job| job.id).collect::<Vec<_>>()).await?;
    Ok(gone)
}

async fn staying(tx: &mut Conn, left: &[&LockedJob], wanted: &[Wanted]) -> Result<Vec<Staying>> {
    let ids: Vec<Uuid> = left.iter().map(|job| job.id).collect();
    let mut why: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for Reason { job, owner, name } in deletions::reasons(tx, &ids).await? {
        why.entry(job).or_default().push(match owner {
            Some(owner) => format!("{owner}'s `{name}` has it"),
            None => format!("`{name}` starts from it"),
        });
    }
    let called =
        |job: &LockedJob| wanted.iter().find(|one| one.job == job.id).map_or(&job.name, |one| &one.name).clone();
    let stays =
        |job: &&LockedJob| Staying { job: job.id, name: called(job), why: why.remove(&job.id).unwrap_or_default() };
    Ok(left.iter().map(stays).collect())
}
