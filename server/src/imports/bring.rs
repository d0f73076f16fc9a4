//! Stores what has arrived, in one transaction: each job goes the way of one that a worker of the house ran, in a moment.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use tandem_domain::{
    access::identity::Person,
    receipt::Environment,
    state::{AttemptEvent, AttemptState, JobEvent, JobState, RankOutcome},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    arrival::Arrived,
    checked::{Import, ImportedJob},
};
use crate::{
    conclude::settle,
    error::{Error, Result},
    report::{
        batch::{Batch, Phase, ResultValue, TEXT_BYTES_MAX, TRAINING, short},
        store_batch,
    },
    store::{
        Conn, Store, attempts,
        audit::{self, Entry},
        dependencies,
        events::{self, About},
        experiments::{self, Experiment, Link},
        facts,
        files::Artifact,
        imports,
        jobs::{self, LockedJob, NewJob},
        leases::{self, LeaseHolder},
        notify::{Topic, notify},
        points::{self, Point},
        retry, signed,
    },
    submit::{facts_of, with_keys},
};

/// Points of one statement.
const POINTS: usize = 20_000;
static BRINGING: Semaphore = Semaphore::const_new(1);
/// Placed by no scheduler.
const NO_TERM: i64 = 0;

/// Stores the experiment; `false` if its key is known.
pub(super) async fn bring(
    store: &Store,
    by: &Person,
    experiment: &Experiment,
    import: &Import,
    arrived: &Arrived,
) -> Result<bool> {
    // One after the other: what two of one machine insert alike would have the second wait in the database.
    let _turn = BRINGING.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
    retry(|| bring_once(store, by, experiment, import, arrived)).await
}

async fn bring_once(
    store: &Store,
    by: &Person,
    experiment: &Experiment,
    import: &Import,
    arrived: &Arrived,
) -> Result<bool> {
    let mut tx = store.begin().await?;
    if !experiments::insert(&mut tx, experiment).await? {
        return Ok(false);
    }
    insert_jobs(&mut tx, experiment, import).await?;
    for (job, curves) in import.jobs.iter().zip(&arrived.curves) {
        finish(&mut tx, by, job, curves.iter().map(|(name, curve)| (name.as_str(), curve.as_slice()))).await?;
    }
    let object = format!("{} {}", experiment.name, experiment.id);
    audit::append(&mut tx, &[Entry::done(by, "Results/Import", object, &experiment.owner)]).await?;
    notify(&mut tx, &[Topic::Watch]).await?;
    tx.commit().await?;
    Ok(true)
}

async fn insert_jobs(tx: &mut Conn, experiment: &Experiment, import: &Import) -> Result<()> {
    let plan = with_keys(import.plan.clone(), experiment);
    let links: Vec<Link> = (plan.jobs.iter().zip(&import.jobs))
        .map(|(planned, job)| Link {
            name: job.name.clone(),
            job_id: job.id,
            content_key: planned.content_key.clone(),
            reused: false,
        })
        .collect();
    for (position, (planned, job)) in (0..).zip(plan.jobs.iter().zip(&import.jobs)) {
        let new = NewJob {
            id: job.id,
            experiment: experiment.id,
            spec: &planned.spec,
            content_key: &planned.content_key,
            priority: experiment.priority,
            position,
            work: &planned.work,
            // Nobody measured how long it takes here, nor was it asked of these devices: it is no precedent.
            gflop: 0.0,
            images: planned.images.as_deref(),
            max_seconds: None,
        };
        if !jobs::insert(tx, &new).await? {
            return Err(Error::Bug(format!("the key of job `{}` is of this experiment alone, and known", job.name)));
        }
    }
    facts::put(tx, &facts_of(&plan, &links)).await?;
    let ids: HashMap<&str, Uuid> = links.iter().map(|link| (link.name.as_str(), link.job_id)).collect();
    for (position, (link, planned)) in (0..).zip(links.iter().zip(&plan.jobs)) {
        experiments::link(tx, experiment.id, position, link).await?;
        let inputs: Vec<Uuid> = planned.spec.inputs.iter().filter_map(|name| ids.get(name.as_str()).copied()).collect();
        dependencies::replace(tx, link.job_id, &inputs).await?;
    }
    Ok(())
}

