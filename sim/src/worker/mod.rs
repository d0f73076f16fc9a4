//! A worker: its link to a coordinator, its pulse, one rank.

mod attempt;
mod orders;
mod outbox;

use std::collections::VecDeque;

use tandem_domain::{state::RankOutcome, timing};

use crate::{
    broken::Broken,
    event::{Message, Process, What},
    plan::{Ms, ms},
    world::{Life, World},
};
pub(crate) use attempt::Attempt;

/// From dialling to the answer to the introduction.
const INTRODUCTION: Ms = 5000;
/// A leaving worker waits this long for the coordinator to hear its last words.
const FAREWELL: Ms = 5000;

#[derive(Default)]
pub(crate) struct Worker {
    pub(crate) life: Life,
    link: Link,
    failures: u32,
    next_dial: usize,
    /// When it introduced itself.
    dialled_at: Ms,
    pulse: Option<Pulse>,
    pub(crate) attempt: Option<Attempt>,
    /// It reaches no coordinator until then.
    pub(crate) cut_off_until: Ms,
    /// Something happened to it or its connection until then.
    pub(crate) disturbed_until: Ms,
    /// It was asked to leave.
    pub(crate) is_leaving: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Link {
    #[default]
    Waiting,
    Dialling(usize),
    Up(usize),
}

/// Heartbeats of one connection.
struct Pulse {
    next_at: Ms,
    sequence: u64,
    unanswered: VecDeque<(u64, Ms)>,
    /// When the newest heartbeat that was answered had been sent.
    confirmed_at: Ms,
}

impl Worker {
    pub(crate) fn disturb(&mut self, until: Ms) {
        self.disturbed_until = self.disturbed_until.max(until);
    }

    pub(crate) fn connection(&self) -> Option<usize> {
        match self.link {
            Link::Up(connection) => Some(connection),
            Link::Waiting | Link::Dialling(_) => None,
        }
    }
}

impl World {
    pub(crate) fn start_worker(&mut self, own: usize) {
        let worker = &mut self.workers[own];
        worker.life.is_up = true;
        (worker.link, worker.failures, worker.pulse, worker.is_leaving) = (Link::Waiting, 0, None, false);
        self.timer(self.now + 1, Process::Worker(own), What::Dial);
    }

    pub(crate) fn on_worker(&mut self, own: usize, what: What) {
        // Whatever happens, what is due by the clock is done first.
        self.beat(own);
        match what {
            What::Dial => self.dial(own),
            What::DialTimeout { connection } if self.workers[own].link == Link::Dialling(connection) => {
                self.link_down(own, connection);
            }
            What::Receive { connection, message } if self.connections[connection].is_open => {
                self.hear_coordinator(own, connection, message);
            }
            What::Lost { connection } => self.link_down(own, connection),
            What::Hear { attempt, word } => self.hear(own, attempt, word),
            What::KillDue { attempt } => self.kill_due(own, attempt),
            What::Watch { attempt } => self.on_watch(own, attempt),
            What::Flush => self.flush(own),
            _ => {}
        }
        self.may_leave(own);
    }

    fn dial(&mut self, own: usize) {
        if self.workers[own].link != Link::Waiting {
            return;
        }
        // In turn: the one that does not answer is not asked twice in a row.
        let coordinator = self.workers[own].next_dial % self.coordinators.len();
        self.workers[own].next_dial += 1;
        self.workers[own].dialled_at = self.now;
        let connection = self.connect(own, coordinator);
        self.workers[own].link = Link::Dialling(connection);
        if !self.coordinators[coordinator].life.is_up || self.now < self.workers[own].cut_off_until {
            // Connection refused, or no way to it.
            return self.cut(connection);
        }
        let running = self.unsettled(own);
        self.tell_coordinator(connection, Message::Register { running });
        self.timer(self.now + INTRODUCTION, Process::Worker(own), What::DialTimeout { connection });
    }

