//! From the ends of ranks to the end of their attempt, and from there to the next state of the job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{attempt::AttemptState, labels::labels};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankOutcome {
    Succeeded,
    /// A closed list of causes that only the spec can have, as a loss that is not finite: final.
    JobFailed,
    /// A full disk, a device that is gone: the machine is at fault.
    Lost,
    /// It ended without success, and nothing says by whose fault: a crash, a signal, an error of libtorch.
    Unknown,
    /// An input, or the store, could not be read; or what the rank wrote was not there, or not whole, when it was read back.
    /// The job is not at fault.
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

/// Outcomes that say by themselves why an attempt was lost, the surest first; that of a peer only follows from them.
pub const FAULTS: [RankOutcome; 3] = [RankOutcome::Lost, RankOutcome::InputMissing, RankOutcome::Unknown];

/// How often and how soon a job is tried again after a lost attempt.
///
/// Only lost attempts count: a job that fails by its own fault would fail again, and neither a preempted one nor one
/// whose input is missing is at fault.
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
    } else if FAULTS.into_iter().chain([RankOutcome::PeerLost]).any(any) {
        Some(AttemptState::Lost)
    } else {
        all_ended.then_some(AttemptState::Succeeded)
    }
}

/// The state that a verdict leads to at first: an attempt whose ranks all succeeded has succeeded once the artifacts that
/// it left, if any, are read back.
pub const fn state_after_ranks(verdict: AttemptState, left_artifacts: bool) -> AttemptState {
    match verdict {
        AttemptState::Succeeded if left_artifacts => AttemptState::Verifying,
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::RankOutcome::*;
    use super::*;

    #[test]
    fn verdicts() {
        let cases: [(&[Option<RankOutcome>], Option<AttemptState>); 15] = [
            (&[], None),
            (&[None, None], None),
            (&[Some(Succeeded), None], None),
            (&[Some(Succeeded), Some(Succeeded)], Some(AttemptState::Succeeded)),
            (&[Some(Lost), None], Some(AttemptState::Lost)),
            (&[Some(Succeeded), Some(Lost)], Some(AttemptState::Lost)),
            (&[Some(PeerLost), None], Some(AttemptState::Lost)),
            (&[Some(Unknown), None], Some(AttemptState::Lost)),
            (&[Some(InputMissing), None], Some(AttemptState::Lost)),
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
    fn only_a_success_that_left_artifacts_is_read_back() {
        assert_eq!(state_after_ranks(AttemptState::Succeeded, true), AttemptState::Verifying);
        assert_eq!(state_after_ranks(AttemptState::Succeeded, false), AttemptState::Succeeded);
        for verdict in [AttemptState::Failed, AttemptState::Lost, AttemptState::Preempted, AttemptState::Cancelled] {
            assert_eq!(state_after_ranks(verdict, true), verdict);
        }
    }
}
