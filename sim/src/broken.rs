//! Versions of the system with one rule left out. The invariants must notice each of them.

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Broken {
    /// A report or an end is matched by its job, not by attempt and fence.
    NoFence,
    /// A worker whose heartbeats are not acknowledged goes on.
    NoSelfEnd,
    /// A lease is shorter than a worker's wait for an acknowledgement.
    ShortLease,
    /// A worker counts as free once its attempt has ended, although its rank may run, and can get a second lease.
    NoUniqueLease,
    /// A coordinator that was frozen carries out what it decided before.
    NoTermCheck,
    /// A report that comes again is stored again.
    NoSequence,
    /// A later job takes the workers that an earlier one waits for.
    Overtaking,
    /// A rank resumes from the newest file, committed or not.
    ResumeUncommitted,
    /// A rank keeps its newest two checkpoints, committed or not.
    PruneCommitted,
    /// A rank removes checkpoints of later steps than its own.
    PruneLater,
    /// A rank takes the newest checkpoint without verifying it.
    NoVerify,
    /// A job is not requeued when its attempt was lost.
    LostRequeue,
    /// Jobs of equal priority stop each other, as soon as they train.
    EndlessPreemption,
    /// A gang is stopped to grow without asking which workers its job would avoid.
    GrowBlindly,
    /// A worker redials after up to two seconds, however short its lease is, and its registration renews nothing.
    NoRenewalAtOpen,
    /// A coordinator that could not reach the database goes on as leader without grace.
    NoGraceAfterOutage,
    /// A heartbeat is acknowledged when it comes, not when its lease is stored.
    AckUnwritten,
    /// A report of an ended attempt is acknowledged as if all of it were stored, so its rank relies on a checkpoint
    /// that is not committed.
    AckOver,
    /// A worker's lease counts from when the answer to its registration came, not from when it was sent.
    LateRegistration,
    /// A coordinator that cannot reach the database keeps its streams and acknowledges heartbeats.
    DeafStreams,
    /// A crash of unknown cause is the job's fault at once.
    UnknownIsTheJobs,
    /// A missing input uses up retries, as a machine's fault does.
    MissingInputCounts,
    /// A worker is quarantined for jobs that are lost everywhere.
    QuarantineBlindly,
    /// Losses before a release count on.
    ReleaseForgetsNothing,
    /// Nobody starts behind a job that waits after a lost attempt.
    BackoffHoldsLine,
    /// A job passes the first in line however long it takes.
    BackfillBlindly,
    /// Two workers on one device count as two.
    TwoPerDevice,
    /// A pass reads the first jobs of the queue, whether or not the fleet can hold them.
    OneWindow,
    /// A database that answers nothing is waited for without a limit.
    EndlessWait,
    /// A job has succeeded when its ranks have: nobody reads back what it made.
    NoReadBack,
    /// What a coordinator does not see counts as damaged at once: a file that comes late, a store that is away.
    HastyBlame,
}

impl Broken {
    /// Its name on the command line.
    pub fn name(self) -> String {
        use clap::ValueEnum;
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
