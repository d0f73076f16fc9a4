//! The ranks of an attempt as processes, and their checkpoints on disk.

use std::collections::BTreeMap;

use crate::{event::AttemptId, plan::Ms};

/// Hashes of checkpoint files, by job and step.
pub(crate) type Disk = BTreeMap<(usize, u32), u64>;
pub(crate) type Gangs = BTreeMap<AttemptId, Gang>;

pub(crate) struct Gang {
    pub(crate) job: usize,
    pub(crate) ranks: Vec<Rank>,
    /// The ranks have met.
    pub(crate) formed: bool,
    pub(crate) step: u32,
    pub(crate) hash: u64,
    /// The newest checkpoint that is known to be committed.
    pub(crate) committed: Option<u32>,
    /// As offered with the assignment, newest first.
    pub(crate) checkpoints: Vec<(u32, u64)>,
    pub(crate) progress_at: Ms,
    /// Changes with every timer of a step: older timers are void.
    pub(crate) serial: u32,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Rank {
    pub(crate) worker: usize,
    pub(crate) phase: RankPhase,
    pub(crate) is_frozen: bool,
    /// It hangs in a thread that waits for ever.
    pub(crate) is_hung: bool,
    /// Not even SIGKILL ends it before this.
    pub(crate) stuck_until: Ms,
    pub(crate) kill_pending: bool,
    pub(crate) has_address: bool,
    pub(crate) asked_to_stop: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RankPhase {
    #[default]
    NotStarted,
    Loading,
    /// Waits to meet the others.
    Loaded,
    /// In the collective.
    Training,
    Dead,
}

impl Rank {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.phase, RankPhase::Loading | RankPhase::Loaded | RankPhase::Training)
    }

    pub(crate) fn is_responsive(&self) -> bool {
        !self.is_frozen && !self.is_hung && self.stuck_until == 0
    }
}

impl Gang {
    pub(crate) fn slowest(&self, step_ms: Ms) -> Option<Ms> {
        self.formed.then_some(step_ms)
    }
}
