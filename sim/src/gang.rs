//! The ranks of an attempt as processes, and their checkpoints on disk.

use std::collections::BTreeMap;

use crate::{event::AttemptId, plan::Ms};

/// Files of checkpoints by job and step: the hash of what is in them.
pub(crate) type Disk = BTreeMap<(usize, u32), u64>;
pub(crate) type Gangs = BTreeMap<AttemptId, Gang>;

pub(crate) struct Gang {
    pub(crate) job: usize,
    pub(crate) ranks: Vec<Rank>,
    /// They have met.
    pub(crate) formed: bool,
    pub(crate) step: u32,
    pub(crate) hash: u64,
    /// Newest checkpoint that the coordinator is known to have.
    pub(crate) committed: Option<u32>,
    /// As offered with the assignment, newest first.
    pub(crate) checkpoints: Vec<(u32, u64)>,
    pub(crate) progress_at: Ms,
    /// Changes whenever the clock of the next step is set anew.
    pub(crate) serial: u32,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Rank {
    pub(crate) worker: usize,
    pub(crate) phase: RankPhase,
    pub(crate) is_frozen: bool,
    /// A thread of it waits for ever.
    pub(crate) is_hung: bool,
    /// Not even SIGKILL ends it, until this.
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
    In,
    Dead,
}

impl Rank {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.phase, RankPhase::Loading | RankPhase::Loaded | RankPhase::In)
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
