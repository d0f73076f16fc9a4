//! What the end of a rank's process means: decided once, from how it ended, what was requested of it, and the last line
//! of its log.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use signal_hook::{consts::SIGKILL, consts::SIGTERM, low_level::signal_name};
use tandem_proto::v1::RankOutcome;

use crate::{exit_code, text};

/// Longest cause; the rest of a longer one is cut off.
const CAUSE_BYTES: usize = 8 << 10;

/// What the coordinator is told: who is to blame, and the cause in words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) outcome: RankOutcome,
    pub(crate) cause: String,
}

impl Verdict {
    pub(crate) fn new(outcome: RankOutcome, cause: impl Into<String>) -> Self {
        let mut cause = cause.into();
        text::cut(&mut cause, CAUSE_BYTES);
        Self { outcome, cause }
    }

    /// In the words that every coordinator knows.
    pub(crate) fn for_an_older_coordinator(&self) -> Self {
        let outcome = match self.outcome {
            RankOutcome::Unknown | RankOutcome::InputMissing => RankOutcome::Lost,
            outcome => outcome,
        };
        Self { outcome, cause: self.cause.clone() }
    }

    /// The machine is at fault.
    pub(crate) fn lost(cause: impl Into<String>) -> Self {
        Self::new(RankOutcome::Lost, cause)
    }

    /// Nothing says whose fault it is.
    pub(crate) fn unknown(cause: impl Into<String>) -> Self {
        Self::new(RankOutcome::Unknown, cause)
    }

