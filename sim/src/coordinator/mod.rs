//! A coordinator: scheduler passes while it leads, and the streams of some workers.
//!
//! A pass reads, decides, and carries out what it decided, one transaction after the other. Between any two of them the
//! coordinator may be frozen while everything else goes on.

mod pass;
pub(crate) mod state;
mod streams;

use state::Coordinator;

use crate::{
    event::{Lifetime, Process, ProcessEvent},
    plan::Ms,
    world::World,
};

impl World {
    pub(crate) fn start_coordinator(&mut self, number: usize) {
        let coordinator = &mut self.coordinators[number];
        let lifetime = Lifetime { is_up: true, epoch: coordinator.lifetime.epoch, ..Lifetime::default() };
        *coordinator = Coordinator { lifetime, is_cut: coordinator.is_cut, ..Coordinator::default() };
        self.pass_at(number, self.now + 1);
        self.dispatch_at(number, self.now + 1);
        self.timer(self.now + 1, Process::Coordinator(number), ProcessEvent::Renew);
    }

    pub(crate) fn reaches_database(&self, number: usize) -> bool {
        self.db.is_up && !self.coordinators[number].is_cut
    }

    /// A notification: the next pass and dispatch are at `at`, unless they come sooner.
    pub(crate) fn notify_coordinator(&mut self, number: usize, at: Ms) {
        let coordinator = &mut self.coordinators[number];
        if !coordinator.lifetime.is_up || coordinator.is_cut || self.now < coordinator.unnotified_until {
            return;
        }
        if coordinator.actions.is_empty() && coordinator.term.is_some() && at < coordinator.next_pass {
            self.pass_at(number, at);
        }
        self.coordinators[number].is_notified = true;
        if at < self.coordinators[number].next_dispatch {
            self.dispatch_at(number, at);
        }
    }

    fn pass_at(&mut self, number: usize, at: Ms) {
        self.coordinators[number].next_pass = at;
        self.timer(at, Process::Coordinator(number), ProcessEvent::Pass);
    }

    fn dispatch_at(&mut self, number: usize, at: Ms) {
        self.coordinators[number].next_dispatch = at;
        self.timer(at, Process::Coordinator(number), ProcessEvent::Dispatch);
    }

    pub(crate) fn on_coordinator(&mut self, number: usize, what: ProcessEvent) {
        match what {
            // Only the timer that was set last counts.
            ProcessEvent::Pass if self.coordinators[number].next_pass <= self.now => self.on_pass(number),
            ProcessEvent::Execute => self.on_execute(number),
            ProcessEvent::Renew => self.on_renew(number),
            ProcessEvent::Dispatch if self.coordinators[number].next_dispatch <= self.now => self.on_dispatch(number),
            ProcessEvent::Receive { connection, message } => self.on_worker_message(number, connection, message),
            ProcessEvent::Lost { connection } => self.close_session(number, connection),
            _ => {}
        }
    }
}
