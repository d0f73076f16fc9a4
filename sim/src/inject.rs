//! Injects faults: a random kind out of the plan's, repaired after a pause.

use tandem_domain::state::RankOutcome;

use crate::{
    event::{AttemptId, Event, Fault, Process},
    plan::{FaultKind, Ms, ms},
    world::World,
};

type Injected = (&'static str, Option<Fault>);

impl World {
    pub(crate) fn inject_fault(&mut self) {
        let own = self.rng.below(self.workers.len());
        let coordinator = self.rng.below(self.coordinators.len());
        let mut pause = self.pause();
        let kind = self.rng.below(self.plan.faults.len());
        let (name, repair) = match self.plan.faults[kind] {
            FaultKind::DatabaseDown => {
                self.db.is_up = false;
                if self.rng.percent(50) {
                    // About as long as a leader lease.
                    let longest = ms(self.plan.timing.leader_lease);
                    pause = self.rng.between(longest / 2, longest);
                }
                ("database down", Some(Fault::DatabaseUp))
            }
            FaultKind::DatabaseStalls => {
                if self.db.stall.is_none_or(|(_, until)| until < self.now) {
                    self.db.stall = Some((self.now, self.now + pause));
                }
                ("database stalls", None)
            }
            FaultKind::RankFrozen if !self.rng.percent(50) => {
                let file = self.rng.below(self.disk.len());
                if let Some((_, hash)) = self.disk.iter_mut().nth(file) {
                    *hash ^= 1;
                }
                ("checkpoint damaged", None)
            }
            FaultKind::ArtifactDamaged => (self.spoil_artifact(own), None),
            kind => match self.inject_into_coordinator(kind, coordinator, pause) {
                Some(injected) => injected,
                None => {
                    self.workers[own].disturb(self.now + 2 * pause);
                    self.inject_into_worker(kind, own, pause)
                }
            },
        };
        *self.counts.faults.entry(name).or_default() += 1;
        self.log(|| format!("FAULT {name} (w{own}, c{coordinator}, {pause} ms)"));
        if let Some(repair) = repair {
            self.agenda.at(self.now + pause, Event::Fault(repair));
        }
    }

    /// Damages an artifact that waits to be read back, or else the next that a worker writes.
    fn spoil_artifact(&mut self, worker: usize) -> &'static str {
        match self.db.verifying().first() {
            Some(&attempt) if self.rng.percent(50) => {
                self.artifacts.damage(attempt);
                self.ghost.files.damaged(attempt);
            }
            _ => drop(self.artifacts.spoilers.insert(worker)),
        }
        "artifact damaged"
    }

    fn inject_into_coordinator(&mut self, kind: FaultKind, coordinator: usize, pause: Ms) -> Option<Injected> {
        let now = self.now;
        let injected = match kind {
            FaultKind::CoordinatorKilled => {
                self.kill(Process::Coordinator(coordinator));
                ("coordinator killed", Some(Fault::StartCoordinator(coordinator)))
            }
            FaultKind::CoordinatorUnnotified => {
                self.coordinators[coordinator].unnotified_until = now + 3 * pause;
                ("coordinator without notifications", None)
            }
            FaultKind::CoordinatorCut => {
                self.coordinators[coordinator].is_cut = true;
                ("coordinator cut from the database", Some(Fault::Reach(coordinator)))
            }
            FaultKind::PoolEmpty => {
                self.coordinators[coordinator].pool_empty_until = now + pause;
                ("coordinator without connections", None)
            }
            FaultKind::StoreAway => {
                self.coordinators[coordinator].store_away_until = now + 3 * pause;
                ("store away from a coordinator", None)
            }
            FaultKind::CoordinatorFrozen => {
                self.freeze(Process::Coordinator(coordinator));
                ("coordinator frozen", Some(Fault::Thaw(Process::Coordinator(coordinator))))
            }
            FaultKind::CoordinatorFrozenAfterDecision => {
                self.coordinators[coordinator].freeze_after_decision = Some(pause);
                ("coordinator frozen after a decision", None)
            }
            FaultKind::CoordinatorFrozenBeforeWrite => {
                // Heartbeats come late, all at once, and are received but not stored.
                let late = self.rng.between(0, ms(self.plan.timing.self_end));
                for connection in self.coordinators[coordinator].sessions.keys() {
                    self.connections[*connection].stalled_until = now + late;
                }
                self.agenda.at(now + late, Event::Fault(Fault::FreezeAtWrite(coordinator, pause)));
                ("coordinator frozen before a write", None)
            }
            _ => return None,
        };
        if injected.0.starts_with("coordinator frozen") {
            self.workers.iter_mut().for_each(|worker| worker.disturb(now + 2 * pause));
        }
        Some(injected)
    }

    fn inject_into_worker(&mut self, kind: FaultKind, own: usize, pause: Ms) -> Injected {
        let now = self.now;
        match kind {
            FaultKind::WorkerKilled => {
                self.kill_worker(own, true);
                ("worker killed", Some(Fault::StartWorker(own)))
            }
            FaultKind::WorkerFrozen => {
                self.freeze(Process::Worker(own));
                ("worker frozen", Some(Fault::Thaw(Process::Worker(own))))
            }
            FaultKind::WorkerAndRankFrozen => {
                self.freeze(Process::Worker(own));
                self.agenda.at(now + pause, Event::Fault(Fault::Thaw(Process::Worker(own))));
                ("worker and rank frozen", self.freeze_rank(own))
            }
            FaultKind::ConnectionCut => {
                if let Some(connection) = self.workers[own].connection() {
                    self.cut(connection);
                }
                ("connection cut", None)
            }
            FaultKind::ConnectionStalled => {
                if let Some(connection) = self.workers[own].connection() {
                    self.connections[connection].stalled_until = now + pause;
                }
                ("connection stalled", None)
            }
            FaultKind::WorkerCutOff => {
                if let Some(connection) = self.workers[own].connection() {
                    self.cut(connection);
                }
                self.workers[own].cut_off_until = now + 2 * pause;
                ("worker cut off", None)
            }
            kind => self.inject_into_rank(kind, own, pause),
        }
    }

    fn inject_into_rank(&mut self, kind: FaultKind, own: usize, pause: Ms) -> Injected {
        match kind {
            FaultKind::RankKilled => {
                self.with_rank(own, |world, attempt, rank| world.kill_rank(attempt, rank, RankOutcome::Lost));
                ("rank killed", None)
            }
            FaultKind::RankHangs => {
                self.with_rank(own, |world, attempt, rank| {
                    world.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].is_hung = true);
                    world.on_rank_changed(attempt);
                });
                ("rank hangs", None)
            }
            FaultKind::RankUnkillable if self.rng.percent(40) => {
                self.with_rank(own, |world, attempt, rank| {
                    let until = world.now + world.rng.between(1, 40) * pause;
                    world.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].stuck_until = until);
                    world.agenda.at(until, Event::Unstuck { attempt, rank });
                    world.on_rank_changed(attempt);
                });
                ("rank cannot be killed", None)
            }
            FaultKind::RankFrozen => ("rank frozen", self.freeze_rank(own)),
            FaultKind::RankUnkillable if self.rng.percent(50) => ("rank frozen", self.freeze_rank(own)),
            _ => {
                if self.workers[own].lifetime.is_up && !self.workers[own].lifetime.is_frozen {
                    self.leave_fleet(own);
                }
                ("worker leaves", None)
            }
        }
    }

    /// Calls `act` with the rank that a worker runs, if that is alive.
    pub(crate) fn with_rank(&mut self, own: usize, act: impl FnOnce(&mut Self, AttemptId, usize)) {
        let Some((attempt, rank)) = self.workers[own].attempt.as_ref().map(|held| (held.attempt, held.rank)) else {
            return;
        };
        if self.gangs[&attempt].ranks[rank].is_alive() {
            act(self, attempt, rank);
        }
    }

    fn freeze_rank(&mut self, own: usize) -> Option<Fault> {
        let mut repair = None;
        self.with_rank(own, |world, attempt, rank| {
            world.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].is_frozen = true);
            world.on_rank_changed(attempt);
            repair = Some(Fault::ThawRank(attempt, rank));
        });
        repair
    }
}
