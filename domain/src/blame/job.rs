//! What becomes of a job after its attempt ended.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    evidence::Evidence,
    input::{missing_inputs, unreadable},
    same::against_the_job,
};
use crate::state::{AttemptState, JobState, RankOutcome, RetryPolicy};

/// A job whose input no worker can read fails after so long ...
const INPUT_WAIT: TimeDelta = TimeDelta::hours(1);
/// ... or after so many attempts.
const INPUT_ATTEMPTS: usize = 20;

/// The next state of a job, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    pub state: JobState,
    /// The wait before it may run again.
    pub delay: Duration,
    pub reason: String,
}

impl Next {
    fn new(state: JobState, reason: impl Into<String>) -> Self {
        Self { state, delay: Duration::ZERO, reason: reason.into() }
    }
}

/// The state of a job after its attempt reached the state `attempt`. `evidence` matters if that is
/// [`AttemptState::Lost`].
pub fn job_after(now: DateTime<Utc>, attempt: AttemptState, evidence: &Evidence, policy: &RetryPolicy) -> Next {
    match attempt {
        AttemptState::Assigned | AttemptState::Starting | AttemptState::Training | AttemptState::Verifying => {
            Next::new(JobState::Running, format!("its attempt is {attempt}"))
        }
        AttemptState::Succeeded => Next::new(JobState::Succeeded, "finished"),
        AttemptState::Failed => {
            Next::new(JobState::Failed, "failed by its own fault: it would fail again and is not retried")
        }
        AttemptState::Cancelled => Next::new(JobState::Cancelled, "cancelled"),
        AttemptState::Preempted => {
            Next::new(JobState::Queued, "preempted at a checkpoint: goes on from there when workers are free")
        }
        AttemptState::Lost => after_loss(now, evidence, policy),
    }
}

fn after_loss(now: DateTime<Utc>, evidence: &Evidence, policy: &RetryPolicy) -> Next {
    let newest = evidence.newest();
    let said = |outcome| newest.iter().any(|rank| rank.outcome == outcome);
    if said(RankOutcome::InputMissing) {
        return after_missing_input(now, evidence);
    }
    if said(RankOutcome::Unknown)
        && let Some(proof) = against_the_job(evidence)
    {
        return Next::new(JobState::Failed, format!("failed by its own fault: {proof}; it is not retried"));
    }
    let (lost, retries) = (evidence.lost_attempts(), policy.backoff.len());
    let Some(delay) = policy.delay(lost) else {
        let is_open = evidence.counted().any(|rank| rank.outcome == RankOutcome::Unknown);
        let doubt = if is_open { "; nothing proves whose fault it was" } else { "" };
        return Next::new(JobState::Failed, format!("given up after {lost} lost attempts ({retries} retries){doubt}"));
    };
    let wait = if delay.is_zero() { "at once".to_owned() } else { format!("after {} s", delay.as_secs()) };
    // As far as it has come since, the worker is not avoided.
    let is_avoided = newest.iter().any(|rank| rank.outcome == RankOutcome::Unknown && !rank.is_recovered);
    let elsewhere = if is_avoided { ", on another worker if there is one" } else { "" };
    Next { delay, ..Next::new(JobState::Queued, format!("attempt lost: retry {lost} of {retries}, {wait}{elsewhere}")) }
}

fn after_missing_input(now: DateTime<Utc>, evidence: &Evidence) -> Next {
    let missing = missing_inputs(evidence.counted());
    let why = unreadable(&missing);
    let attempts = evidence.missing().map(|rank| rank.attempt).collect::<BTreeSet<_>>().len();
    let is_everywhere = evidence.workers_not_asked == 0;
    if evidence.is_proof && is_everywhere {
        return Next::new(JobState::Failed, format!("{why}; nothing can be compared with what is not there"));
    }
    let waited = evidence.missing().map(|rank| now - rank.at).max().unwrap_or_default();
    if attempts >= INPUT_ATTEMPTS || (is_everywhere && waited >= INPUT_WAIT) {
        let minutes = waited.num_minutes();
        return Next::new(JobState::Failed, format!("{why}; given up after {attempts} attempts in {minutes} min"));
    }
    if !is_everywhere {
        return Next::new(JobState::Queued, format!("{why}; is tried on other workers, and uses up no retry"));
    }
    let again = missing.iter().map(|worker| worker.until).min().unwrap_or(now);
    let delay = (again - now).to_std().unwrap_or_default();
    let reason = format!("{why}; no other worker is there, and it is tried again after {} s", delay.as_secs());
    Next { delay, ..Next::new(JobState::Queued, reason) }
}
