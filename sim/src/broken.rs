//! Versions of the system with one rule left out. The invariants must notice each of them.

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Broken {
    /// A report or an end is matched by its job, not by attempt and fence.
    NoFence,
    /// A worker whose heartbeats nobody answers goes on.
    NoSelfEnd,
    /// A lease is shorter than what a worker waits for an answer.
    ShortLease,
    /// A worker counts as free once its attempt is over, though its rank may not be, and nothing forbids a second lease.
    NoUniqueLease,
    /// A coordinator that was frozen acts on what it decided before.
    NoTermCheck,
    /// A report that comes again is stored again.
    NoSequence,
    /// A later job takes the workers that an earlier one waits for.
    Overtaking,
    /// A rank goes on from the newest file, whether the coordinator knows of it or not.
    ResumeUncommitted,
    /// A rank keeps its newest two checkpoints, whether the coordinator knows of them or not.
    PruneCommitted,
    /// A rank removes checkpoints of later steps than its own.
    PruneLater,
    /// A rank takes the newest checkpoint without looking whether it is damaged.
    NoVerify,
    /// A job stays as it is when its attempt was lost.
    LostRequeue,
    /// Jobs of equal priority stop each other, as soon as they train.
    EndlessPreemption,
    /// A gang is stopped to grow without asking which workers its job would avoid.
    GrowBlindly,
    /// A worker that comes back does so after two seconds, however short its lease is, which is not renewed by that.
    NoRenewalAtOpen,
    /// A coordinator that could not reach the database goes on as leader without grace.
    NoGraceAfterOutage,
    /// A heartbeat is answered when it comes, not when the lease for it is written down.
    AckUnwritten,
    /// A report of an attempt that is over is answered as if all of it were stored: its rank takes a checkpoint for
    /// committed that is not.
    AckOver,
    /// A worker takes its registration for answered when it hears so, not when it asked.
    LateRegistration,
    /// A coordinator without the database keeps its streams, and answers heartbeats.
    DeafStreams,
}

impl Broken {
    /// Its name on the command line.
    pub fn name(self) -> String {
        use clap::ValueEnum;
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
