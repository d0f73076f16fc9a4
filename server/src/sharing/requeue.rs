//! Asks again for what has failed or was cancelled, and sends back to the line what runs.

use std::time::Duration;

use tandem_domain::{
    access::identity::Person,
    policy::HousePolicy,
    state::{JobEvent, JobState},
};
use uuid::Uuid;

use super::{
    chosen::{Changed, choose},
    pause, policy,
    stopping::{Stopping, stop},
};
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store, audit, dependencies,
        events::{self, About},
        experiments, files,
        jobs::{self, LockedJob},
        notify::{Topic, notify},
        retry, times, wishes,
    },
    target,
    unblock::unblock,
};

/// What has failed or was cancelled is tried again from its newest checkpoint, and what starts from it; what runs stops at a
/// checkpoint and waits at its old place.
///
/// # Errors
/// As [`choose`]; `Forbidden` for a longer time than the policy allows, `Refused` if there is nothing to ask for again.
pub(crate) async fn requeue(store: &Store, target: &str, max_time: Option<Duration>, who: &Person) -> Result<Changed> {
    retry(|| once(store, target, max_time, who)).await
}

async fn once(store: &Store, target: &str, max_time: Option<Duration>, who: &Person) -> Result<Changed> {
    let mut tx = store.begin().await?;
    let (_, house) = policy::current(&mut tx).await?;
    let limits = house.limits_of(&who.name);
    limits.may_take(max_time).map_err(Error::Forbidden)?;
    let chosen = choose(&mut tx, target, who, "requeue", "Jobs/Requeue", true).await?;
    let again = |job: &&LockedJob| matches!(job.state, JobState::Failed | JobState::Cancelled);
    let mut ended: Vec<&LockedJob> = chosen.jobs.iter().filter(again).collect();
    let running: Vec<&LockedJob> = chosen.jobs.iter().filter(|job| job.state == JobState::Running).collect();
    if ended.is_empty() && running.is_empty() {
        return Err(Error::Refused(format!(
            "there is nothing of `{target}` to ask for again: none of its jobs has failed, was cancelled or runs"
        )));
    }
    let mut notes = Vec::new();
    let times = times::of(&mut tx, &ended.iter().map(|job| job.id).collect::<Vec<_>>(), &house).await?;
    ended.retain(|job| {
        let over = times.get(&job.id).and_then(|time| {
            house.limits_of(&time.owner).has_no_time(&time.owner, max_time.or(time.asked), time.trained)
        });
        notes.extend(over.as_ref().map(|why| format!("`{}` would stop again at once: it {why}", chosen.name(job))));
        over.is_none()
    });
    if ended.is_empty() && running.is_empty() {
        return Err(Error::Refused(notes.join("; ")));
    }
    let waiting = crate::store::used::waiting(&mut tx, &who.name).await?;
    limits.may_queue(&who.name, waiting, ended.len() as u64).map_err(Error::Refused)?;
    wishes::set_wanted_again(&mut tx, &chosen.wanted_of(&ended)).await?;
    let mut changed = Vec::new();
    for job in &ended {
        match revive(&mut tx, job, &who.name).await? {
            true => changed.push(job.id),
            false => notes
                .push(format!("`{}`: another job of the same content has not ended or has a result", chosen.name(job))),
        }
    }
    wishes::settle(&mut tx, &changed).await?;
    let ids: Vec<Uuid> = running.iter().map(|job| job.id).collect();
    // What others want, too, is not sent back for one of them; an admin may.
    let wanting = if who.is_admin() { Vec::new() } else { experiments::wanting(&mut tx, &ids).await? };
    let others: Vec<Uuid> = wanting.into_iter().filter(|(_, one)| one.owner != who.name).map(|(job, _)| job).collect();
    for job in &running {
        if others.contains(&job.id) {
            notes.push(format!("`{}` goes on: somebody else wants it, too", chosen.name(job)));
            continue;
        }
        if stop(&mut tx, job, &format!("{} asked for it to wait again", who.name)).await? == Stopping::Ended {
            jobs::transition(&mut tx, job.id, JobState::Running, JobEvent::Requeued, "", Duration::ZERO).await?;
        }
        changed.push(job.id);
    }
    if let Some(time) = max_time {
        times::set(&mut tx, &changed, time).await?;
    }
    unblock(&mut tx).await?;
    pause::settle(&mut tx, &changed).await?;
    audit::append(&mut tx, &chosen.audit).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    if changed.is_empty() {
        return Err(Error::Refused(notes.join("; ")));
    }
    let jobs = target::rows(&mut *store.reader().await?, &changed).await?;
    Ok(Changed { jobs, notes })
}

/// Takes up an ended job again; `false` if there is another of its content.
pub(crate) async fn revive(tx: &mut Conn, job: &LockedJob, who: &str) -> Result<bool> {
    if !jobs::may_revive(tx, job.id).await? {
        return Ok(false);
    }
    let from = files::newest_step(tx, job.id).await?;
    let from = from.map_or("from its beginning: it has no checkpoint".to_owned(), |step| {
        format!("from its checkpoint at step {step}")
    });
    if jobs::transition(tx, job.id, job.state, JobEvent::Revived, "", Duration::ZERO).await?.is_none() {
        return Ok(false);
    }
    jobs::forgive(tx, job.id).await?;
    dependencies::set_due(tx, job.id).await?;
    events::append(tx, About::job(job.id), "asked for again", &format!("by {who}; goes on {from}")).await?;
    Ok(true)
}

/// Takes up the newest job of this content that was cancelled or ran out of time and has a checkpoint, with other inputs of equal
/// content, for an experiment that has been submitted just now.
///
/// # Errors
/// `Refused` if it has trained for as long as it may by now: it would stop again at once.
pub(crate) async fn take_up(
    tx: &mut Conn,
    content_key: &str,
    who: &str,
    house: &HousePolicy,
    asked: Option<Duration>,
) -> Result<Option<Uuid>> {
    let Some(id) = jobs::left_with_checkpoint(tx, content_key).await? else { return Ok(None) };
    // What others have asked of it counts no more.
    let trained = times::trained(tx, id).await?;
    if let Some(why) = house.limits_of(who).has_no_time(who, asked, trained) {
        return Err(Error::Refused(format!(
            "a job of this content (id {id}) {why}; to begin anew, without its checkpoint: --fresh"
        )));
    }
    let Some(job) = jobs::lock(tx, &[id]).await?.pop() else { return Ok(None) };
    Ok(revive(tx, &job, who).await?.then_some(id))
}
