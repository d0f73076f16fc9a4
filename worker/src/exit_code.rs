//! How a rank tells its worker how it ended (after sysexits.h).

/// The stage ran to its end.
pub(crate) const FINISHED: i32 = 0;
/// EX_DATAERR: the job itself is at fault; another try would end alike.
pub(crate) const JOB_FAILED: i32 = 65;
/// EX_SOFTWARE: a panic.
pub(crate) const INTERNAL: i32 = 70;
/// EX_IOERR: the machine is at fault: a lost peer, a full disk.
pub(crate) const MACHINE_FAILED: i32 = 74;
/// EX_TEMPFAIL: stopped as asked, with a checkpoint of the last finished step.
pub(crate) const STOPPED: i32 = 75;