    fn link_down(&mut self, own: usize, connection: usize) {
        let worker = &mut self.workers[own];
        if worker.link != Link::Up(connection) && worker.link != Link::Dialling(connection) {
            return;
        }
        (worker.link, worker.pulse) = (Link::Waiting, None);
        let longest = ms(timing::RECONNECT_LONGEST);
        // Leases that got grace must be renewed before they run out.
        let in_time = ms(self.plan.timing.lease) / 4;
        let longest = if self.broken == Some(Broken::NoRenewalAtOpen) { longest } else { longest.min(in_time) };
        let wait = (ms(timing::RECONNECT_FIRST) << worker.failures.min(8)).min(longest);
        worker.failures += 1;
        self.cut(connection);
        let at = self.now + self.dice.between(wait / 2, wait);
        self.timer(at, Process::Worker(own), What::Dial);
    }

    pub(super) fn registered(&mut self, own: usize, connection: usize) {
        let now = self.now;
        let worker = &mut self.workers[own];
        (worker.link, worker.failures) = (Link::Up(connection), 0);
        // The answer may have been on its way for long: the lease counts from before it was given.
        let is_late = self.broken == Some(Broken::LateRegistration);
        let confirmed_at = if is_late { now } else { worker.dialled_at };
        worker.pulse = Some(Pulse { next_at: now, sequence: 0, unanswered: VecDeque::new(), confirmed_at });
        self.check_counted_on(own, confirmed_at);
        self.beat(own);
    }

    /// Sends the heartbeat that is due. A coordinator that is there but silent has, for all we know, given our attempt to
    /// others: the rank ends.
    fn beat(&mut self, own: usize) {
        let (now, timing) = (self.now, self.plan.timing);
        let ends_itself = !self.is(Broken::NoSelfEnd);
        let worker = &mut self.workers[own];
        let (Link::Up(connection), Some(pulse)) = (worker.link, &mut worker.pulse) else { return };
        let silent_at = pulse.confirmed_at + ms(timing.self_end);
        if now >= silent_at && ends_itself {
            self.counts.self_ends += 1;
            self.say(|| format!("w{own} hears nothing from its coordinator and ends its rank"));
            self.kill_attempt(own, RankOutcome::Lost);
            return self.link_down(own, connection);
        }
        if now < pulse.next_at {
            return;
        }
        pulse.sequence += 1;
        pulse.next_at = now + ms(timing.heartbeat);
        let sequence = pulse.sequence;
        pulse.unanswered.push_back((sequence, now));
        let next = if ends_itself { pulse.next_at.min(silent_at) } else { pulse.next_at };
        let running = self.vouched(own);
        self.tell_coordinator(connection, Message::Heartbeat { sequence, running });
        self.timer(next, Process::Worker(own), What::Beat);
        if next == silent_at {
            self.timer(now + ms(timing.heartbeat), Process::Worker(own), What::Beat);
        }
    }

    pub(super) fn acknowledged(&mut self, own: usize, sequence: u64) {
        let Some(pulse) = &mut self.workers[own].pulse else { return };
        while let Some(&(oldest, sent_at)) = pulse.unanswered.front()
            && oldest <= sequence
        {
            pulse.confirmed_at = sent_at;
            pulse.unanswered.pop_front();
        }
        let confirmed_at = pulse.confirmed_at;
        self.check_counted_on(own, confirmed_at);
    }

    /// SIGTERM: takes nothing new, stops its rank gently, goes when that is told.
    pub(crate) fn leave_fleet(&mut self, own: usize) {
        self.workers[own].is_leaving = true;
        if let Some(connection) = self.workers[own].connection() {
            self.tell_coordinator(connection, Message::Drain);
        }
        self.stop_attempt(own);
        self.may_leave(own);
    }

    fn may_leave(&mut self, own: usize) {
        let worker = &self.workers[own];
        if !worker.is_leaving || !worker.attempt.as_ref().is_none_or(Attempt::is_told) {
            return;
        }
        self.workers[own].is_leaving = false;
        // Its half of the stream is closed once all of it was read, or after a while.
        let at = self.now + FAREWELL.min(self.dice.between(20, 200));
        self.agenda.at(at, crate::event::Event::Fault(crate::faults::Fault::Left(own)));
    }
}
