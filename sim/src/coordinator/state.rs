//! What a coordinator knows: its term, what it decided to do, and its sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tandem_domain::place::{Placement, Stop};

use crate::{
    event::{AttemptId, Running},
    lifetime::Lifetime,
    plan::Ms,
};

#[derive(Default)]
pub(crate) struct Coordinator {
    pub(crate) lifetime: Lifetime,
    /// It cannot reach the database.
    pub(crate) is_cut: bool,
    /// What others notify it of does not come through until then: it finds out when it looks next.
    pub(crate) unnotified_until: Ms,
    /// By connection.
    pub(crate) sessions: BTreeMap<usize, Session>,
    pub(super) term: Option<LeadershipTerm>,
    /// What the pass has decided and not done yet.
    pub(crate) actions: VecDeque<Action>,
    /// How much had changed from outside when it decided: see the invariants.
    pub(super) decided_at: u64,
    /// Called while it was busy with a pass.
    pub(super) is_notified: bool,
    pub(super) next_pass: Ms,
    pub(super) next_dispatch: Ms,
    /// Freeze it when it has decided the next time.
    pub(crate) freeze_after_decision: Option<Ms>,
    /// Freeze it when it is about to write heartbeats down the next time.
    pub(crate) freeze_before_write: Option<Ms>,
}

#[derive(Clone, Copy)]
pub(super) struct LeadershipTerm {
    pub(super) number: u64,
    pub(super) since: Ms,
    pub(super) renewed: Ms,
    pub(super) reaped: Ms,
    /// When it last looked at the queue.
    pub(super) placed: Option<Ms>,
}

pub(crate) enum Action {
    Claim { term: u64, placement: Placement },
    Stop { term: u64, stop: Stop, world: String },
}

pub(crate) struct Session {
    pub(crate) worker: usize,
    pub(super) running: Option<Running>,
    /// The last heartbeat that was not written down yet.
    pub(super) heard_at: Option<Ms>,
    pub(super) sequence: u64,
    pub(super) last_message: Ms,
    pub(super) sent: BTreeSet<(AttemptId, Instruction)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Instruction {
    Assign,
    Meet,
    StopGently,
    Stop,
}
