//! The kinds of fault, and what is expected of the cluster after each.

use clap::ValueEnum;
use serde::Serialize;

/// What is done to whom. "Stop" is SIGSTOP for longer than a lease, then SIGCONT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// SIGKILL to a rank.
    KillRank,
    /// SIGSTOP to a rank; its worker goes on.
    StopRank,
    /// SIGTERM to a rank.
    TermRank,
    /// SIGKILL to a worker, which is started again at once.
    KillWorker,
    /// SIGKILL to a worker, which is started again well after its lease has expired.
    LoseWorker,
    /// SIGSTOP to a worker; its rank goes on.
    StopWorker,
    /// SIGSTOP to a worker and its rank; the rank wakes first.
    FreezeWorker,
    /// SIGTERM to a worker.
    TermWorker,
    /// SIGKILL to the coordinator that schedules.
    KillLeader,
    StopLeader,
    TermLeader,
    /// SIGKILL to the other coordinator.
    KillFollower,
    StopFollower,
    TermFollower,
    /// A coordinator's connection to Postgres is ended (pg_terminate_backend).
    EndBackend,
    /// SIGKILL to a backend: all of Postgres restarts.
    KillBackend,
    /// Postgres ends at once and is away for longer than a lease.
    StopPostgres,
    /// Postgres takes every commit, and answers none for longer than a lease.
    HoldCommits,
    /// SIGSTOP to all of Postgres.
    FreezePostgres,
    /// The connections of a coordinator to Postgres stay, but nothing comes through.
    SilentDatabase,
    /// Somebody locks what ranks report into, for longer than a lease.
    LockReports,
    /// Many people read results, lists and logs, and watch, all at once.
    ManyReaders,
    /// Connections between workers and coordinators are cut, and new ones are refused.
    CutConnection,
    /// Connections stay, but nothing comes through.
    SilentConnection,
    /// No space for checkpoints and artifacts.
    FullStore,
    /// No space in a worker's state folder, where its spool is.
    FullSpool,
    /// The wall clock of one program is set back by an hour, and forward again.
    StepClock,
}

/// How the cluster shows that it has noticed a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An event: a rank or attempt ended, a worker lost or leaving.
    Event,
    /// Another term of the leadership.
    Leader,
    /// There is nothing to notice.
    Never,
}

impl FaultKind {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(crate) fn notice(self) -> Notice {
        match self {
            Self::KillRank | Self::TermRank | Self::FullStore => Notice::Event,
            Self::KillWorker | Self::LoseWorker | Self::StopWorker | Self::FreezeWorker | Self::TermWorker => {
                Notice::Event
            }
            Self::CutConnection | Self::SilentConnection => Notice::Event,
            Self::KillLeader | Self::StopLeader | Self::TermLeader => Notice::Leader,
            Self::StopRank | Self::KillFollower | Self::StopFollower | Self::TermFollower => Notice::Never,
            Self::EndBackend | Self::KillBackend | Self::StopPostgres => Notice::Never,
            Self::HoldCommits | Self::FreezePostgres | Self::SilentDatabase => Notice::Never,
            Self::LockReports | Self::ManyReaders => Notice::Never,
            Self::FullSpool | Self::StepClock => Notice::Never,
        }
    }

    /// Whether the attempt that it hits cannot go on. Then only what a later attempt commits counts as recovery.
    pub(crate) fn ends_the_attempt(self) -> bool {
        matches!(
            self,
            Self::KillRank
                | Self::TermRank
                | Self::KillWorker
                | Self::LoseWorker
                | Self::StopWorker
                | Self::FreezeWorker
                | Self::TermWorker
        )
    }

    /// Whether the attempt that it hits must go on: something is slow or busy, and no process is gone.
    pub(crate) fn spares_the_attempt(self) -> bool {
        matches!(
            self,
            Self::HoldCommits | Self::FreezePostgres | Self::SilentDatabase | Self::LockReports | Self::ManyReaders
        )
    }

    /// Whether the promises about a worker's death apply.
    pub(crate) fn is_worker_death(self) -> bool {
        matches!(self, Self::KillWorker | Self::LoseWorker)
    }

    pub(crate) fn needs_small_disks(self) -> bool {
        matches!(self, Self::FullStore | Self::FullSpool)
    }

    pub(crate) fn needs_fake_clock(self) -> bool {
        self == Self::StepClock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_what_ends_an_attempt_is_noticed() {
        assert_eq!(FaultKind::KillWorker.name(), "kill-worker");
        assert!(FaultKind::all().iter().all(|kind| !kind.ends_the_attempt() || kind.notice() == Notice::Event));
        assert!(!FaultKind::all().iter().any(|kind| kind.ends_the_attempt() && kind.spares_the_attempt()));
    }
}
