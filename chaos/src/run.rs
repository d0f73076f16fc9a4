//! One run of the experiment: quiet, or with faults.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    check, experiment,
    fault::{Kind, Notice},
    house::House,
    inject::{self, Injected, Undo},
    plan::{Planned, Stage},
    record::Record,
    say::say,
    wait::{LOOK_EVERY, moment_for, no_failure, persist, settle, until_the_end},
    watch::{Before, goes_on, led_again, noticed},
};

/// A fault from which the job has not recovered by then never will.
const RECOVERS_WITHIN: Duration = Duration::from_secs(180);

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
