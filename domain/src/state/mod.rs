//! States of jobs and attempts, and the allowed transitions between them.
//!
//! SQL guards the same transitions a second time, with `WHERE state = .. AND fence = ..` and the row count. The labels
//! here are those of the Postgres enums.

mod attempt;
mod job;
mod labels;
mod verdict;

pub use attempt::{AttemptEvent, AttemptState};
pub use job::{JobEvent, JobState};
pub use labels::{InvalidTransition, UnknownLabel};
pub use verdict::{FAULTS, RankOutcome, RetryPolicy, attempt_verdict, state_after_ranks};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_go_both_ways() {
        for &state in JobState::ALL {
            assert_eq!(state.label().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.label());
        }
        for &state in AttemptState::ALL {
            assert_eq!(state.label().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.label());
        }
        let error = "runing".parse::<JobState>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown job state `runing`: expected one of blocked, queued, paused, running, succeeded, failed, cancelled"
        );
    }
}
