//! From the end of ranks to the end of their attempt, and from there to the next state of the job: one transaction.
//!
//! A worker reports an end (`report`), its lease has expired (`reap`), or the artifacts of an attempt whose ranks
//! succeeded were read back (`verify`). `domain::state` makes the decisions.

use tandem_domain::{
    blame::{Evidence, Next, job_after},
    place::OVER_TIME,
    quarantine::quarantine,
    state::{
        AttemptEvent, AttemptState, FAULTS, JobEvent, JobState, RankOutcome, RetryPolicy, attempt_verdict,
        state_after_ranks,
    },
};
use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        Conn,
        attempts::{self, LockedAttempt, StopAsked},
        events::{self, About},
        evidence, experiments,
        jobs::{self, LockedJob},
        leases::{self, LockedLease},
        measures,
        notify::{Topic, notify},
        times, verifying, wishes, workers,
    },
};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RankEnd {
    pub(crate) outcome: RankOutcome,
    pub(crate) cause: String,
}

/// Locks an attempt with its job, calls `ended` for each rank that still holds its lease, and draws the conclusions.
/// Returns the number of ranks that ended now.
pub(crate) async fn conclude(
    tx: &mut Conn,
    attempt: Uuid,
    mut ended: impl FnMut(&LockedLease) -> Option<RankEnd>,
) -> Result<usize> {
    let Some(job) = attempts::job_of(tx, attempt).await? else { return Ok(0) };
    let Some(job) = jobs::lock_for_ranks(tx, job).await? else { return Ok(0) };
    let Some(attempt) = attempts::lock(tx, attempt).await? else { return Ok(0) };
    let mut leases = leases::lock(tx, attempt.id).await?;
    let fault_was_known = leases.iter().any(|lease| lease.outcome.is_some_and(|outcome| FAULTS.contains(&outcome)));

    let mut causes = Vec::new();
    for lease in leases.iter_mut().filter(|lease| lease.outcome.is_none()) {
        let Some(end) = ended(lease) else { continue };
        if leases::release(tx, attempt.id, lease.fence, lease.rank, end.outcome, &end.cause).await? {
            let cause = describe(lease, &end);
            let about = About { worker: Some(lease.worker), ..About::attempt(job.id, attempt.id) };
            events::append(tx, about, "rank ended", &cause).await?;
            if end.outcome == RankOutcome::Lost {
                quarantine_if_due(tx, lease.worker, &lease.worker_name).await?;
            }
            lease.outcome = Some(end.outcome);
            causes.push((end.outcome, cause));
        }
    }
    if causes.is_empty() {
        return Ok(0);
    }
    if causes.iter().any(|(outcome, _)| *outcome == RankOutcome::Lost) {
        // It is lost here, too: that is evidence for the workers where it was lost before.
        for (worker, name) in evidence::suspects(tx, job.id).await? {
            lift_if_unfounded(tx, worker, &name).await?;
        }
    }
    let outcomes: Vec<Option<RankOutcome>> = leases.iter().map(|lease| lease.outcome).collect();
    if !attempt.state.is_ended()
        && let Some(verdict) = attempt_verdict(&outcomes)
    {
        let left_artifacts =
            verdict == AttemptState::Succeeded && verifying::left_artifacts(tx, job.id, attempt.fence).await?;
        match state_after_ranks(verdict, left_artifacts) {
            AttemptState::Verifying => begin_verifying(tx, &attempt).await?,
            end => settle(tx, &job, &attempt, &leases, end, &deciding_cause(end, &causes)).await?,
        }
    } else if attempt.state == AttemptState::Lost
        && !fault_was_known
        && let Some((_, cause)) = causes.iter().find(|(outcome, _)| FAULTS.contains(outcome))
    {
        // The peers of the rank at fault may have been reported first.
        attempts::set_cause(tx, &attempt, cause).await?;
    }
    // A worker is free, other ranks may have to stop, and clients watch.
    notify(tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    Ok(causes.len())
}

/// The ranks have succeeded: what they made is read back before the job has.
async fn begin_verifying(tx: &mut Conn, attempt: &LockedAttempt) -> Result<()> {
    if attempts::transition(tx, attempt, AttemptEvent::RanksSucceeded, "").await?.is_none() {
        return Ok(());
    }
    verifying::show_phase(tx, attempt.job, attempt.fence).await?;
    let message = "all ranks have succeeded; what they made is read back before the job has";
    events::append(tx, About::attempt(attempt.job, attempt.id), AttemptState::Verifying.label(), message).await?;
    notify(tx, &[Topic::Verify]).await?;
    tracing::info!(attempt = %attempt.id, job = %attempt.job, fence = attempt.fence, "ranks succeeded; verifying");
    Ok(())
}

/// Ends an attempt and moves its job on.
pub(crate) async fn settle(
    tx: &mut Conn,
    job: &LockedJob,
    attempt: &LockedAttempt,
    leases: &[LockedLease],
    verdict: AttemptState,
    cause: &str,
) -> Result<()> {
    end_attempt(tx, attempt, leases, verdict, cause).await?;
    move_job(tx, job, attempt, verdict, cause).await?;
    if verdict == AttemptState::Succeeded && attempt.number > 1 {
        // It went well here: that is evidence about the workers where it did not.
        for (worker, name) in evidence::suspects(tx, job.id).await? {
            quarantine_if_due(tx, worker, &name).await?;
        }
    }
    Ok(())
}

/// Ends an attempt. Ranks that were not dispatched end with it; the others keep their leases until they have ended.
pub(crate) async fn end_attempt(
    tx: &mut Conn,
    attempt: &LockedAttempt,
    leases: &[LockedLease],
    state: AttemptState,
    cause: &str,
) -> Result<()> {
    if attempts::transition(tx, attempt, state.end_event(), cause).await?.is_none() {
        return Ok(());
    }
    for lease in leases.iter().filter(|lease| lease.outcome.is_none() && !lease.is_dispatched) {
        let (outcome, cause) =
            (RankOutcome::Cancelled, "the attempt ended before the assignment was sent to its worker");
        leases::release(tx, attempt.id, lease.fence, lease.rank, outcome, cause).await?;
    }
    let message = match cause {
        "" => format!("attempt {} {state}", attempt.number),
        cause => format!("attempt {} {state}: {cause}", attempt.number),
    };
    events::append(tx, About::attempt(attempt.job, attempt.id), "attempt ended", &message).await?;
    // Ranks that succeeded had no stop to make.
    let has_run = matches!(state, AttemptState::Succeeded) || attempt.state == AttemptState::Verifying;
    if attempt.stop.as_ref().is_some_and(|stop| !stop.is_saved) && !has_run {
        attempts::set_saved_nothing(tx, attempt).await?;
    }
    if let Some(stop) = attempt.stop.as_ref().filter(|_| state == AttemptState::Preempted) {
        let about = About::attempt(attempt.job, attempt.id);
        events::append(tx, about, "cost of the stop", &stop_cost(attempt, stop)).await?;
    }
    measures::stop_progress(tx, attempt.job).await?;
    tracing::info!(attempt = %attempt.id, job = %attempt.job, fence = attempt.fence, %state, cause, "attempt ended");
    Ok(())
}

/// What a stop has cost, and what was at stake, in words.
fn stop_cost(attempt: &LockedAttempt, stop: &StopAsked) -> String {
    let devices = attempt.world_size;
    let stopping = stop.seconds * f64::from(devices);
    let (lost, why) =
        if stop.is_saved { (0.0, "its checkpoint was written") } else { (stop.at_stake, "no checkpoint was written") };
    format!(
        "stopping took {:.1} s of {devices} device{} ({stopping:.1} device-seconds); {lost:.1} of the {:.1} \
         device-seconds at stake are computed again, as {why}",
        stop.seconds,
        if devices == 1 { "" } else { "s" },
        stop.at_stake
    )
}

/// Quarantines a worker if it lost too many jobs by its own fault.
async fn quarantine_if_due(tx: &mut Conn, worker: Uuid, name: &str) -> Result<()> {
    let losses = evidence::losses(tx, worker).await?;
    let now = jobs::now(tx).await?;
    let Some(reason) = quarantine(now, &losses) else { return Ok(()) };
    if workers::quarantine(tx, worker, &reason).await? {
        let message = format!("{name} gets no jobs for an hour, or until `tandem release {name}`: {reason}");
        events::append(tx, About::worker(worker), "worker quarantined", &message).await?;
        tracing::warn!(%worker, name, reason, "worker quarantined");
    }
    Ok(())
}

/// Ends the quarantine of a worker that would not be in one by what is known now.
async fn lift_if_unfounded(tx: &mut Conn, worker: Uuid, name: &str) -> Result<()> {
    let Some(since) = workers::quarantined_since(tx, worker).await? else { return Ok(()) };
    let losses = evidence::losses(tx, worker).await?;
    if quarantine(since, &losses).is_none() && workers::lift_quarantine(tx, worker).await? {
        let message = format!("{name} gets jobs again: what was lost on it is lost on other workers, too");
        events::append(tx, About::worker(worker), "quarantine lifted", &message).await?;
        tracing::info!(%worker, name, "quarantine lifted");
    }
    Ok(())
}

/// Moves a job on after an attempt has ended.
pub(crate) async fn move_job(
    tx: &mut Conn,
    job: &LockedJob,
    attempt: &LockedAttempt,
    verdict: AttemptState,
    cause: &str,
) -> Result<()> {
    let known = match verdict {
        AttemptState::Lost => evidence::of_job(tx, job.id).await?,
        _ => Evidence::default(),
    };
    let now = jobs::now(tx).await?;
    let Next { state, delay, reason: why } = job_after(now, verdict, &known, &RetryPolicy::default());
    // Who wanted it was disabled, and it was asked to stop at a checkpoint.
    let (state, why) = match state {
        JobState::Queued if !experiments::is_wanted(tx, job.id).await? => {
            (JobState::Cancelled, "nobody wants it any more".to_owned())
        }
        JobState::Queued
            if attempt
                .stop
                .as_ref()
                .is_some_and(|stop| verdict == AttemptState::Preempted && stop.reason == OVER_TIME) =>
        {
            let time = times::now(tx, &[job.id]).await?.remove(&job.id);
            // What the policy allows nobody can ask more of.
            let goes_on = match time {
                Some(time) if time.asked.is_none_or(|asked| time.longest.is_some_and(|longest| longest < asked)) => {
                    "as the policy sets it: an admin may allow more, and `tandem requeue` goes on from its checkpoint"
                }
                _ => "`tandem requeue --max-time` goes on from its checkpoint",
            };
            (JobState::Failed, format!("{OVER_TIME}; {goes_on}"))
        }
        JobState::Queued => match wishes::paused_by_all(tx, &[job.id]).await?.pop() {
            Some((_, by)) => (JobState::Paused, format!("paused by {by}; `tandem resume` goes on from its checkpoint")),
            None => (state, why),
        },
        _ => (state, why),
    };
    let (event, kind) = match state {
        JobState::Succeeded => (JobEvent::Succeeded, "succeeded"),
        JobState::Failed => (JobEvent::Failed, "failed"),
        JobState::Cancelled => (JobEvent::Cancelled, "cancelled"),
        JobState::Paused => (JobEvent::Paused, "paused"),
        JobState::Queued | JobState::Blocked | JobState::Running => (JobEvent::Requeued, "requeued"),
    };
    let reason = match (state, cause) {
        (JobState::Succeeded, _) => String::new(),
        // Who paused it is all that there is to say.
        (JobState::Paused, _) => why.clone(),
        (JobState::Failed, _) if why.starts_with(OVER_TIME) => why.clone(),
        (_, "") => why.clone(),
        (_, cause) => format!("{cause}; {why}"),
    };
    // A job that was cancelled meanwhile stays cancelled.
    if jobs::transition(tx, job.id, JobState::Running, event, &reason, delay).await?.is_some() {
        events::append(tx, About::attempt(job.id, attempt.id), kind, &why).await?;
        tracing::info!(job = %job.id, name = job.name, %state, reason, "job moved on");
    }
    Ok(())
}

/// The cause of the rank that decided the verdict.
fn deciding_cause(verdict: AttemptState, causes: &[(RankOutcome, String)]) -> String {
    let wanted: &[RankOutcome] = match verdict {
        AttemptState::Failed => &[RankOutcome::JobFailed],
        AttemptState::Preempted => &[RankOutcome::Preempted],
        AttemptState::Cancelled => &[RankOutcome::Cancelled],
        AttemptState::Succeeded => return String::new(),
        _ => &FAULTS,
    };
    // The causes of its peers only follow from that rank.
    let of = |wanted: &RankOutcome| causes.iter().find(|(outcome, _)| outcome == wanted);
    wanted.iter().find_map(of).or_else(|| causes.first()).map(|(_, cause)| cause.clone()).unwrap_or_default()
}

fn describe(lease: &LockedLease, end: &RankEnd) -> String {
    let what = match (end.outcome, end.cause.as_str()) {
        (RankOutcome::Succeeded, _) => "finished",
        (outcome, "") => outcome.label(),
        (_, cause) => cause,
    };
    format!("rank {} on {}: {what}", lease.rank, lease.worker_name)
}
