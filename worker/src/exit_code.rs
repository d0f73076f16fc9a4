//! Exit codes by which a rank tells its worker how it ended, after sysexits.h.

use tandem_learn::Failure;

/// The stage ran to its end.
pub(crate) const FINISHED: i32 = 0;
/// EX_DATAERR: the job itself is at fault; another try would end the same way.
pub(crate) const JOB_FAILED: i32 = 65;
/// EX_NOINPUT: an input, or the store, cannot be used from here.
pub(crate) const INPUT_MISSING: i32 = 66;
/// EX_SOFTWARE: a panic, or a failure of which nobody knows the cause.
pub(crate) const UNKNOWN: i32 = 70;
/// EX_IOERR: the machine is at fault, by a full disk or a missing device.
pub(crate) const MACHINE_FAILED: i32 = 74;
/// EX_TEMPFAIL: stopped as asked, with a checkpoint of the last finished step.
pub(crate) const STOPPED: i32 = 75;
/// EX_PROTOCOL: another rank has gone, or does not answer.
pub(crate) const PEER_LOST: i32 = 76;

/// Who is to blame for a failure.
pub(crate) fn of(failure: &Failure) -> i32 {
    match failure {
        Failure::Job(_) => JOB_FAILED,
        Failure::Machine(_) => MACHINE_FAILED,
        Failure::InputMissing(_) => INPUT_MISSING,
        Failure::Unknown(_) => UNKNOWN,
        Failure::Peer(_) => PEER_LOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let kinds = [Failure::Job, Failure::InputMissing, Failure::Unknown, Failure::Machine, Failure::Peer];
        assert_eq!(kinds.map(|kind| of(&kind("why".to_owned()))), [65, 66, 70, 74, 76]);
    }
}
