//! Makes messages of what has happened, and puts them into the outbox: one transaction, of the leader alone.

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::telling::words::NAMED_MAX;
use uuid::Uuid;

use super::compose::{Event, failed_job, of_ending, of_failed, of_waiting, of_worker};
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store, endings, happenings, leader,
        notify_targets::{self, Listener},
        tells::{self, NewTell},
    },
};

/// Happenings that are looked at together.
const PAGE: i64 = 500;
/// Experiments that wait, of which one pass tells.
const WAITING_MAX: i64 = 200;
/// The figures that people ask an experiment for, the first that it has.
const BEST: [&str; 4] = ["test_accuracy", "linear_accuracy", "validation_accuracy", "knn_accuracy"];

/// Tells of what has happened since; returns whether there may be more. Nothing where this coordinator does not lead.
pub(crate) async fn happened(store: &Store, term: i64, now: DateTime<Utc>) -> Result<bool> {
    let mut tx = store.begin().await?;
    if !leader::is_current(&mut tx, term).await? {
        return Ok(false);
    }
    let happenings = happenings::take(&mut tx, PAGE).await?;
    if happenings.is_empty() {
        return Ok(false);
    }
    let is_full = i64::try_from(happenings.len()).is_ok_and(|count| count == PAGE);
    let jobs: Vec<Uuid> = happenings.iter().filter_map(|one| one.job).collect();
    let listeners = notify_targets::listeners(&mut tx).await?;
    let mut told = Vec::new();
    if !jobs.is_empty() {
        for event in of_jobs(&mut tx, &jobs, &listeners).await? {
            tell(&mut told, &event, &listeners, None)?;
        }
    }
    for happening in &happenings {
        if let Some(worker) = &happening.worker {
            tell(&mut told, &of_worker(happening, worker), &listeners, None)?;
        }
    }
    tells::put(&mut tx, now, &told).await?;
    tx.commit().await?;
    Ok(is_full)
}

async fn of_jobs(tx: &mut Conn, jobs: &[Uuid], listeners: &[Listener]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    if listeners.iter().any(|one| one.wants.job_failed) {
        events.extend(endings::failed(tx, jobs).await?.iter().map(of_failed));
    }
    for ending in endings::ended(tx, jobs).await? {
        if !listeners.iter().any(|one| one.of_all || one.person == ending.owner) {
            continue;
        }
        let best = endings::best(tx, ending.id, &BEST).await?;
        let named = i64::try_from(NAMED_MAX).unwrap_or(i64::MAX);
        let failures = endings::failures(tx, ending.id, named).await?;
        let failures = failures.iter().map(|(id, name, why)| failed_job(id, name, why)).collect();
        events.push(of_ending(&ending, best, failures));
    }
    Ok(events)
}

/// Tells of experiments that have waited for as long as somebody has said.
pub(crate) async fn waiting(store: &Store, term: i64, now: DateTime<Utc>) -> Result<()> {
    let mut tx = store.begin().await?;
    if !leader::is_current(&mut tx, term).await? {
        return Ok(());
    }
    let listeners = notify_targets::listeners(&mut tx).await?;
    let Some(shortest) = listeners.iter().filter_map(|one| one.wants.waits).min() else { return Ok(()) };
    let owners: Vec<String> =
        listeners.iter().filter(|one| one.wants.waits.is_some()).map(|one| one.person.clone()).collect();
    let is_of_all = listeners.iter().any(|one| one.of_all && one.wants.waits.is_some());
    let owners = (!is_of_all).then_some(owners.as_slice());
    let before = now - TimeDelta::from_std(shortest).unwrap_or_default();
    let mut told = Vec::new();
    for waiting in endings::waiting(&mut tx, owners, before, WAITING_MAX).await? {
        let waited = (now - waiting.since).as_seconds_f64();
        tell(&mut told, &of_waiting(&waiting, now), &listeners, Some(waited))?;
    }
    tells::put(&mut tx, now, &told).await?;
    tx.commit().await?;
    Ok(())
}

fn tell(told: &mut Vec<NewTell>, event: &Event, listeners: &[Listener], waited: Option<f64>) -> Result<()> {
    for listener in listeners.iter().filter(|listener| event.is_for(listener, waited)) {
        let tell = event.told(&listener.id, &listener.person);
        told.push(tell.map_err(|error| Error::Bug(format!("a message that is no JSON: {error}")))?);
    }
    Ok(())
}