    /// The rank could not go on, or not begin, through nobody's fault here.
    pub(crate) fn blameless(cause: impl Into<String>) -> Self {
        Self::new(RankOutcome::PeerLost, cause)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// What this worker had requested of the rank before it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Requested<'a> {
    Nothing,
    /// SIGTERM: checkpoint and leave.
    Stop {
        reason: &'a str,
    },
    /// SIGKILL, for the reason in the verdict.
    Kill(&'a Verdict),
}

/// The verdict on a rank that ended with `exit`; `last_line` is the last line of its log.
pub(crate) fn verdict(requested: Requested<'_>, exit: Exit, last_line: Option<&str>) -> Verdict {
    let last_line_or = |otherwise: &str| last_line.unwrap_or(otherwise).to_owned();
    let with_last_line = |cause: String| match last_line {
        Some(line) => format!("{cause}; last log line: {line}"),
        None => cause,
    };
    match (requested, exit) {
        // A finished rank is finished, whatever was requested in the meantime.
        (_, Exit::Code(exit_code::FINISHED)) => Verdict::new(RankOutcome::Succeeded, ""),
        (Requested::Kill(verdict), Exit::Signal(SIGKILL)) => verdict.clone(),
        (Requested::Stop { reason }, Exit::Code(exit_code::STOPPED)) => {
            Verdict::new(RankOutcome::Preempted, format!("stopped with a checkpoint: {reason}"))
        }
        (Requested::Stop { reason }, Exit::Signal(SIGTERM)) => {
            Verdict::new(RankOutcome::Preempted, format!("stopped before it began: {reason}"))
        }
        (_, Exit::Code(exit_code::STOPPED)) => Verdict::new(
            RankOutcome::Preempted,
            "stopped with a checkpoint after a SIGTERM from outside or on another rank",
        ),
        (_, Exit::Code(exit_code::JOB_FAILED)) => {
            Verdict::new(RankOutcome::JobFailed, last_line_or("the rank found the job at fault and did not say why"))
        }
        (_, Exit::Code(exit_code::MACHINE_FAILED)) => {
            Verdict::lost(last_line_or("the rank found the machine at fault and did not say why"))
        }
        (_, Exit::Code(exit_code::PEER_LOST)) => Verdict::new(
            RankOutcome::PeerLost,
            last_line_or("another rank of the gang went away, and this one did not say how it noticed"),
        ),
        (_, Exit::Code(exit_code::UNKNOWN)) => {
            Verdict::unknown(last_line_or("the rank ended by an internal error and did not say why"))
        }
        (_, Exit::Code(exit_code::INPUT_MISSING)) => Verdict::new(
            RankOutcome::InputMissing,
            last_line_or("the rank could not read an input, and did not say which"),
        ),
        (_, Exit::Code(code)) => Verdict::unknown(with_last_line(format!("ended with exit code {code}"))),
        // The kernel, or a person, on account of this job, of another program, or of the machine.
        (_, Exit::Signal(SIGKILL)) => Verdict::unknown(
            "ended by signal 9 (SIGKILL), which this worker did not send: a kill -9, or the kernel's out-of-memory \
             killer (`dmesg` knows)",
        ),
        (_, Exit::Signal(signal)) => {
            let name = signal_name(signal).unwrap_or("unknown");
            Verdict::unknown(with_last_line(format!("ended by signal {signal} ({name})")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(requested: Requested<'_>, exit: Exit) -> RankOutcome {
        verdict(requested, exit, None).outcome
    }

    #[test]
    fn exit_codes_say_who_is_to_blame() {
        for (code, expected) in [
            (exit_code::FINISHED, RankOutcome::Succeeded),
            (exit_code::JOB_FAILED, RankOutcome::JobFailed),
            (exit_code::INPUT_MISSING, RankOutcome::InputMissing),
            (exit_code::UNKNOWN, RankOutcome::Unknown),
            (exit_code::MACHINE_FAILED, RankOutcome::Lost),
            (exit_code::PEER_LOST, RankOutcome::PeerLost),
            (exit_code::STOPPED, RankOutcome::Preempted),
            (1, RankOutcome::Unknown),
            (-1, RankOutcome::Unknown),
        ] {
            assert_eq!(outcome(Requested::Nothing, Exit::Code(code)), expected, "exit code {code}");
        }
    }

    #[test]
    fn the_last_line_is_the_cause() {
        let failed =
            verdict(Requested::Nothing, Exit::Code(exit_code::JOB_FAILED), Some("loss is not finite at step 120"));
        assert_eq!(failed, Verdict::new(RankOutcome::JobFailed, "loss is not finite at step 120"));
        let left = verdict(Requested::Nothing, Exit::Code(exit_code::PEER_LOST), Some("connection closed by rank 1"));
        assert_eq!(left, Verdict::new(RankOutcome::PeerLost, "connection closed by rank 1"));
        let crashed = verdict(Requested::Nothing, Exit::Signal(11), Some("CUDA error"));
        assert_eq!(crashed, Verdict::unknown("ended by signal 11 (SIGSEGV); last log line: CUDA error"));
    }

    #[test]
    fn a_kill_is_ours_only_if_we_sent_it() {
        let cancelled = Verdict::new(RankOutcome::Cancelled, "cancelled by ada");
        assert_eq!(verdict(Requested::Kill(&cancelled), Exit::Signal(SIGKILL), Some("noise")), cancelled);
        let foreign = verdict(Requested::Nothing, Exit::Signal(SIGKILL), None);
        assert_eq!(foreign.outcome, RankOutcome::Unknown);
        assert!(foreign.cause.starts_with("ended by signal 9 (SIGKILL)"), "{}", foreign.cause);
    }

    #[test]
    fn a_rank_that_finished_while_being_stopped_has_finished() {
        let stop = Requested::Stop { reason: "worker leaves" };
        assert_eq!(outcome(stop, Exit::Code(exit_code::FINISHED)), RankOutcome::Succeeded);
        assert_eq!(outcome(stop, Exit::Code(exit_code::STOPPED)), RankOutcome::Preempted);
        // SIGTERM before the rank installed its handler: nothing was computed, so nothing is lost.
        assert_eq!(outcome(stop, Exit::Signal(SIGTERM)), RankOutcome::Preempted);
        assert_eq!(outcome(Requested::Nothing, Exit::Signal(SIGTERM)), RankOutcome::Unknown);
    }
}
