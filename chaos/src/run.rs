//! One run of the experiment: quiet, or with faults.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    check,
    cluster::Cluster,
    experiment,
    fault::{FaultKind, Notice},
    inject::{self, ActiveFault, Undo},
    log::log,
    plan::{PlannedFault, Stage},
    queries,
    record::Record,
    recovery::{StateBefore, first_notice, has_new_leader, has_recovered},
    wait::{POLL_INTERVAL, ensure_none_failed, retry, wait_for_end, wait_for_moment, wait_released},
};

/// A job that has not recovered from a fault by then is taken not to recover.
const RECOVERY_LIMIT: Duration = Duration::from_secs(180);

/// A fault that was injected, and what followed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Injection {
    pub(crate) kind: FaultKind,
    pub(crate) victim: String,
    pub(crate) job: String,
    pub(crate) stage: Stage,
    /// Step of the newest point of a curve before the fault, and when the job had recovered.
    pub(crate) step_before: i64,
    pub(crate) step_after: i64,
    pub(crate) seconds_to_notice: Option<f64>,
    pub(crate) seconds_to_next_step: Option<f64>,
    pub(crate) recovered: bool,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct RunResult {
    pub(crate) experiment: String,
    pub(crate) record: Record,
    pub(crate) injections: Vec<Injection>,
    /// What does not hold, in words.
    pub(crate) wrong: Vec<String>,
    pub(crate) seconds: f64,
}

/// Submits the experiment, injects the faults in their order, waits for the end, and checks what is left.
///
/// # Errors
/// When a fault cannot be injected or undone, a job fails, or nothing changes any more.
pub(crate) fn run(cluster: &mut Cluster, faults: &[PlannedFault]) -> Result<RunResult> {
    let began = Instant::now();
    let file = cluster.options.folder.join("chaos.toml");
    let experiment = experiment::submit(&cluster.options.binaries, &cluster.url(), &file)?;
    let mut result = RunResult { experiment, ..RunResult::default() };
    let mut waiting: VecDeque<&PlannedFault> = faults.iter().collect();
    while let Some(fault) = waiting.front().copied() {
        let number = result.injections.len() + 1;
        let Some(before) = wait_for_moment(cluster, &result.experiment, fault)? else { break };
        let Some(injected) = inject::inject(cluster, fault)? else { continue };
        waiting.pop_front();
        log(&format!(
            "fault {number} of {}: {} on {}, while `{}` is at step {}",
            faults.len(),
            fault.kind.name(),
            injected.victim,
            before.job.name,
            before.job.metric_step.unwrap_or(0)
        ));
        let injection = observe(cluster, &result.experiment, fault.kind, &before, injected)?;
        if !injection.recovered {
            result.wrong.push(format!(
                "{} on {}: `{}` had not gone on after {} s",
                fault.kind.name(),
                injection.victim,
                injection.job,
                RECOVERY_LIMIT.as_secs()
            ));
        }
        if let Some(fence) = before.job.live_fence.filter(|_| fault.kind.spares_the_attempt())
            && retry(|| queries::is_lost(&cluster.database, fence))?
        {
            result.wrong.push(format!(
                "{} on {}: the attempt of `{}` was lost, although no process of it was gone",
                fault.kind.name(),
                injection.victim,
                injection.job
            ));
        }
        result.injections.push(injection);
    }
    wait_for_end(cluster, &result.experiment)?;
    for fault in waiting {
        result.wrong.push(format!("{} was not injected: the experiment had ended before", fault.kind.name()));
    }
    result.wrong.extend(wait_released(cluster, &result.experiment));
    result.wrong.extend(retry(|| check::violations(&cluster.database, &result.experiment))?);
    result.record = retry(|| check::record(&cluster.database, &result.experiment))?;
    result.seconds = began.elapsed().as_secs_f64();
    Ok(result)
}

/// Undoes a fault when it is time, and watches until the job has recovered.
fn observe(
    cluster: &mut Cluster,
    experiment: &str,
    kind: FaultKind,
    before: &StateBefore,
    injected: ActiveFault,
) -> Result<Injection> {
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
    let deadline = Instant::now() + RECOVERY_LIMIT;
    while (!lasting.is_empty() || !is_over(&injection)) && Instant::now() < deadline {
        let mut still_lasting: Vec<(Instant, Undo)> = Vec::new();
        for (until, mut undo) in lasting {
            if Instant::now() < until {
                undo.keep_up()?;
                still_lasting.push((until, undo));
            } else {
                undo.undo(cluster)?;
            }
        }
        lasting = still_lasting;
        // While the database is away, nothing is known.
        let _ = watch(cluster, experiment, before, &mut injection)?;
        thread::sleep(POLL_INTERVAL);
    }
    for (_, undo) in lasting {
        undo.undo(cluster)?;
    }
    injection.recovered = is_over(&injection);
    Ok(injection)
}

/// Whether the job goes on and, if the leader was lost, another leads.
fn is_over(injection: &Injection) -> bool {
    let leads = injection.kind.notice() != Notice::Leader || injection.seconds_to_notice.is_some();
    injection.seconds_to_next_step.is_some() && leads
}

/// Asks the database once what the fault has led to; `None` if it is away.
fn watch(cluster: &Cluster, experiment: &str, before: &StateBefore, injection: &mut Injection) -> Result<Option<()>> {
    let kind = injection.kind;
    if injection.seconds_to_notice.is_none() && kind.notice() == Notice::Event {
        let Ok(events) = queries::events_since(&cluster.database, before.last_event) else { return Ok(None) };
        if let Some((at, description)) = first_notice(&events) {
            let seconds = (at - before.at).max(0.0);
            log(&format!("  noticed after {seconds:.1} s ({description})"));
            injection.seconds_to_notice = Some(seconds);
        }
    }
    if injection.seconds_to_notice.is_none() && kind.notice() == Notice::Leader {
        let (Ok(leader), Ok(now)) = (queries::leader(&cluster.database), queries::now(&cluster.database)) else {
            return Ok(None);
        };
        if let Some((name, term)) = leader.filter(|(_, term)| has_new_leader(kind, before.term, *term)) {
            let seconds = (now - before.at).max(0.0);
            log(&format!("  {name} leads after {seconds:.1} s (term {term})"));
            injection.seconds_to_notice = Some(seconds);
        }
    }
    if injection.seconds_to_next_step.is_none() {
        let Ok(jobs) = queries::jobs(&cluster.database, experiment) else { return Ok(None) };
        let Some(job) = jobs.iter().find(|job| job.name == before.job.name) else { return Ok(None) };
        ensure_none_failed(&jobs)?;
        if has_recovered(kind, &before.job, job) {
            let seconds = (job.now - before.at).max(0.0);
            log(&format!("  next committed step after {seconds:.1} s"));
            injection.seconds_to_next_step = Some(seconds);
            injection.step_after = job.metric_step.unwrap_or(i64::MAX);
        }
    }
    Ok(Some(()))
}
