//! Holds a worker's device for a person, and drains workers.

use std::time::Duration;

use tandem_domain::access::identity::Person;
use uuid::Uuid;

use super::{
    policy,
    stopping::{Stopping, stop},
};
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store,
        audit::{self, Entry},
        clean,
        events::{self, About},
        jobs,
        notify::{Topic, notify},
        retry, withhold,
        workers::{self, WorkerRow},
    },
};

/// The longest reason that is kept.
const REASON_MAX: usize = 200;

/// A worker that gets nothing new, and what still runs there.
#[derive(Debug)]
pub(crate) struct Withheld {
    pub(crate) worker: WorkerRow,
    /// `experiment/job`; empty if nothing is.
    pub(crate) running: String,
    pub(crate) stopping: bool,
}

/// Finds a worker that is there, by name or id.
///
/// # Errors
/// `NotFound` with the names that there are, `Invalid` if several have it.
pub(crate) async fn worker_named(conn: &mut Conn, named: &str) -> Result<WorkerRow> {
    let mut known = workers::list(conn).await?;
    let is_named = |row: &WorkerRow| row.name == named || named.parse::<Uuid>().is_ok_and(|id| row.id == id);
    let found: Vec<usize> = (0..known.len()).filter(|&at| is_named(&known[at])).collect();
    match found.as_slice() {
        [one] => Ok(known.swap_remove(*one)),
        [] => {
            let names: Vec<&str> = known.iter().map(|row| row.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(Error::NotFound(format!("no worker `{named}` here; there are: {names}")))
        }
        several => {
            let ids: Vec<String> = several.iter().map(|&at| known[at].id.to_string()).collect();
            let ids = ids.join(", ");
            Err(Error::Invalid(format!("several workers are called `{named}`: say the id, one of {ids}")))
        }
    }
}

/// Takes a device for `who`; with `now`, what runs there stops at a checkpoint.
///
/// # Errors
/// As [`worker_named`]; `Forbidden` for more than the policy allows, `Refused` if somebody else has it.
pub(crate) async fn hold(
    store: &Store,
    who: &Person,
    named: &str,
    span: Duration,
    reason: &str,
    now: bool,
) -> Result<Withheld> {
    let reason = short(reason)?;
    if span.is_zero() {
        return Err(Error::Invalid("a device is held for a while: say for how long, as in 2h".to_owned()));
    }
    retry(async || {
        let mut tx = store.begin().await?;
        let worker = worker_named(&mut tx, named).await?;
        let (_, house) = policy::current(&mut tx).await?;
        let beside = withhold::held_beside(&mut tx, &who.name, worker.id).await?;
        if !who.is_admin() {
            house.limits_of(&who.name).may_hold(&who.name, span, beside).map_err(Error::Forbidden)?;
        }
        if !withhold::hold(&mut tx, worker.id, &who.name, span.as_secs_f64(), &reason).await? {
            let until = worker.held_until.map(|until| until.format("%H:%M UTC").to_string()).unwrap_or_default();
            return Err(Error::Refused(format!(
                "{} is held by {} until {until}; ask them, or take another (tandem status)",
                worker.name, worker.held_by
            )));
        }
        let span = tandem_domain::policy::span::show(span);
        let message = format!("{} is held by {} for {span}{}", worker.name, who.name, because(&reason));
        withheld(&mut tx, &worker, "worker held", &message, now, &format!("{} holds {}", who.name, worker.name))
            .await?;
        audit::append(&mut tx, &[Entry::done(who, "Fleet/Hold", format!("{named} for {span}{}", at_once(now)), "")])
            .await?;
        finish(store, tx, worker.id).await
    })
    .await
}

/// Gives a device back; returns whether it was held.
///
/// # Errors
/// As [`worker_named`]; `Forbidden` if it is somebody else's.
pub(crate) async fn unhold(store: &Store, who: &Person, named: &str) -> Result<(WorkerRow, bool)> {
    retry(async || {
        let mut tx = store.begin().await?;
        let worker = worker_named(&mut tx, named).await?;
        if worker.held_until.is_some() && !who.may_change(&worker.held_by) {
            return Err(Error::Forbidden(format!(
                "{} is held by {}; {} or an admin may give it back",
                worker.name, worker.held_by, worker.held_by
            )));
        }
        let was_held = withhold::unhold(&mut tx, worker.id).await?;
        if was_held {
            let message = format!("{} is held no more, by request of {}", worker.name, who.name);
            events::append(&mut tx, About::worker(worker.id), "worker unheld", &message).await?;
        }
        audit::append(&mut tx, &[Entry::done(who, "Fleet/Unhold", named, &worker.held_by)]).await?;
        Ok((finish(store, tx, worker.id).await?.worker, was_held))
    })
    .await
}

/// A worker gets nothing new, until it is undrained; with `now`, what runs there stops at a checkpoint.
///
/// # Errors
/// As [`worker_named`].
pub(crate) async fn drain(store: &Store, who: &Person, named: &str, reason: &str, now: bool) -> Result<Withheld> {
    let reason = short(reason)?;
    retry(async || {
        let mut tx = store.begin().await?;
        let worker = worker_named(&mut tx, named).await?;
        withhold::drain(&mut tx, worker.id, &who.name, &reason).await?;
        let message = format!("{} gets nothing new, by request of {}{}", worker.name, who.name, because(&reason));
        withheld(&mut tx, &worker, "worker drained", &message, now, &format!("{} is drained", worker.name)).await?;
        audit::append(&mut tx, &[Entry::done(who, "Fleet/Drain", format!("{named}{}", at_once(now)), "")]).await?;
        finish(store, tx, worker.id).await
    })
    .await
}

/// Returns whether it was drained.
///
/// # Errors
/// As [`worker_named`].
pub(crate) async fn undrain(store: &Store, who: &Person, named: &str) -> Result<(WorkerRow, bool)> {
    retry(async || {
        let mut tx = store.begin().await?;
        let worker = worker_named(&mut tx, named).await?;
        let was_drained = withhold::undrain(&mut tx, worker.id).await?;
        if was_drained {
            let message = format!("{} gets jobs again, by request of {}", worker.name, who.name);
            events::append(&mut tx, About::worker(worker.id), "worker undrained", &message).await?;
        }
        audit::append(&mut tx, &[Entry::done(who, "Fleet/Undrain", named, "")]).await?;
        Ok((finish(store, tx, worker.id).await?.worker, was_drained))
    })
    .await
}

/// Notes why a worker gets nothing new, and has what runs there stop if it is to.
async fn withheld(tx: &mut Conn, worker: &WorkerRow, kind: &str, message: &str, now: bool, reason: &str) -> Result<()> {
    events::append(tx, About::worker(worker.id), kind, message).await?;
    tracing::info!(worker = worker.name, kind, message);
    let Some((job, ..)) = withhold::running_on(tx, worker.id).await?.filter(|_| now) else { return Ok(()) };
    let Some(job) = jobs::lock(tx, &[job]).await?.pop() else { return Ok(()) };
    if stop(tx, &job, reason).await? == Stopping::Ended {
        use tandem_domain::state::JobEvent::Requeued;
        jobs::transition(tx, job.id, job.state, Requeued, reason, Duration::ZERO).await?;
    }
    Ok(())
}

async fn finish(store: &Store, mut tx: crate::store::Tx, worker: Uuid) -> Result<Withheld> {
    notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    let running = withhold::running_on(&mut tx, worker).await?;
    let stopping = match &running {
        Some((_, attempt, _)) => crate::store::attempts::is_asked_to_stop(&mut tx, *attempt).await?,
        None => false,
    };
    tx.commit().await?;
    let row = workers::list(&mut *store.reader().await?).await?.into_iter().find(|row| row.id == worker);
    let worker = row.ok_or_else(|| Error::NotFound("this worker has just left".to_owned()))?;
    Ok(Withheld { worker, running: running.map(|(_, _, name)| name).unwrap_or_default(), stopping })
}

fn short(reason: &str) -> Result<String> {
    let reason = clean(reason.trim());
    if reason.chars().count() > REASON_MAX {
        return Err(Error::Invalid(format!("the reason is too long: expected at most {REASON_MAX} characters")));
    }
    Ok(reason)
}

/// For the audit: it stopped what ran there.
fn at_once(now: bool) -> &'static str {
    if now { " --now" } else { "" }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
