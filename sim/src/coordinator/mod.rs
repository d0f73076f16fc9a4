//! A coordinator: scheduler passes while it leads, and the streams of some workers.
//!
//! A pass looks, decides, and then does what it decided in one transaction after the other. Between any two of them it may
//! be frozen, and the world goes on.

mod pass;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tandem_domain::place::{Placement, Stop};

use crate::{
    event::{AttemptId, Process, Running, What},
    plan::Ms,
    world::{Life, World},
};

#[derive(Default)]
pub(crate) struct Coordinator {
    pub(crate) life: Life,
    /// It cannot reach the database.
    pub(crate) is_cut: bool,
    /// What others notify it of does not come through until then: it finds out when it looks next.
    pub(crate) deaf_until: Ms,
    /// By connection.
    pub(crate) sessions: BTreeMap<usize, Session>,
    term: Option<Term>,
    /// What the pass has decided and not done yet.
    pub(crate) plan: VecDeque<Deed>,
    /// How much had changed from outside when it decided: see the invariants.
    decided_at: u64,
    /// Called while it was busy with a pass.
    is_called: bool,
    next_pass: Ms,
    next_dispatch: Ms,
    /// Freeze it when it has decided the next time.
    pub(crate) freeze_after_decision: Option<Ms>,
    /// Freeze it when it is about to write heartbeats down the next time.
    pub(crate) freeze_before_write: Option<Ms>,
}

#[derive(Clone, Copy)]
struct Term {
    number: u64,
    since: Ms,
    renewed: Ms,
    reaped: Ms,
    /// When it last looked at the queue.
    placed: Option<Ms>,
}

pub(crate) enum Deed {
    Claim { term: u64, placement: Placement },
    Stop { term: u64, stop: Stop, world: String },
}

pub(crate) struct Session {
    pub(crate) worker: usize,
    running: Option<Running>,
    /// The last heartbeat that was not written down yet.
    heard_at: Option<Ms>,
    sequence: u64,
    last_message: Ms,
    told: BTreeSet<(AttemptId, Told)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Assign,
    Meet,
    StopGently,
    Stop,
}

impl World {
    pub(crate) fn start_coordinator(&mut self, number: usize) {
        let coordinator = &mut self.coordinators[number];
        let life = Life { is_up: true, epoch: coordinator.life.epoch, ..Life::default() };
        *coordinator = Coordinator { life, is_cut: coordinator.is_cut, ..Coordinator::default() };
        self.pass_at(number, self.now + 1);
        self.dispatch_at(number, self.now + 1);
        self.timer(self.now + 1, Process::Coordinator(number), What::Renew);
    }

    pub(crate) fn reaches_database(&self, number: usize) -> bool {
        self.db.is_up && !self.coordinators[number].is_cut
    }

    /// Somebody calls: the next look is at `at`, unless one comes sooner.
    pub(crate) fn call(&mut self, number: usize, at: Ms) {
        let coordinator = &mut self.coordinators[number];
        if !coordinator.life.is_up || coordinator.is_cut || self.now < coordinator.deaf_until {
            return;
        }
        if coordinator.plan.is_empty() && coordinator.term.is_some() && at < coordinator.next_pass {
            self.pass_at(number, at);
        }
        self.coordinators[number].is_called = true;
        if at < self.coordinators[number].next_dispatch {
            self.dispatch_at(number, at);
        }
    }

    fn pass_at(&mut self, number: usize, at: Ms) {
        self.coordinators[number].next_pass = at;
        self.timer(at, Process::Coordinator(number), What::Pass);
    }

    fn dispatch_at(&mut self, number: usize, at: Ms) {
        self.coordinators[number].next_dispatch = at;
        self.timer(at, Process::Coordinator(number), What::Dispatch);
    }

    pub(crate) fn on_coordinator(&mut self, number: usize, what: What) {
        match what {
            // Of several timers the one that was set last counts.
            What::Pass if self.coordinators[number].next_pass <= self.now => self.on_pass(number),
            What::Execute => self.on_execute(number),
            What::Renew => self.on_renew(number),
            What::Dispatch if self.coordinators[number].next_dispatch <= self.now => self.on_dispatch(number),
            What::Receive { connection, message } => self.hear_worker(number, connection, message),
            What::Lost { connection } => self.close_session(number, connection),
            _ => {}
        }
    }
}
