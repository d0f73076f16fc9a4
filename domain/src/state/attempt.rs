//! One execution of a job by a gang.

use serde::{Deserialize, Serialize};

use super::labels::{InvalidTransition, labels};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptState {
    /// Its workers are claimed; no rank has reported yet.
    Assigned,
    /// A rank's process runs: loading libtorch, meeting the others, reading data.
    Starting,
    /// A rank makes steps.
    Training,
    /// Its ranks have succeeded and its workers are free; what it made is being read back.
    Verifying,
    Succeeded,
    /// The job's own fault.
    Failed,
    /// The machine's fault: a dead process, a lease that ran out.
    Lost,
    /// Stopped at a checkpoint because its workers were wanted back.
    Preempted,
    Cancelled,
}

labels!(AttemptState, "attempt state", {
    Assigned = "assigned",
    Starting = "starting",
    Training = "training",
    Verifying = "verifying",
    Succeeded = "succeeded",
    Failed = "failed",
    Lost = "lost",
    Preempted = "preempted",
    Cancelled = "cancelled",
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptEvent {
    /// A rank's process has started. Every rank reports it; only the first report changes the state.
    RankStarted,
    /// A rank finished its first step.
    TrainingBegan,
    /// All ranks succeeded, and they left artifacts.
    RanksSucceeded,
    Succeeded,
    Failed,
    Lost,
    Preempted,
    Cancelled,
}

labels!(AttemptEvent, "attempt event", {
    RankStarted = "started",
    TrainingBegan = "in training",
    RanksSucceeded = "verified",
    Succeeded = "succeeded",
    Failed = "failed",
    Lost = "lost",
    Preempted = "preempted",
    Cancelled = "cancelled",
});

impl AttemptState {
    /// The event that ends an attempt in this state; `Lost` for states that are not final.
    pub const fn end_event(self) -> AttemptEvent {
        match self {
            Self::Succeeded => AttemptEvent::Succeeded,
            Self::Failed => AttemptEvent::Failed,
            Self::Preempted => AttemptEvent::Preempted,
            Self::Cancelled => AttemptEvent::Cancelled,
            Self::Lost | Self::Assigned | Self::Starting | Self::Training | Self::Verifying => AttemptEvent::Lost,
        }
    }

    /// Whether the state is final: its fence is stale, and its workers become free as their ranks end.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Lost | Self::Preempted | Self::Cancelled)
    }

    /// The state that follows `event`.
    ///
    /// Ranks report independently, so "started" of one may come after "in training" of another: the state never goes
    /// back.
    /// A short job may succeed before its first progress report, so every end can follow every live state.
    ///
    /// # Errors
    /// When the attempt has ended: whoever reports is stale.
    pub const fn after(self, event: AttemptEvent) -> Result<Self, InvalidTransition> {
        if self.is_ended() {
            return Err(InvalidTransition { subject: "the attempt", state: self.label(), event: event.label() });
        }
        Ok(match (self, event) {
            (Self::Assigned, AttemptEvent::RankStarted) => Self::Starting,
            (live, AttemptEvent::RankStarted) | (live @ Self::Verifying, AttemptEvent::TrainingBegan) => live,
            (_, AttemptEvent::TrainingBegan) => Self::Training,
            (_, AttemptEvent::RanksSucceeded) => Self::Verifying,
            (_, AttemptEvent::Succeeded) => Self::Succeeded,
            (_, AttemptEvent::Failed) => Self::Failed,
            (_, AttemptEvent::Lost) => Self::Lost,
            (_, AttemptEvent::Preempted) => Self::Preempted,
            (_, AttemptEvent::Cancelled) => Self::Cancelled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttemptEvent as E;
    use AttemptState as S;

    #[test]
    fn two_ranks_report_in_any_order() {
        let orders = [
            [E::RankStarted, E::RankStarted, E::TrainingBegan, E::TrainingBegan, E::Succeeded],
            [E::RankStarted, E::TrainingBegan, E::RankStarted, E::TrainingBegan, E::Succeeded],
        ];
        for order in orders {
            assert_eq!(order.into_iter().try_fold(S::Assigned, S::after), Ok(S::Succeeded));
        }
        assert_eq!(S::Training.after(E::RankStarted), Ok(S::Training));
    }

    #[test]
    fn what_is_read_back_is_not_over_and_nobody_trains_it_any_more() {
        let life = [E::RankStarted, E::TrainingBegan, E::RanksSucceeded, E::TrainingBegan, E::RankStarted];
        assert_eq!(life.into_iter().try_fold(S::Assigned, S::after), Ok(S::Verifying));
        assert!(!S::Verifying.is_ended());
        for (event, end) in [(E::Succeeded, S::Succeeded), (E::Lost, S::Lost), (E::Cancelled, S::Cancelled)] {
            assert_eq!(S::Verifying.after(event), Ok(end));
        }
    }

    #[test]
    fn a_stale_reporter_is_told_so() {
        for &end in S::ALL.iter().filter(|state| state.is_ended()) {
            for event in [
                E::RankStarted,
                E::TrainingBegan,
                E::RanksSucceeded,
                E::Succeeded,
                E::Failed,
                E::Lost,
                E::Preempted,
                E::Cancelled,
            ] {
                assert!(end.after(event).is_err(), "{end} can be left by {event:?}");
            }
        }
    }
}
