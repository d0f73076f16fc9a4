//! A scheduler pass: lead, reap, unblock, decide; then one transaction after the other.

use std::time::Duration;

use tandem_domain::{
    place::{Decision, FleetWorker, QueuedJob, RunningGang, Stop, fingerprint, grow, make_room, place, soon_free},
    timing,
};

use super::state::{Action, LeadershipTerm};
use crate::{
    broken::Broken,
    database::{moment, number},
    event::{Process, ProcessEvent},
    plan::ms,
    world::World,
};

impl World {
    pub(super) fn on_pass(&mut self, own: usize) {
        let is_notified = std::mem::take(&mut self.coordinators[own].is_notified);
        if !self.reaches_database(own) {
            if !self.is_broken(Broken::NoGraceAfterOutage) {
                // It may have missed as much as any other: it takes a new term, and all leases are renewed.
                self.coordinators[own].term = None;
            }
            return self.pass_at(own, self.now + ms(timing::SCHEDULE_POLL));
        }
        let timing = self.plan.timing;
        let due = |term: LeadershipTerm| self.now - term.renewed >= ms(timing.leader_renew);
        if self.coordinators[own].term.is_none_or(due) {
            self.lead(own);
        }
        let Some(mut term) = self.coordinators[own].term else {
            return self.pass_at(own, self.now + ms(timing::SCHEDULE_POLL));
        };
        if self.now - term.reaped >= ms(timing.reap_tick) {
            term.reaped = self.now;
            self.coordinators[own].term = Some(term);
            self.reap(term);
        }
        if is_notified || term.placed.is_none_or(|placed| self.now - placed >= ms(timing::SCHEDULE_POLL)) {
            term.placed = Some(self.now);
            self.coordinators[own].term = Some(term);
            self.db.unblock();
            self.decide(own, term.number);
        }
        self.set_next_timer(own);
    }

    fn lead(&mut self, own: usize) {
        let before = self.coordinators[own].term;
        let holder = (own, self.coordinators[own].lifetime.epoch);
        let number = self.db.lead(holder, before.map(|term| term.number));
        let now = self.now;
        self.coordinators[own].term = match (number, before) {
            (Some(number), Some(before)) if before.number == number => Some(LeadershipTerm { renewed: now, ..before }),
            (Some(number), _) => {
                self.log(|| format!("c{own} leads, term {number}"));
                self.counts.terms += 1;
                Some(LeadershipTerm { number, since: now, renewed: now, reaped: now, placed: None })
            }
            (None, _) => None,
        };
    }

    fn reap(&mut self, term: LeadershipTerm) {
        for attempt in self.db.expired() {
            let ranks = self.db.reap(term.number, attempt);
            self.log(|| format!("reaped {ranks} ranks of a{attempt}"));
        }
        if self.now - term.since > ms(self.plan.timing.lease) {
            self.db.mark_lost(term.number);
        }
    }

    fn decide(&mut self, own: usize, term: u64) {
        let (queue, running) = (self.db.queue(), self.db.running());
        if queue.is_empty() && running.is_empty() {
            return;
        }
        let (now, fleet) = (moment(self.now), self.db.fleet());
        let stops = self.room(&queue, &running, &fleet);
        let soon = soon_free(now, &fleet, &running, &stops);
        let decision = self.placed(&queue, &soon);
        self.ghost.check_decision(&queue, &soon, &decision, self.policy.across_hosts, now);
        self.coordinators[own].decided_at = self.ghost.stops.changes();
        let world = fingerprint(&fleet, &running);
        let growth = grow(now, &queue, &decision, &running, &fleet, &self.policy);
        let stops: Vec<Stop> = stops.into_iter().chain(growth).collect();
        let claims = decision.placements.into_iter().map(|placement| Action::Claim { term, placement });
        let stops = (!stops.is_empty()).then_some(Action::Stop { term, stops, world });
        self.coordinators[own].actions = claims.chain(stops).collect();
        if let Some(pause) = self.coordinators[own].freeze_after_decision
            && !self.coordinators[own].actions.is_empty()
        {
            self.coordinators[own].freeze_after_decision = None;
            self.freeze_coordinator(own, pause);
        }
    }

