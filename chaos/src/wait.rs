//! Waits: for the moment of a fault, for the end, for the dust to settle.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use crate::{
    db::JobNow,
    house::House,
    plan::{Planned, Stage},
    watch::Before,
};

pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Nothing happens for this long while the next fault waits for its moment, or the end: something hangs.
const STANDS_STILL: Duration = Duration::from_secs(300);
/// Ranks and leases are gone soon after the last job.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// Losses without a checkpoint between them, of the five that a job survives, before a fault waits for one.
const LOSSES_AT_MOST: i64 = 2;

/// Waits until the fault makes sense: its stage is there, the job trains and has committed a step in this attempt, so
/// many more steps, and a little longer. `None` if the experiment has ended.
pub(crate) fn moment_for(house: &mut House, experiment: &str, fault: &Planned) -> Result<Option<Before>> {
    let mut still = Still::default();
    let mut seen: Vec<(i64, i64)> = Vec::new();
    loop {
        let jobs = look(house, experiment, &mut still)?;
        if !jobs.is_empty() && jobs.iter().all(|job| job.state == "succeeded") {
            return Ok(None);
        }
        let fits = |job: &&JobNow| {
            Stage::of_job(&job.name) >= fault.stage && job.is_under_way() && job.losses <= LOSSES_AT_MOST
        };
        if let Some(job) = jobs.iter().find(fits) {
            // Its last images, and what follows them, are no steps to wait for.
            let gap = if Stage::of_job(&job.name) == Stage::Attack { 0 } else { fault.gap as usize };
            if let Some(committed) = job.committed().filter(|committed| !seen.contains(committed)) {
                seen.push(committed);
            }
            if seen.len() > gap {
                thread::sleep(Duration::from_millis(fault.delay_ms.into()));
                if let Some(before) = before(house, experiment)? {
                    return Ok(Some(before));
                }
            }
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The state of things now; `None` if nothing trains at this very moment.
fn before(house: &mut House, experiment: &str) -> Result<Option<Before>> {
    let jobs = persist(|| house.db.jobs(experiment))?;
    let Some(job) = jobs.into_iter().find(JobNow::is_under_way) else { return Ok(None) };
    let last_event = persist(|| house.db.last_event())?;
    let Some((_, term)) = persist(|| house.db.leader())? else { return Ok(None) };
    let at = persist(|| house.db.now())?;
    Ok(Some(Before { at, job, last_event, term }))
}

pub(crate) fn until_the_end(house: &mut House, experiment: &str) -> Result<()> {
    let mut still = Still::default();
    loop {
        let jobs = look(house, experiment, &mut still)?;
        if !jobs.is_empty() && jobs.iter().all(|job| job.state == "succeeded") {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The jobs as they are; none while the database is away.
fn look(house: &mut House, experiment: &str, still: &mut Still) -> Result<Vec<JobNow>> {
    let jobs = house.db.jobs(experiment).unwrap_or_default();
    no_failure(&jobs)?;
    still.check(&jobs)?;
    Ok(jobs)
}

pub(crate) fn no_failure(jobs: &[JobNow]) -> Result<()> {
    for job in jobs {
        ensure!(job.state != "failed" && job.state != "cancelled", "`{}` {}: {}", job.name, job.state, job.reason);
    }
    Ok(())
}

/// Notices that nothing changes any more.
#[derive(Default)]
struct Still {
    last: Vec<JobNow>,
    since: Option<Instant>,
}

impl Still {
    fn check(&mut self, jobs: &[JobNow]) -> Result<()> {
        let jobs: Vec<JobNow> = jobs.iter().map(|job| JobNow { now: 0.0, ..job.clone() }).collect();
        if self.since.is_none() || jobs != self.last {
            (self.last, self.since) = (jobs, Some(Instant::now()));
        }
        if self.since.is_some_and(|since| since.elapsed() > STANDS_STILL) {
            bail!("nothing has moved for {} s: {:#?}", STANDS_STILL.as_secs(), self.last);
        }
        Ok(())
    }
}

/// No rank may outlive its job, and no lease.
pub(crate) fn settle(house: &mut House, experiment: &str, wrong: &mut Vec<String>) {
    const HELD: &str = "
        SELECT count(*) FROM experiment_jobs e JOIN attempts a ON a.job_id = e.job_id
        JOIN leases l ON l.attempt_id = a.id WHERE e.experiment_id::text = $1 AND l.released_at IS NULL";
    let deadline = Instant::now() + SETTLES_WITHIN;
    loop {
        let held: Vec<(i64,)> = house.db.of(HELD, experiment).unwrap_or_default();
        let ranks = house.ranks();
        if ranks.is_empty() && held == [(0,)] {
            return;
        }
        if Instant::now() > deadline {
            if !ranks.is_empty() {
                wrong.push(format!("ranks still run {} s after the last job: {ranks:?}", SETTLES_WITHIN.as_secs()));
            }
            // Leases that are held are one of the rules.
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Asks until there is an answer: Postgres may just be coming back.
pub(crate) fn persist<T>(mut question: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match question() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}
