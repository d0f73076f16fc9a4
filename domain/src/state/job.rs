//! The state of a job, as people see it.

use serde::{Deserialize, Serialize};

use super::labels::{InvalidTransition, labels};

/// State of a job. Its attempts have states of their own ([`super::AttemptState`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for the jobs it starts from.
    Blocked,
    /// Waits for workers.
    Queued,
    /// Waits for whoever paused it.
    Paused,
    /// An attempt holds workers.
    Running,
    Succeeded,
    /// By its own fault, after too many lost attempts, or as its time was over: not tried again unless somebody asks for it.
    Failed,
    /// Ended by a person, or because an input failed.
    Cancelled,
}

labels!(JobState, "job state", {
    Blocked = "blocked",
    Queued = "queued",
    Paused = "paused",
    Running = "running",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled",
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// The last of the jobs it starts from succeeded.
    InputsReady,
    /// A job it starts from failed or was cancelled: it can never run.
    InputsLost,
    /// A gang was claimed for it.
    Placed,
    /// Its attempt was lost or preempted; it may be tried again.
    Requeued,
    /// All that want it have paused it; its attempt, if it had one, has stopped.
    Paused,
    /// Somebody wants it now.
    Resumed,
    /// Somebody asks again for what had failed or was cancelled. Its inputs are looked at anew.
    Revived,
    Succeeded,
    Failed,
    Cancelled,
}

labels!(JobEvent, "job event", {
    InputsReady = "unblocked",
    InputsLost = "cancelled for a lost input",
    Placed = "placed",
    Requeued = "requeued",
    Paused = "paused",
    Resumed = "resumed",
    Revived = "asked for again",
    Succeeded = "succeeded",
    Failed = "failed",
    Cancelled = "cancelled",
});

impl JobState {
    /// Whether nothing happens to it any more, unless somebody asks for it again.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The state that follows `event`.
    ///
    /// # Errors
    /// When this state does not allow the event; nothing changes then.
    pub const fn after(self, event: JobEvent) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Blocked, JobEvent::InputsReady) => Ok(Self::Queued),
            (Self::Blocked, JobEvent::InputsLost) => Ok(Self::Cancelled),
            (Self::Queued, JobEvent::Placed) => Ok(Self::Running),
            (Self::Running, JobEvent::Requeued) => Ok(Self::Queued),
            (Self::Queued | Self::Running, JobEvent::Paused) => Ok(Self::Paused),
            (Self::Paused, JobEvent::Resumed) => Ok(Self::Queued),
            (Self::Failed | Self::Cancelled, JobEvent::Revived) => Ok(Self::Blocked),
            (Self::Running, JobEvent::Succeeded) => Ok(Self::Succeeded),
            (Self::Running, JobEvent::Failed) => Ok(Self::Failed),
            (Self::Blocked | Self::Queued | Self::Paused | Self::Running, JobEvent::Cancelled) => Ok(Self::Cancelled),
            _ => Err(InvalidTransition { subject: "the job", state: self.label(), event: event.label() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobEvent as E;
    use JobState as S;

    const EVENTS: [JobEvent; 9] = [
        E::InputsReady,
        E::InputsLost,
        E::Placed,
        E::Requeued,
        E::Paused,
        E::Resumed,
        E::Succeeded,
        E::Failed,
        E::Cancelled,
    ];

    #[test]
    fn a_life_with_one_loss() {
        let life = [E::InputsReady, E::Placed, E::Requeued, E::Placed, E::Succeeded];
        assert_eq!(life.into_iter().try_fold(S::Blocked, S::after), Ok(S::Succeeded));
    }

    #[test]
    fn what_was_paused_while_it_ran_goes_on_and_what_was_cancelled_can_be_asked_for_again() {
        let life =
            [E::InputsReady, E::Placed, E::Paused, E::Resumed, E::Placed, E::Cancelled, E::Revived, E::InputsReady];
        assert_eq!(life.into_iter().try_fold(S::Blocked, S::after), Ok(S::Queued));
        assert_eq!(S::Failed.after(E::Revived), Ok(S::Blocked));
        for state in [S::Succeeded, S::Queued, S::Running, S::Paused, S::Blocked] {
            assert!(state.after(E::Revived).is_err(), "{state}");
        }
    }

    #[test]
    fn an_end_is_an_end() {
        for end in [S::Succeeded, S::Failed, S::Cancelled] {
            assert!(end.is_ended());
            assert!(EVENTS.into_iter().all(|event| end.after(event).is_err()), "{end} can be left");
        }
    }

    #[test]
    fn every_state_that_is_no_end_can_be_cancelled_and_left() {
        for &state in S::ALL.iter().filter(|state| !state.is_ended()) {
            assert_eq!(state.after(E::Cancelled), Ok(S::Cancelled));
        }
        assert_eq!(
            S::Queued.after(E::Succeeded).unwrap_err().to_string(),
            "the job is queued: it cannot be succeeded any more or yet"
        );
    }
}