    fn placed(&self, queue: &[QueuedJob], fleet: &[FleetWorker]) -> Decision {
        let now = moment(self.now);
        let mut decision = place(now, queue, fleet, &self.policy);
        if self.is_broken(Broken::BackoffHoldsLine) && queue.iter().any(|job| job.not_before.is_some_and(|at| at > now))
        {
            decision.placements.clear();
        }
        if self.is_broken(Broken::BackfillBlindly) {
            let no_time = |job: &QueuedJob| job.estimates.keys().map(|kind| (kind.clone(), Duration::ZERO)).collect();
            let hasty: Vec<_> = queue.iter().map(|job| QueuedJob { estimates: no_time(job), ..job.clone() }).collect();
            decision = place(now, &hasty, fleet, &self.policy);
        }
        if self.is_broken(Broken::Overtaking) && decision.placements.is_empty() && decision.waiting.len() > 1 {
            let first = decision.waiting[0].job;
            let behind: Vec<_> = queue.iter().filter(|job| job.id != first).cloned().collect();
            decision.placements = place(now, &behind, fleet, &self.policy).placements;
        }
        decision
    }

    fn room(&self, queue: &[QueuedJob], running: &[RunningGang], fleet: &[FleetWorker]) -> Vec<Stop> {
        let now = moment(self.now);
        if !self.is_broken(Broken::EndlessPreemption) {
            return make_room(now, queue, running, fleet, &self.policy);
        }
        let queue: Vec<_> = queue
            .iter()
            .map(|job| QueuedJob { priority: job.priority + 1, made_room_at: None, ..job.clone() })
            .collect();
        let policy = tandem_domain::place::Policy { least_run: Duration::ZERO, ..self.policy.clone() };
        make_room(now, &queue, running, fleet, &policy)
    }

    /// Carries out the next action, in a transaction of its own.
    pub(super) fn on_execute(&mut self, own: usize) {
        let Some(action) = self.coordinators[own].actions.pop_front() else { return };
        if !self.reaches_database(own) {
            self.coordinators[own].actions.clear();
            if !self.is_broken(Broken::NoGraceAfterOutage) {
                self.coordinators[own].term = None;
            }
            return self.pass_at(own, self.now + ms(timing::SCHEDULE_POLL));
        }
        self.ghost.stops.decided_at = self.coordinators[own].decided_at;
        match action {
            Action::Claim { term, placement } => match self.db.claim(term, &placement) {
                Some(attempt) => {
                    self.counts.attempts += 1;
                    let workers: Vec<usize> = placement.workers.iter().map(|&id| number(id)).collect();
                    self.log(|| format!("c{own} claims a{attempt} of job{} on {workers:?}", number(placement.job)));
                }
                None => {
                    // Whoever has changed that notifies.
                    self.log(|| format!("c{own} cannot claim job{}", number(placement.job)));
                }
            },
            Action::Stop { term, stops, world } => {
                let is_asked = self.db.ask_stops(term, &stops, &world);
                for stop in stops.iter().filter(|_| is_asked) {
                    *(if stop.room_for.is_some() { &mut self.counts.preemptions } else { &mut self.counts.growths }) +=
                        1;
                    self.log(|| format!("c{own} asks a{} to stop: {}", number(stop.attempt), stop.reason));
                }
            }
        }
        self.set_next_timer(own);
    }

    /// Sets the timer for the next action or the next pass, in time for the next reaping.
    fn set_next_timer(&mut self, own: usize) {
        let coordinator = &self.coordinators[own];
        if !coordinator.actions.is_empty() {
            let at = self.now + self.rng.between(1, 10);
            return self.timer(at, Process::Coordinator(own), ProcessEvent::Execute);
        }
        let reap =
            coordinator.term.map_or(0, |term| (term.reaped + ms(self.plan.timing.reap_tick)).saturating_sub(self.now));
        let wait = if coordinator.is_notified { 1 } else { reap.clamp(1, ms(timing::SCHEDULE_POLL)) };
        self.pass_at(own, self.now + wait);
    }

    pub(crate) fn is_broken(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }
}
