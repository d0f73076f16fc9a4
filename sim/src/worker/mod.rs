//! A worker: its link to a coordinator, its heartbeats, one rank.

mod orders;
mod outbox;
mod rank;
pub(crate) mod state;

use std::collections::VecDeque;

use tandem_domain::{state::RankOutcome, timing};

use crate::{
    broken::Broken,
    event::{Event, Fault, Message, Process, ProcessEvent},
    plan::{Ms, ms},
    world::World,
};
use state::{Attempt, HeartbeatTimer, Link};

/// Longest wait from dialling to the answer to the registration.
const REGISTER_TIMEOUT: Ms = 5000;
/// How long a leaving worker waits for the coordinator to read its last messages.
const LEAVE_WAIT: Ms = 5000;

impl World {
    pub(crate) fn start_worker(&mut self, own: usize) {
        let worker = &mut self.workers[own];
        worker.lifetime.is_up = true;
        (worker.link, worker.failures, worker.heartbeats, worker.is_leaving) = (Link::Waiting, 0, None, false);
        self.timer(self.now + 1, Process::Worker(own), ProcessEvent::Dial);
    }

    pub(crate) fn on_worker(&mut self, own: usize, what: ProcessEvent) {
        // Heartbeats that are due come before anything else.
        self.beat(own);
        match what {
            ProcessEvent::Dial => self.dial(own),
            ProcessEvent::DialTimeout { connection } if self.workers[own].link == Link::Dialling(connection) => {
                self.link_down(own, connection);
            }
            ProcessEvent::Receive { connection, message } if self.connections[connection].is_open => {
                self.on_coordinator_message(own, connection, message);
            }
            ProcessEvent::Lost { connection } => self.link_down(own, connection),
            ProcessEvent::RankOutput { attempt, output } => self.on_rank_output(own, attempt, output),
            ProcessEvent::KillDue { attempt } => self.kill_due(own, attempt),
            ProcessEvent::Watch { attempt } => self.on_watch(own, attempt),
            ProcessEvent::Flush => self.flush(own),
            _ => {}
        }
        self.may_leave(own);
    }

    fn dial(&mut self, own: usize) {
        if self.workers[own].link != Link::Waiting {
            return;
        }
        // In turn, so that a coordinator that does not answer is not dialled twice in a row.
        let coordinator = self.workers[own].next_dial % self.coordinators.len();
        self.workers[own].next_dial += 1;
        self.workers[own].dialled_at = self.now;
        let connection = self.connect(own, coordinator);
        self.workers[own].link = Link::Dialling(connection);
        if !self.coordinators[coordinator].lifetime.is_up || self.now < self.workers[own].cut_off_until {
            // The connection is refused, or there is no route.
            return self.cut(connection);
        }
        let running = self.registered_rank(own);
        self.send_to_coordinator(connection, Message::Register { running });
        self.timer(self.now + REGISTER_TIMEOUT, Process::Worker(own), ProcessEvent::DialTimeout { connection });
    }

    fn link_down(&mut self, own: usize, connection: usize) {
        let worker = &mut self.workers[own];
        if worker.link != Link::Up(connection) && worker.link != Link::Dialling(connection) {
            return;
        }
        (worker.link, worker.heartbeats) = (Link::Waiting, None);
        let longest = ms(timing::RECONNECT_LONGEST);
        // A new leader renews all leases once: the worker must be back before they run out.
        let in_time = ms(self.plan.timing.lease) / 4;
        let longest = if self.broken == Some(Broken::NoRenewalAtOpen) { longest } else { longest.min(in_time) };
        let wait = (ms(timing::RECONNECT_FIRST) << worker.failures.min(8)).min(longest);
        worker.failures += 1;
        self.cut(connection);
        let at = self.now + self.rng.between(wait / 2, wait);
        self.timer(at, Process::Worker(own), ProcessEvent::Dial);
    }

    pub(super) fn registered(&mut self, own: usize, connection: usize) {
        let now = self.now;
        let worker = &mut self.workers[own];
        (worker.link, worker.failures) = (Link::Up(connection), 0);
        // The answer may have taken long: the lease counts from when the registration was sent.
        let is_late = self.broken == Some(Broken::LateRegistration);
        let confirmed_at = if is_late { now } else { worker.dialled_at };
        worker.heartbeats =
            Some(HeartbeatTimer { next_at: now, sequence: 0, unanswered: VecDeque::new(), confirmed_at });
        self.check_counted_on(own, confirmed_at);
        self.beat(own);
    }

    /// Sends the heartbeat that is due. If a coordinator that can be reached acknowledges nothing, it may have given
    /// the attempt to others, so the rank ends.
    fn beat(&mut self, own: usize) {
        let (now, timing) = (self.now, self.plan.timing);
        let ends_itself = !self.is_broken(Broken::NoSelfEnd);
        let worker = &mut self.workers[own];
        let (Link::Up(connection), Some(heartbeats)) = (worker.link, &mut worker.heartbeats) else { return };
        let silent_at = heartbeats.confirmed_at + ms(timing.self_end);
        if now >= silent_at && ends_itself {
            self.counts.self_ends += 1;
            self.check_self_end(own);
            self.log(|| format!("w{own} hears nothing from its coordinator and ends its rank"));
            self.kill_attempt(own, RankOutcome::Lost);
            return self.link_down(own, connection);
        }
        if now < heartbeats.next_at {
            return;
        }
        heartbeats.sequence += 1;
        heartbeats.next_at = now + ms(timing.heartbeat);
        let sequence = heartbeats.sequence;
        heartbeats.unanswered.push_back((sequence, now));
        let next = if ends_itself { heartbeats.next_at.min(silent_at) } else { heartbeats.next_at };
        let running = self.heartbeat_rank(own);
        self.send_to_coordinator(connection, Message::Heartbeat { sequence, running });
        self.timer(next, Process::Worker(own), ProcessEvent::Beat);
        if next == silent_at {
            self.timer(now + ms(timing.heartbeat), Process::Worker(own), ProcessEvent::Beat);
        }
    }

    pub(super) fn acknowledged(&mut self, own: usize, sequence: u64) {
        let Some(heartbeats) = &mut self.workers[own].heartbeats else { return };
        while let Some(&(oldest, sent_at)) = heartbeats.unanswered.front()
            && oldest <= sequence
        {
            heartbeats.confirmed_at = sent_at;
            heartbeats.unanswered.pop_front();
        }
        let confirmed_at = heartbeats.confirmed_at;
        self.check_counted_on(own, confirmed_at);
    }

    /// SIGTERM: takes nothing new, stops its rank gracefully, and leaves when its end is reported.
    pub(crate) fn leave_fleet(&mut self, own: usize) {
        self.workers[own].is_leaving = true;
        if let Some(connection) = self.workers[own].connection() {
            self.send_to_coordinator(connection, Message::Drain);
        }
        self.stop_attempt(own);
        self.may_leave(own);
    }

    fn may_leave(&mut self, own: usize) {
        let worker = &self.workers[own];
        if !worker.is_leaving || !worker.attempt.as_ref().is_none_or(Attempt::is_reported) {
            return;
        }
        self.workers[own].is_leaving = false;
        // It closes its half of the stream once the coordinator has read it, or after a while.
        let at = self.now + LEAVE_WAIT.min(self.rng.between(20, 200));
        self.agenda.at(at, Event::Fault(Fault::Left(own)));
    }
}
