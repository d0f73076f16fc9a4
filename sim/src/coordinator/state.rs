//! What a coordinator knows: its term, what it decided to do, and its sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tandem_domain::{
    place::{Placement, Stop},
    read_back::Tries,
};

use crate::{
    event::{AttemptId, Event, Lifetime, Running},
    plan::Ms,
};

#[derive(Default)]
pub(crate) struct Coordinator {
    pub(crate) lifetime: Lifetime,
    pub(crate) is_cut: bool,
    /// It has no connection for what its workers ask, until then.
    pub(crate) pool_empty_until: Ms,
    /// Notifications do not reach it before this; it finds changes by polling.
    pub(crate) unnotified_until: Ms,
    /// By connection.
    pub(crate) sessions: BTreeMap<usize, Session>,
    pub(super) term: Option<LeadershipTerm>,
    /// What it would do, in its order, once the database answers again.
    pub(super) waiting: Vec<Event>,
    /// Decided by the pass and not carried out yet.
    pub(crate) actions: VecDeque<Action>,
    /// The number of outside changes when it decided, for the invariants.
    pub(super) decided_at: u64,
    /// It was notified since its last pass began.
    pub(super) is_notified: bool,
    pub(super) next_pass: Ms,
    pub(super) next_dispatch: Ms,
    pub(super) next_verify: Ms,
    /// It does not see the store, until then.
    pub(crate) store_away_until: Ms,
    /// Attempts that it tried to read back, and when it tries again; while one is read, never.
    pub(super) read_back: BTreeMap<AttemptId, (Tries, Ms)>,
    /// Freeze it after its next decision, for this long.
    pub(crate) freeze_after_decision: Option<Ms>,
    /// Freeze it before it next stores heartbeats, for this long.
    pub(crate) freeze_before_write: Option<Ms>,
}

#[derive(Clone, Copy)]
pub(super) struct LeadershipTerm {
    pub(super) number: u64,
    pub(super) since: Ms,
    pub(super) renewed: Ms,
    pub(super) reaped: Ms,
    /// When it last read the queue.
    pub(super) placed: Option<Ms>,
}

pub(crate) enum Action {
    Claim { term: u64, placement: Placement },
    Stop { term: u64, stops: Vec<Stop>, world: String },
}

pub(crate) struct Session {
    pub(crate) worker: usize,
    pub(super) running: Option<Running>,
    /// The attempt whose rank the worker said to have ended.
    pub(super) ended: Option<AttemptId>,
    /// When the last heartbeat came, if it is not stored yet.
    pub(super) received_at: Option<Ms>,
    pub(super) sequence: u64,
    pub(super) last_message: Ms,
    pub(super) sent: BTreeSet<(AttemptId, Instruction)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Instruction {
    Assign,
    Rendezvous,
    StopGracefully,
    Stop,
}
