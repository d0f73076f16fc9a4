//! One run of the experiment: quiet, or with faults.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use crate::{
    check,
    db::JobNow,
    experiment,
    fault::{Kind, Notice},
    house::House,
    inject::{self, Injected, Undo},
    plan::{Planned, Stage},
    record::Record,
    say::say,
    watch::{Before, goes_on, led_again, noticed},
};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A fault from which the job has not recovered by then never will.
const RECOVERS_WITHIN: Duration = Duration::from_secs(180);
/// Nothing happens for this long while the next fault waits for its moment, or the end: something hangs.
const STANDS_STILL: Duration = Duration::from_secs(300);
/// Ranks and leases are gone soon after the last job.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// Losses without a checkpoint between them, of the five that a job survives, before a fault waits for one.
const LOSSES_AT_MOST: i64 = 2;

/// A fault that was done, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Injection {
    pub(crate) kind: Kind,
    pub(crate) victim: String,
    pub(crate) job: String,
    pub(crate) stage: Stage,
    /// The newest point of a curve before it, and when the job had recovered.
    pub(crate) step_before: i64,
    pub(crate) step_after: i64,
    pub(crate) seconds_to_notice: Option<f64>,
    pub(crate) seconds_to_next_step: Option<f64>,
    pub(crate) recovered: bool,
}

/// All of a run.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) experiment: String,
    pub(crate) record: Record,
    pub(crate) injections: Vec<Injection>,
    /// What must not be, in words.
    pub(crate) wrong: Vec<String>,
    pub(crate) seconds: f64,
}

/// Submits the experiment, does the faults in their order, waits for the end and looks at what is left.
///
/// # Errors
/// When the harness itself fails, or nothing moves any more.
pub(crate) fn run(house: &mut House, faults: &[Planned]) -> Result<Ran> {
    let began = Instant::now();
    let file = house.order.dir.join("chaos.toml");
    let experiment = experiment::submit(&house.order.tandem, &house.url(), &file)?;
    let mut ran = Ran { experiment, ..Ran::default() };
    let mut waiting: VecDeque<&Planned> = faults.iter().collect();
    while let Some(fault) = waiting.front().copied() {
        let number = ran.injections.len() + 1;
        let Some(before) = moment_for(house, &ran.experiment, fault)? else { break };
        let Some(injected) = inject::inject(house, fault)? else { continue };
        waiting.pop_front();
        say(&format!(
            "fault {number} of {}: {} on {}, while `{}` is at step {}",
            faults.len(),
            fault.kind.name(),
            injected.victim,
            before.job.name,
            before.job.metric_step.unwrap_or(0)
        ));
        let injection = observe(house, &ran.experiment, fault.kind, &before, injected)?;
        if !injection.recovered {
            ran.wrong.push(format!(
                "{} on {}: `{}` had not gone on after {} s",
                fault.kind.name(),
                injection.victim,
                injection.job,
                RECOVERS_WITHIN.as_secs()
            ));
        }
        ran.injections.push(injection);
    }
    until_the_end(house, &ran.experiment)?;
    for fault in waiting {
        ran.wrong.push(format!("{} was not injected: the experiment had ended before", fault.kind.name()));
    }
    settle(house, &ran.experiment, &mut ran.wrong);
    ran.wrong.extend(persist(|| check::violations(&mut house.db, &ran.experiment))?);
    ran.record = persist(|| check::record(&mut house.db, &ran.experiment))?;
    ran.seconds = began.elapsed().as_secs_f64();
    Ok(ran)
}

/// Waits until the fault makes sense: its stage is there, the job trains and has committed a step in this attempt, so
/// many more steps, and a little longer. `None` if the experiment has ended.
fn moment_for(house: &mut House, experiment: &str, fault: &Planned) -> Result<Option<Before>> {
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

/// Watches a fault to its end: it is over, the job goes on.
fn observe(house: &mut House, experiment: &str, kind: Kind, before: &Before, injected: Injected) -> Result<Injection> {
    let mut lasting = injected.undo;
    let mut injection = Injection {
        kind,
        victim: injected.victim,
        job: before.job.name.clone(),
        stage: Stage::of_job(&before.job.name),
        step_before: before.job.metric_step.unwrap_or(0),
        step_after: i64::MAX,
        seconds_to_notice: None,
        seconds_to_next_step: None,
        recovered: false,
    };
    let deadline = Instant::now() + RECOVERS_WITHIN;
    while (!lasting.is_empty() || !is_over(&injection)) && Instant::now() < deadline {
        let mut still_lasting: Vec<(Instant, Undo)> = Vec::new();
        for (until, mut undo) in lasting {
            if Instant::now() < until {
                undo.keep_up()?;
                still_lasting.push((until, undo));
            } else {
                undo.undo(house)?;
            }
        }
        lasting = still_lasting;
        // A database that is away has nothing to say.
        let _ = watch(house, experiment, before, &mut injection)?;
        thread::sleep(LOOK_EVERY);
    }
    for (_, undo) in lasting {
        undo.undo(house)?;
    }
    injection.recovered = is_over(&injection);
    Ok(injection)
}

/// The job goes on, and where a leader was lost another leads.
fn is_over(injection: &Injection) -> bool {
    let leads = injection.kind.notice() != Notice::Leader || injection.seconds_to_notice.is_some();
    injection.seconds_to_next_step.is_some() && leads
}

/// One look; `None` if the database is away.
fn watch(house: &mut House, experiment: &str, before: &Before, injection: &mut Injection) -> Result<Option<()>> {
    let kind = injection.kind;
    if injection.seconds_to_notice.is_none() && kind.notice() == Notice::Event {
        let Ok(events) = house.db.events_since(before.last_event) else { return Ok(None) };
        if let Some((at, words)) = noticed(&events) {
            let seconds = (at - before.at).max(0.0);
            say(&format!("  noticed after {seconds:.1} s ({words})"));
            injection.seconds_to_notice = Some(seconds);
        }
    }
    if injection.seconds_to_notice.is_none() && kind.notice() == Notice::Leader {
        let (Ok(leader), Ok(now)) = (house.db.leader(), house.db.now()) else { return Ok(None) };
        if let Some((name, term)) = leader.filter(|(_, term)| led_again(kind, before.term, *term)) {
            let seconds = (now - before.at).max(0.0);
            say(&format!("  {name} leads after {seconds:.1} s (term {term})"));
            injection.seconds_to_notice = Some(seconds);
        }
    }
    if injection.seconds_to_next_step.is_none() {
        let Ok(jobs) = house.db.jobs(experiment) else { return Ok(None) };
        let Some(job) = jobs.iter().find(|job| job.name == before.job.name) else { return Ok(None) };
        no_failure(&jobs)?;
        if goes_on(kind, &before.job, job) {
            let seconds = (job.now - before.at).max(0.0);
            say(&format!("  next committed step after {seconds:.1} s"));
            injection.seconds_to_next_step = Some(seconds);
            injection.step_after = job.metric_step.unwrap_or(i64::MAX);
        }
    }
    Ok(Some(()))
}

fn until_the_end(house: &mut House, experiment: &str) -> Result<()> {
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

fn no_failure(jobs: &[JobNow]) -> Result<()> {
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
fn settle(house: &mut House, experiment: &str, wrong: &mut Vec<String>) {
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
fn persist<T>(mut question: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match question() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}
