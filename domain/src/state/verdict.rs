//! From the ends of ranks to the end of their attempt, and from there to the next state of the job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{attempt::AttemptState, job::JobState, labels::labels};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankOutcome {
    Succeeded,
    /// Bad data, a loss that is not finite: trying again would end the same way.
    JobFailed,
    /// A full disk, a device that is gone: the machine is at fault.
    Lost,
    /// It ended without success, and nothing says by whose fault: a crash, a signal, an error of libtorch.
    Unknown,
    /// An input, or the store, could not be read. The job is not at fault.
    InputMissing,
    /// Another rank of its gang ended, and this one could not go on.
    PeerLost,
    /// Stopped at a step with a checkpoint, as asked.
    Preempted,
    Cancelled,
}

labels!(RankOutcome, "rank outcome", {
    Succeeded = "succeeded",
    JobFailed = "job_failed",
    Lost = "lost",
    Unknown = "unknown",
    InputMissing = "input_missing",
    PeerLost = "peer_lost",
    Preempted = "preempted",
    Cancelled = "cancelled",
});

/// How often and how soon a job is tried again after a lost attempt.
///
/// Only lost attempts count: a job that fails by its own fault would fail again, and a preempted one is not at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait before the first, second, ... retry; as many retries as entries.
    pub backoff: Vec<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { backoff: [0, 1, 5, 15, 60].map(Duration::from_secs).to_vec() }
    }
}

impl RetryPolicy {
    /// How long a job waits after its `lost_attempts`-th lost attempt (from 1); `None` if it is given up.
    pub fn delay(&self, lost_attempts: u32) -> Option<Duration> {
        let retry = usize::try_from(lost_attempts).ok()?.saturating_sub(1);
        self.backoff.get(retry).copied()
    }
}

/// The final state of an attempt, from the outcomes of its ranks (`None`: still runs); `None` while it goes on.
///
/// The first rank that fails or is lost decides at once, because its peers wait in a collective until somebody ends
/// them. A rank that stops does not: all ranks stop at the same step, and the others are about to report it. If one of
/// them is lost while stopping, the attempt is still preempted, because there is a checkpoint.
pub fn attempt_verdict(outcomes: &[Option<RankOutcome>]) -> Option<AttemptState> {
    let any = |outcome| outcomes.contains(&Some(outcome));
    let all_ended = !outcomes.is_empty() && outcomes.iter().all(Option::is_some);
    if any(RankOutcome::JobFailed) {
        Some(AttemptState::Failed)
    } else if any(RankOutcome::Cancelled) {
        Some(AttemptState::Cancelled)
    } else if any(RankOutcome::Preempted) {
        all_ended.then_some(AttemptState::Preempted)
    } else if [RankOutcome::Lost, RankOutcome::Unknown, RankOutcome::InputMissing, RankOutcome::PeerLost]
        .map(any)
        .contains(&true)
    {
        Some(AttemptState::Lost)
    } else {
        all_ended.then_some(AttemptState::Succeeded)
    }
}

/// The state of a job after its attempt reached state `attempt`, and why.
///
/// `lost_attempts` counts the lost attempts of the job, this one included. For a requeued job the wait before the
/// next attempt is [`RetryPolicy::delay`].
pub fn job_after(attempt: AttemptState, lost_attempts: u32, policy: &RetryPolicy) -> (JobState, String) {
    match attempt {
        AttemptState::Assigned | AttemptState::Starting | AttemptState::Training => {
            (JobState::Running, format!("its attempt is {attempt}"))
        }
        AttemptState::Succeeded => (JobState::Succeeded, "finished".to_owned()),
        AttemptState::Failed => {
            (JobState::Failed, "failed by its own fault: it would fail again and is not retried".to_owned())
        }
        AttemptState::Cancelled => (JobState::Cancelled, "cancelled".to_owned()),
        AttemptState::Preempted => {
            (JobState::Queued, "preempted at a checkpoint: goes on from there when workers are free".to_owned())
        }
        AttemptState::Lost => {
            let retries = policy.backoff.len();
            match policy.delay(lost_attempts) {
                Some(delay) if delay.is_zero() => {
                    (JobState::Queued, format!("attempt lost: retry {lost_attempts} of {retries}, at once"))
                }
                Some(delay) => (
                    JobState::Queued,
                    format!("attempt lost: retry {lost_attempts} of {retries}, after {} s", delay.as_secs()),
                ),
                None => (JobState::Failed, format!("given up after {lost_attempts} lost attempts ({retries} retries)")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RankOutcome::*;
    use super::*;

    #[test]
    fn verdicts() {
        let cases: [(&[Option<RankOutcome>], Option<AttemptState>); 13] = [
            (&[], None),
            (&[None, None], None),
            (&[Some(Succeeded), None], None),
            (&[Some(Succeeded), Some(Succeeded)], Some(AttemptState::Succeeded)),
            (&[Some(Lost), None], Some(AttemptState::Lost)),
            (&[Some(Succeeded), Some(Lost)], Some(AttemptState::Lost)),
            (&[Some(PeerLost), None], Some(AttemptState::Lost)),
            // A peer that lost the failing rank may report first or last: the fault is the job's.
            (&[Some(Lost), Some(JobFailed)], Some(AttemptState::Failed)),
            (&[None, Some(JobFailed)], Some(AttemptState::Failed)),
            (&[Some(Preempted), None], None),
            (&[Some(Preempted), Some(Lost)], Some(AttemptState::Preempted)),
            (&[Some(Preempted), Some(Preempted)], Some(AttemptState::Preempted)),
            (&[Some(Cancelled), None], Some(AttemptState::Cancelled)),
        ];
        for (outcomes, expected) in cases {
            assert_eq!(attempt_verdict(outcomes), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn lost_attempts_are_retried_five_times_then_given_up() {
        let policy = RetryPolicy::default();
        for lost in 1..=5 {
            assert_eq!(job_after(AttemptState::Lost, lost, &policy).0, JobState::Queued, "loss {lost}");
        }
        let (state, reason) = job_after(AttemptState::Lost, 6, &policy);
        assert_eq!(state, JobState::Failed);
        assert_eq!(reason, "given up after 6 lost attempts (5 retries)");
        assert_eq!(policy.delay(1), Some(Duration::ZERO));
        assert_eq!(policy.delay(3), Some(Duration::from_secs(5)));
        assert_eq!(policy.delay(6), None);
    }

    #[test]
    fn failures_are_never_retried_and_preemption_never_counts() {
        let policy = RetryPolicy::default();
        assert_eq!(job_after(AttemptState::Failed, 0, &policy).0, JobState::Failed);
        assert_eq!(job_after(AttemptState::Preempted, 1000, &policy).0, JobState::Queued);
    }
}