/// From a job that waits to one that has succeeded. Its inputs have.
async fn finish<'c>(
    tx: &mut Conn,
    by: &Person,
    job: &ImportedJob,
    curves: impl Iterator<Item = (&'c str, &'c [(i64, f64)])>,
) -> Result<()> {
    events::append(tx, About::job(job.id), "imported", &format!("brought in by {}", by.name)).await?;
    let worker = imports::put_worker(tx, &job.environment).await?;
    let running = place(tx, job).await?;
    let attempt = attempts::insert(tx, Uuid::new_v4(), job.id, NO_TERM, 1, None, None).await?;
    if !leases::insert(tx, attempt.id, attempt.fence, &[worker]).await? {
        return Err(Error::Conflict("other results of that machine are being brought in; try again".to_owned()));
    }
    let holder = LeaseHolder { worker, attempt: attempt.id, fence: attempt.fence, rank: 0 };
    let now = jobs::now(tx).await?;
    let batch = batch(job, now);
    let gone = || Error::Bug(format!("the attempt of job {} is gone within its transaction", job.id));
    let locked = attempts::lock(tx, attempt.id).await?.ok_or_else(gone)?;
    store_batch(tx, &locked, holder, &batch).await?;
    let at = job.ended.unwrap_or(now).clamp(DateTime::UNIX_EPOCH, now);
    let mut part = Vec::new();
    for (name, curve) in curves {
        for &(step, value) in curve {
            part.push((job.id, attempt.fence, Point { name: name.to_owned(), step, value, at }));
            if part.len() == POINTS {
                points::insert(tx, &part).await?;
                part.clear();
            }
        }
    }
    points::insert(tx, &part).await?;
    leases::release(tx, attempt.id, attempt.fence, 0, RankOutcome::Succeeded, "").await?;
    let locked = attempts::lock(tx, attempt.id).await?.ok_or_else(gone)?;
    // Its files were read as they arrived.
    attempts::transition(tx, &locked, AttemptEvent::RanksSucceeded, "").await?;
    let locked = attempts::lock(tx, attempt.id).await?.ok_or_else(gone)?;
    let leases = leases::lock(tx, attempt.id).await?;
    settle(tx, &running, &locked, &leases, AttemptState::Succeeded, &whence(by, job)).await?;
    Ok(())
}

async fn place(tx: &mut Conn, job: &ImportedJob) -> Result<LockedJob> {
    let gone = || Error::Bug(format!("job {} is gone within its transaction", job.id));
    let locked = jobs::lock(tx, &[job.id]).await?.pop().ok_or_else(gone)?;
    let mut state = locked.state;
    for event in [JobEvent::InputsReady, JobEvent::Placed] {
        if event == JobEvent::InputsReady && state != JobState::Blocked {
            continue;
        }
        state = jobs::transition(tx, job.id, state, event, "", Duration::ZERO).await?.ok_or_else(gone)?;
    }
    Ok(LockedJob { state, ..locked })
}

fn batch(job: &ImportedJob, now: DateTime<Utc>) -> Batch {
    let result = |(name, value): &(String, f64)| ResultValue { name: name.clone(), value: *value, at: now };
    let artifacts = job.files.iter().map(|file| Artifact {
        id: Uuid::new_v4(),
        job_id: job.id,
        kind: file.kind.clone(),
        name: file.name.clone(),
        uri: file.path(job.id),
        sha256: file.sha256.clone(),
        bytes: signed(file.bytes),
        at: now,
    });
    Batch {
        phases: vec![Phase { name: TRAINING.to_owned(), first_step: 0, at: now }],
        results: job.results.iter().map(result).collect(),
        artifacts: artifacts.collect(),
        environment: Some(job.environment.clone()).filter(|known| *known != Environment::default()),
        ..Batch::default()
    }
}

/// For people, and in the receipt.
fn whence(by: &Person, job: &ImportedJob) -> String {
    let known = |text: &str, else_: &str| if text.is_empty() { else_.to_owned() } else { text.to_owned() };
    let Environment { host, device, .. } = &job.environment;
    let on = known(host, "a machine that is not known");
    let device = known(&device.name, &device.kind);
    let device = if device.is_empty() { device } else { format!(" ({device})") };
    let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let when = match (job.began, job.ended) {
        (Some(began), Some(ended)) => format!(" from {} to {}", moment(began), moment(ended)),
        _ => String::new(),
    };
    let told = format!("brought in by {}; computed by `tandem-worker local` on {on}{device}{when}", by.name);
    short(&told, TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use tandem_domain::{access::PersonRole, receipt::Device};

    use super::*;

    #[test]
    fn it_is_said_where_it_comes_from_as_far_as_that_is_known() {
        let job = |environment, began| ImportedJob {
            id: Uuid::nil(),
            name: "encoder".to_owned(),
            environment,
            began,
            ended: began.map(|began: DateTime<Utc>| began + chrono::TimeDelta::minutes(2)),
            results: Vec::new(),
            files: Vec::new(),
        };
        let origin = String::new();
        let ada = Person { name: "ada".to_owned(), role: PersonRole::Submitter, token: None, once: false, origin };
        let device = Device { kind: "cpu".to_owned(), name: "EPYC".to_owned(), ..Device::default() };
        let environment = Environment { host: "laptop".to_owned(), device, ..Environment::default() };
        assert_eq!(
            whence(&ada, &job(environment, DateTime::from_timestamp(1_780_000_000, 0))),
            "brought in by ada; computed by `tandem-worker local` on laptop (EPYC) from 2026-05-28T20:26:40Z to 2026-05-28T20:28:40Z"
        );
        assert_eq!(
            whence(&ada, &job(Environment::default(), None)),
            "brought in by ada; computed by `tandem-worker local` on a machine that is not known"
        );
    }
}
