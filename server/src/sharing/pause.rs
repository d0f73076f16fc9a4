//! Pauses and resumes jobs: a wish of each that wants them. A job is paused when all who want it have paused it.

use std::{collections::BTreeMap, time::Duration};

use tandem_domain::{
    access::identity::Person,
    state::{JobEvent, JobState},
};
use uuid::Uuid;

use super::{
    chosen::{Changed, Chosen, choose},
    stopping::{Stopping, stop},
};
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store, audit,
        events::{self, About},
        experiments,
        jobs::{self, LockedJob},
        notify::{Topic, notify},
        retry, wishes,
    },
    target,
};

/// What waits stays out of the line, what runs stops at a checkpoint.
///
/// # Errors
/// As [`choose`]; `Refused` if all of it has ended.
pub(crate) async fn pause(store: &Store, target: &str, who: &Person) -> Result<Changed> {
    retry(|| once(store, target, who, true)).await
}

/// What was paused goes on from its checkpoint, at its old place in the line.
///
/// # Errors
/// As [`pause`].
pub(crate) async fn resume(store: &Store, target: &str, who: &Person) -> Result<Changed> {
    retry(|| once(store, target, who, false)).await
}

async fn once(store: &Store, target: &str, who: &Person, pause: bool) -> Result<Changed> {
    let (verb, method) = if pause { ("pause", "Jobs/Pause") } else { ("resume", "Jobs/Resume") };
    let mut tx = store.begin().await?;
    let chosen = choose(&mut tx, target, who, verb, method, false).await?;
    let live: Vec<&LockedJob> = chosen.jobs.iter().filter(|job| !job.state.is_ended()).collect();
    if live.is_empty() {
        return Err(Error::Refused(format!("nothing to {verb}: all jobs of `{target}` have ended")));
    }
    wishes::set_paused(&mut tx, &chosen.wanted_of(&live), pause).await?;
    let ids: Vec<Uuid> = live.iter().map(|job| job.id).collect();
    settle_locked(&mut tx, &live).await?;
    let notes = if pause { others(&mut tx, &chosen, &live).await? } else { Vec::new() };
    audit::append(&mut tx, &chosen.audit).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    let jobs = target::rows(&mut *store.reader().await?, &ids).await?;
    Ok(Changed { jobs, notes })
}

/// Of jobs that go on although they were paused: who else wants them.
async fn others(tx: &mut Conn, chosen: &Chosen, live: &[&LockedJob]) -> Result<Vec<String>> {
    let ids: Vec<Uuid> = live.iter().map(|job| job.id).collect();
    let paused = wishes::paused_by_all(tx, &ids).await?;
    let mut wanting: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for (job, one) in experiments::wanting(tx, &ids).await? {
        wanting.entry(job).or_default().push(format!("{}/{}", one.owner, one.name));
    }
    let goes_on = live.iter().filter(|job| !paused.iter().any(|(id, _)| *id == job.id));
    Ok(goes_on
        .map(|job| {
            let by = wanting.remove(&job.id).unwrap_or_default().join(", ");
            format!("`{}` goes on until all who want it have paused it: {by}", chosen.name(job))
        })
        .collect())
}

/// Brings jobs that are locked to what those who want them have said: into a pause, or out of it.
pub(crate) async fn settle(tx: &mut Conn, jobs: &[Uuid]) -> Result<()> {
    let locked = jobs::lock(tx, jobs).await?;
    settle_locked(tx, &locked.iter().collect::<Vec<_>>()).await
}

async fn settle_locked(tx: &mut Conn, jobs: &[&LockedJob]) -> Result<()> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let paused: BTreeMap<Uuid, String> = wishes::paused_by_all(tx, &ids).await?.into_iter().collect();
    for job in jobs {
        match (job.state, paused.get(&job.id)) {
            (JobState::Queued, Some(by)) => set_paused(tx, job, by).await?,
            (JobState::Running, Some(by)) => {
                let stopping = stop(tx, job, &format!("paused by {by}")).await?;
                if stopping == Stopping::Ended {
                    set_paused(tx, job, by).await?;
                }
            }
            (JobState::Paused, None) => {
                jobs::transition(tx, job.id, JobState::Paused, JobEvent::Resumed, "", Duration::ZERO).await?;
                events::append(tx, About::job(job.id), "resumed", "waits in line again, at its old place").await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn set_paused(tx: &mut Conn, job: &LockedJob, by: &str) -> Result<()> {
    let reason = format!("paused by {by}; `tandem resume` goes on with it");
    if jobs::transition(tx, job.id, job.state, JobEvent::Paused, &reason, Duration::ZERO).await?.is_some() {
        events::append(tx, About::job(job.id), "paused", &reason).await?;
    }
    Ok(())
}
