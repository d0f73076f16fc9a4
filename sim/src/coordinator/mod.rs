//! A coordinator: scheduler passes while it leads, and the streams of some workers.
//!
//! A pass reads, decides, and carries out what it decided, one transaction after the other. Between any two of them the
//! coordinator may be frozen while everything else goes on.

mod pass;
pub(crate) mod state;
mod streams;
mod verify;

use state::Coordinator;

use crate::{
    broken::Broken,
    event::{Event, Lifetime, Message, Process, ProcessEvent},
    plan::{Ms, ms},
    world::World,
};

impl World {
    pub(crate) fn start_coordinator(&mut self, number: usize) {
        let coordinator = &mut self.coordinators[number];
        let lifetime = Lifetime { is_up: true, epoch: coordinator.lifetime.epoch, ..Lifetime::default() };
        let (is_cut, pool_empty_until) = (coordinator.is_cut, coordinator.pool_empty_until);
        let store_away_until = coordinator.store_away_until;
        *coordinator = Coordinator { lifetime, is_cut, pool_empty_until, store_away_until, ..Coordinator::default() };
        self.pass_at(number, self.now + 1);
        self.dispatch_at(number, self.now + 1);
        self.verify_at(number, self.now + 1);
        self.timer(self.now + 1, Process::Coordinator(number), ProcessEvent::Renew);
    }

    pub(crate) fn reaches_database(&self, number: usize) -> bool {
        let is_stalled = self.db.stall.is_some_and(|(_, until)| self.now < until);
        self.db.is_up && !is_stalled && !self.coordinators[number].is_cut
    }

    /// When a statement that begins now comes back: at the end of the stall, or when it is given up.
    fn answered_at(&self) -> Option<Ms> {
        let (since, until) = self.db.stall.filter(|(_, until)| self.now < *until)?;
        let limit = ms(self.plan.timing.statement_limit());
        let given_up = if self.is_broken(Broken::EndlessWait) { until } else { until.min(since + limit) };
        (self.now < given_up).then_some(given_up)
    }

    /// Whether it has to wait for a database that stalls, behind all that waits already.
    fn waits_for_answer(&mut self, number: usize, what: &ProcessEvent) -> bool {
        let process = Process::Coordinator(number);
        match self.answered_at() {
            Some(at) if self.coordinators[number].waiting.is_empty() => self.timer(at, process, ProcessEvent::Answered),
            None if self.coordinators[number].waiting.is_empty() => return false,
            _ => {}
        }
        let epoch = self.coordinators[number].lifetime.epoch;
        self.coordinators[number].waiting.push(Event::To { process, epoch, what: what.clone() });
        true
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
        if at < self.coordinators[number].next_verify {
            self.verify_at(number, at);
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
        let is_heartbeat = matches!(what, ProcessEvent::Receive { message: Message::Heartbeat { .. }, .. });
        let is_answer = matches!(what, ProcessEvent::Answered);
        // It has connections of its own: nothing else waits behind it.
        let is_verifying = matches!(what, ProcessEvent::Verify | ProcessEvent::ReadBack { .. });
        if !is_heartbeat && !is_answer && !is_verifying && self.waits_for_answer(number, &what) {
            return;
        }
        match what {
            // Only the timer that was set last counts.
            ProcessEvent::Pass if self.coordinators[number].next_pass <= self.now => self.on_pass(number),
            ProcessEvent::Execute => self.on_execute(number),
            ProcessEvent::Answered => {
                let waiting = std::mem::take(&mut self.coordinators[number].waiting);
                self.agenda.first(self.now, waiting);
            }
            ProcessEvent::Renew => self.on_renew(number),
            ProcessEvent::Dispatch if self.coordinators[number].next_dispatch <= self.now => self.on_dispatch(number),
            ProcessEvent::Verify if self.coordinators[number].next_verify <= self.now => self.on_verify(number),
            ProcessEvent::ReadBack { attempt, began, reading } => self.on_read_back(number, attempt, began, &reading),
            ProcessEvent::Receive { connection, message } => self.on_worker_message(number, connection, message),
            ProcessEvent::Lost { connection } => self.close_session(number, connection),
            _ => {}
        }
    }
}
