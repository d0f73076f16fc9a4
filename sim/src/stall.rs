//! Ranks that hang, are asked to stop, or are killed.

use tandem_domain::state::RankOutcome;

use crate::{
    event::{AttemptId, Event, Process, ProcessEvent},
    gang::{Rank, RankPhase},
    plan::ms,
    world::World,
};

impl World {
    /// The gang made no progress for the longest wait in a collective: ranks that can end themselves do.
    pub(crate) fn on_stalled(&mut self, attempt: AttemptId, serial: u32) {
        let Some(gang) = self.gangs.get(&attempt).filter(|gang| gang.serial == serial) else { return };
        let hung = (0..gang.ranks.len()).find(|&rank| {
            let own = &gang.ranks[rank];
            own.is_alive() && own.is_hung && !own.is_frozen && own.stuck_until == 0
        });
        self.ghost.changed();
        self.log(|| format!("a{attempt} stood still for too long"));
        if let Some(rank) = hung {
            // Its own watchdog tells that this rank hangs.
            self.gangs.entry(attempt).and_modify(|gang| gang.ranks[rank].is_hung = false);
            self.exit_rank(attempt, rank, RankOutcome::Lost);
        } else {
            self.lose_peers(attempt);
        }
    }

    /// A rank has waited too long for the others.
    pub(crate) fn on_rendezvous_timeout(&mut self, attempt: AttemptId, rank: usize) {
        let Some(gang) = self.gangs.get(&attempt) else { return };
        let own = &gang.ranks[rank];
        if own.phase != RankPhase::Loaded {
            return;
        }
        if own.is_responsive() {
            self.exit_rank(attempt, rank, RankOutcome::PeerLost);
        } else {
            self.agenda.at(self.now + 1000, Event::RendezvousTimeout { attempt, rank });
        }
    }

    /// A rank can run again or no longer: the gang steps on, or waits.
    pub(crate) fn on_rank_changed(&mut self, attempt: AttemptId) {
        let Some(gang) = self.gangs.get(&attempt) else { return };
        let broken = gang.formed && gang.ranks.iter().any(|rank| rank.phase == RankPhase::Dead);
        if broken {
            return self.lose_peers(attempt);
        }
        let leaves = |rank: &Rank| !gang.formed && rank.is_alive() && rank.asked_to_stop && rank.is_responsive();
        if let Some(rank) = gang.ranks.iter().position(leaves) {
            self.exit_rank(attempt, rank, RankOutcome::Preempted);
        }
        self.try_rendezvous(attempt);
        self.schedule_step(attempt);
        let gang = &self.gangs[&attempt];
        for rank in gang.ranks.clone().iter().filter(|rank| rank.is_alive()) {
            self.watch(rank.worker, attempt);
        }
    }

    /// Lets the worker check its rank when progress is due.
    pub(crate) fn watch(&mut self, worker: usize, attempt: AttemptId) {
        let at = self.gangs[&attempt].progress_at + ms(self.limits(attempt).self_end);
        self.timer(at.max(self.now + 1), Process::Worker(worker), ProcessEvent::Watch { attempt });
    }

    /// SIGTERM: the rank stops at the end of its step, or at once before the first.
    pub(crate) fn terminate(&mut self, attempt: AttemptId, rank: usize) {
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let formed = gang.formed;
        let own = &mut gang.ranks[rank];
        own.asked_to_stop = true;
        if !formed && own.is_responsive() {
            self.exit_rank(attempt, rank, RankOutcome::Preempted);
        }
    }

    /// SIGKILL; `outcome` is the one that the worker sees.
    pub(crate) fn kill_rank(&mut self, attempt: AttemptId, rank: usize, outcome: RankOutcome) {
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let own = &mut gang.ranks[rank];
        if own.stuck_until > self.now {
            own.kill_pending = true;
            return;
        }
        self.exit_rank(attempt, rank, outcome);
    }

    pub(crate) fn on_unstuck(&mut self, attempt: AttemptId, rank: usize) {
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let own: &mut Rank = &mut gang.ranks[rank];
        own.stuck_until = 0;
        if own.kill_pending {
            self.exit_rank(attempt, rank, RankOutcome::Cancelled);
        } else {
            self.on_rank_changed(attempt);
        }
    }
}
