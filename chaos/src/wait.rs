//! Waits for the moment of a fault, for the end of the experiment, and for its ranks and leases to go.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use tandem_harness::try_until;

use crate::{
    cluster::Cluster,
    plan::{PlannedFault, Stage},
    queries::{self, JobStatus},
    recovery::StateBefore,
};

pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// If no job changes for this long while the next fault waits for its moment, or for the end, something hangs.
const STALL_LIMIT: Duration = Duration::from_secs(300);
/// Ranks and leases are gone soon after the last job.
const RELEASE_LIMIT: Duration = Duration::from_secs(30);
/// A job survives five losses without a checkpoint between them. After this many, a fault waits for a checkpoint.
const MOST_LOSSES: i64 = 2;
/// Postgres may just be coming back.
const RETRY_LIMIT: Duration = Duration::from_secs(60);

/// Waits until the fault makes sense: its stage has begun, the job trains, this attempt has committed a step and then
/// `gap` more, and `delay_ms` have passed. `None` if the experiment has ended.
pub(crate) fn wait_for_moment(
    cluster: &Cluster,
    experiment: &str,
    fault: &PlannedFault,
) -> Result<Option<StateBefore>> {
    let mut stall = StallDetector::default();
    let mut seen: Vec<(i64, i64)> = Vec::new();
    loop {
        let jobs = poll_jobs(cluster, experiment, &mut stall)?;
        if all_succeeded(&jobs) {
            return Ok(None);
        }
        let fits = |job: &&JobStatus| {
            Stage::of_job(&job.name) >= fault.stage && job.is_under_way() && job.losses <= MOST_LOSSES
        };
        if let Some(job) = jobs.iter().find(fits) {
            // Few steps remain in an attack, so there is no waiting for more of them.
            let gap = if Stage::of_job(&job.name) == Stage::Attack { 0 } else { fault.gap as usize };
            if let Some(committed) = job.committed().filter(|committed| !seen.contains(committed)) {
                seen.push(committed);
            }
            if seen.len() > gap {
                thread::sleep(Duration::from_millis(fault.delay_ms.into()));
                if let Some(before) = state_before(cluster, experiment)? {
                    return Ok(Some(before));
                }
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// `None` if nothing trains at this very moment.
fn state_before(cluster: &Cluster, experiment: &str) -> Result<Option<StateBefore>> {
    let database = &cluster.database;
    let jobs = retry(|| queries::jobs(database, experiment))?;
    let Some(job) = jobs.into_iter().find(JobStatus::is_under_way) else { return Ok(None) };
    let last_event = retry(|| queries::last_event(database))?;
    let Some((_, term)) = retry(|| queries::leader(database))? else { return Ok(None) };
    let at = retry(|| queries::now(database))?;
    Ok(Some(StateBefore { at, job, last_event, term }))
}

/// Waits until every job has succeeded.
///
/// # Errors
/// When a job fails, or nothing changes any more.
pub(crate) fn wait_for_end(cluster: &Cluster, experiment: &str) -> Result<()> {
    let mut stall = StallDetector::default();
    while !all_succeeded(&poll_jobs(cluster, experiment, &mut stall)?) {
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// None while the database is away.
fn poll_jobs(cluster: &Cluster, experiment: &str, stall: &mut StallDetector) -> Result<Vec<JobStatus>> {
    let jobs = queries::jobs(&cluster.database, experiment).unwrap_or_default();
    ensure_none_failed(&jobs)?;
    stall.check(&jobs)?;
    Ok(jobs)
}

fn all_succeeded(jobs: &[JobStatus]) -> bool {
    !jobs.is_empty() && jobs.iter().all(|job| job.state == "succeeded")
}

pub(crate) fn ensure_none_failed(jobs: &[JobStatus]) -> Result<()> {
    for job in jobs {
        ensure!(job.state != "failed" && job.state != "cancelled", "`{}` {}: {}", job.name, job.state, job.reason);
    }
    Ok(())
}

/// Notices that nothing changes any more.
#[derive(Default)]
struct StallDetector {
    last: Vec<JobStatus>,
    since: Option<Instant>,
}

impl StallDetector {
    fn check(&mut self, jobs: &[JobStatus]) -> Result<()> {
        let jobs: Vec<JobStatus> = jobs.iter().map(|job| JobStatus { now: 0.0, ..job.clone() }).collect();
        if self.since.is_none() || jobs != self.last {
            (self.last, self.since) = (jobs, Some(Instant::now()));
        }
        if self.since.is_some_and(|since| since.elapsed() > STALL_LIMIT) {
            bail!("nothing has changed for {} s: {:#?}", STALL_LIMIT.as_secs(), self.last);
        }
        Ok(())
    }
}

/// Waits until no rank runs and no lease is held. Returns what is wrong if ranks outlive their job; leases that do are
/// found by a rule.
pub(crate) fn wait_released(cluster: &Cluster, experiment: &str) -> Option<String> {
    let mut ranks = Vec::new();
    let released = try_until("ranks and leases are gone", RELEASE_LIMIT, POLL_INTERVAL, || {
        ranks = cluster.ranks();
        let leases = queries::live_leases(&cluster.database, experiment);
        Ok((ranks.is_empty() && leases.is_ok_and(|leases| leases == 0)).then_some(()))
    });
    (released.is_err() && !ranks.is_empty())
        .then(|| format!("ranks still run {} s after the last job: {ranks:?}", RELEASE_LIMIT.as_secs()))
}

/// Asks until there is an answer.
///
/// # Errors
/// The last one, when there was none within a minute.
pub(crate) fn retry<T>(mut question: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last_error = None;
    try_until("an answer of the database", RETRY_LIMIT, POLL_INTERVAL, || {
        Ok(question().inspect_err(|error| last_error = Some(format!("{error:#}"))).ok())
    })
    .map_err(|error| last_error.map_or(error, anyhow::Error::msg))
}
