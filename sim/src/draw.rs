//! What goes wrong: one of these, by chance.

use tandem_domain::state::RankOutcome;

use crate::{
    event::{AttemptId, Event, Process},
    faults::Fault,
    plan::ms,
    world::World,
};

impl World {
    pub(crate) fn draw(&mut self) {
        let own = self.dice.below(self.workers.len());
        let coordinator = self.dice.below(self.coordinators.len());
        let (now, mut pause) = (self.now, self.pause());
        let kind = self.dice.below(self.plan.faults.len());
        let (name, repair) = match self.plan.faults[kind] {
            0 | 1 => {
                self.kill_worker(own, true);
                ("worker killed", Some(Fault::StartWorker(own)))
            }
            2 => {
                self.freeze(Process::Worker(own));
                ("worker frozen", Some(Fault::Thaw(Process::Worker(own))))
            }
            3 => {
                self.freeze(Process::Worker(own));
                self.agenda.at(now + pause, Event::Fault(Fault::Thaw(Process::Worker(own))));
                ("worker and rank frozen", self.freeze_rank(own))
            }
            4 | 5 => {
                if let Some(connection) = self.workers[own].connection() {
                    self.cut(connection);
                }
                ("connection cut", None)
            }
            6 | 7 => {
                if let Some(connection) = self.workers[own].connection() {
                    self.connections[connection].stalled_until = now + pause;
                }
                ("connection stalled", None)
            }
            8 => {
                self.kill(Process::Coordinator(coordinator));
                ("coordinator killed", Some(Fault::StartCoordinator(coordinator)))
            }
            9 => {
                self.freeze(Process::Coordinator(coordinator));
                ("coordinator frozen", Some(Fault::Thaw(Process::Coordinator(coordinator))))
            }
            10 => {
                self.coordinators[coordinator].freeze_after_decision = Some(pause);
                ("coordinator frozen after a decision", None)
            }
            19 | 20 => {
                if let Some(connection) = self.workers[own].connection() {
                    self.cut(connection);
                }
                self.workers[own].cut_off_until = now + 2 * pause;
                ("worker cut off", None)
            }
            18 => {
                // Heartbeats come late, all at once, and are heard but not written down.
                let late = self.dice.between(0, ms(self.plan.timing.self_end));
                for connection in self.coordinators[coordinator].sessions.keys() {
                    self.connections[*connection].stalled_until = now + late;
                }
                self.agenda.at(now + late, Event::Fault(Fault::FreezeAtWrite(coordinator, pause)));
                ("coordinator frozen before a write", None)
            }
            21 => {
                self.coordinators[coordinator].deaf_until = now + 3 * pause;
                ("coordinator without notifications", None)
            }
            11 => {
                self.coordinators[coordinator].is_cut = true;
                ("coordinator cut from the database", Some(Fault::Reach(coordinator)))
            }
            12 => {
                self.db.is_up = false;
                if self.dice.percent(50) {
                    // As long as the leader may stay leader.
                    let longest = ms(self.plan.timing.leader_lease);
                    pause = self.dice.between(longest / 2, longest);
                }
                ("database down", Some(Fault::DatabaseUp))
            }
            13 => {
                self.with_rank(own, |world, attempt, rank| {
                    world.kill_rank(attempt, rank, RankOutcome::Lost);
                });
                ("rank killed", None)
            }
            14 => {
                self.with_rank(own, |world, attempt, rank| {
                    world.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].is_hung = true);
                    world.look_at(attempt);
                });
                ("rank hangs", None)
            }
            15 if self.dice.percent(40) => {
                self.with_rank(own, |world, attempt, rank| {
                    let until = world.now + world.dice.between(1, 40) * pause;
                    world.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].stuck_until = until);
                    world.agenda.at(until, Event::Unstuck { attempt, rank });
                    world.look_at(attempt);
                });
                ("rank cannot be killed", None)
            }
            15 | 16 if self.dice.percent(50) => ("rank frozen", self.freeze_rank(own)),
            16 => {
                let place = self.dice.below(self.disk.len());
                if let Some((_, hash)) = self.disk.iter_mut().nth(place) {
                    *hash ^= 1;
                }
                ("checkpoint damaged", None)
            }
            _ => {
                if self.workers[own].life.is_up && !self.workers[own].life.is_frozen {
                    self.leave_fleet(own);
                }
                ("worker leaves", None)
            }
        };
        match name {
            "coordinator killed" | "coordinator without notifications" | "coordinator cut from the database" => {}
            "database down" | "checkpoint damaged" => {}
            name if name.starts_with("coordinator frozen") => {
                self.workers.iter_mut().for_each(|worker| worker.disturb(now + 2 * pause));
            }
            _ => self.workers[own].disturb(now + 2 * pause),
        }
        *self.counts.faults.entry(name).or_default() += 1;
        self.say(|| format!("FAULT {name} (w{own}, c{coordinator}, {pause} ms)"));
        if let Some(repair) = repair {
            self.agenda.at(now + pause, Event::Fault(repair));
        }
    }

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
            world.look_at(attempt);
            repair = Some(Fault::ThawRank(attempt, rank));
        });
        repair
    }
}
