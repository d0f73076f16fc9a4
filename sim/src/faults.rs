//! Faults in time: when the next one comes, the repair of each, and the quiet at the end.

use tandem_domain::state::RankOutcome;

use crate::{
    event::{Event, Fault, Process},
    gang::RankPhase,
    plan::{Ms, ms},
    world::World,
};

impl World {
    pub(crate) fn on_fault(&mut self, fault: Fault) {
        let quiet = self.is_quiet;
        match fault {
            Fault::Next if quiet => {}
            Fault::Next => {
                self.ghost.changed();
                self.inject_fault();
                if self.rng.percent(25) {
                    // Faults come in pairs.
                    self.inject_fault();
                }
                let lease = ms(self.plan.timing.lease);
                let at = self.now + self.rng.between(lease / 8, lease);
                self.agenda.at(at, Event::Fault(Fault::Next));
            }
            Fault::StartWorker(own) if !self.workers[own].lifetime.is_up => {
                self.ghost.changed();
                self.log(|| format!("w{own} starts"));
                self.start_worker(own);
            }
            Fault::StartCoordinator(own) if !self.coordinators[own].lifetime.is_up => {
                self.log(|| format!("c{own} starts"));
                self.start_coordinator(own);
            }
            Fault::Thaw(process) if self.lifetime(process).is_frozen => {
                self.ghost.changed();
                self.log(|| format!("{process:?} goes on"));
                self.thaw(process);
            }
            Fault::ThawRank(attempt, rank) => {
                self.ghost.changed();
                self.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].is_frozen = false);
                self.on_rank_changed(attempt);
            }
            Fault::Reach(own) => self.coordinators[own].is_cut = false,
            Fault::DatabaseUp => self.db.is_up = true,
            Fault::FreezeAtWrite(own, pause) if !quiet => self.coordinators[own].freeze_before_write = Some(pause),
            Fault::Left(own) if self.workers[own].lifetime.is_up => {
                self.ghost.changed();
                self.log(|| format!("w{own} left"));
                self.kill_worker(own, false);
                let pause = if quiet { 1 } else { self.pause() };
                self.agenda.at(self.now + pause, Event::Fault(Fault::StartWorker(own)));
            }
            Fault::Operator => {
                self.release_quarantined();
                self.agenda.at(self.now + 60_000, Event::Fault(Fault::Operator));
            }
            _ => {}
        }
    }

    fn release_quarantined(&mut self) {
        for worker in (0..self.db.workers.len()).filter(|&worker| self.db.is_quarantined(worker)).collect::<Vec<_>>() {
            self.db.release_worker(worker);
            self.ghost.blame.released(worker, self.now);
            self.ghost.changed();
        }
    }

    /// A length of time, from a fiftieth of a lease to three leases.
    pub(crate) fn pause(&mut self) -> Ms {
        let lease = ms(self.plan.timing.lease);
        let longest = [lease / 8, lease, lease, 3 * lease][self.rng.below(4)];
        self.rng.between(lease / 50, longest)
    }

    pub(crate) fn freeze_coordinator(&mut self, own: usize, pause: Ms) {
        self.log(|| format!("c{own} is frozen in what it does"));
        let until = self.now + 2 * pause;
        self.workers.iter_mut().for_each(|worker| worker.disturb(until));
        self.freeze(Process::Coordinator(own));
        self.agenda.at(self.now + pause, Event::Fault(Fault::Thaw(Process::Coordinator(own))));
    }

    /// Kills a worker and its rank; its spool may survive.
    pub(crate) fn kill_worker(&mut self, own: usize, by_force: bool) {
        self.with_rank(own, |world, attempt, rank| {
            world.gangs.entry(attempt).and_modify(|gang| {
                (gang.ranks[rank].stuck_until, gang.ranks[rank].is_frozen) = (0, false);
            });
            if world.gangs[&attempt].ranks[rank].phase != RankPhase::Dead {
                world.exit_rank(attempt, rank, RankOutcome::Lost);
            }
        });
        self.kill(Process::Worker(own));
        if by_force && self.rng.percent(85) {
            self.workers[own].recover(self.now);
        } else {
            self.workers[own].attempt = None;
        }
    }

    /// Repairs everything and injects no more faults. A rank that hangs is left for the timeouts to find.
    pub(crate) fn on_quiet(&mut self) {
        self.is_quiet = true;
        self.log(|| "quiet".to_owned());
        self.ghost.changed();
        self.artifacts.spoilers.clear();
        (self.db.is_up, self.db.stall) = (true, None);
        for own in 0..self.coordinators.len() {
            self.coordinators[own].is_cut = false;
            self.coordinators[own].pool_empty_until = 0;
            self.coordinators[own].store_away_until = 0;
            self.coordinators[own].freeze_after_decision = None;
            self.coordinators[own].freeze_before_write = None;
            self.on_fault(Fault::Thaw(Process::Coordinator(own)));
            self.on_fault(Fault::StartCoordinator(own));
        }
        for own in 0..self.workers.len() {
            self.on_fault(Fault::Thaw(Process::Worker(own)));
            self.on_fault(Fault::StartWorker(own));
        }
        self.on_fault(Fault::Operator);
    }
}
