//! A gang at work: its ranks step together or not at all.
//!
//! All ranks in the collective finish a step at the same time. If one of them dies, the others notice their broken
//! connections; if one hangs they all wait, until a timeout ends them.

use tandem_domain::{state::RankOutcome, timing};

use crate::{
    broken::Broken,
    event::{AttemptId, RankEvent, RankOutput},
    gang::{Rank, RankPhase},
    plan::ms,
    rng::mix,
    world::World,
};

impl World {
    pub(crate) fn on_step(&mut self, attempt: AttemptId, serial: u32) {
        let now = self.now;
        let Some(gang) = self.gangs.get_mut(&attempt).filter(|gang| gang.serial == serial) else { return };
        let plan = &self.plan.jobs[gang.job];
        if plan.fault_at == Some(gang.step + 1) {
            return self.exit_gang(attempt, RankOutcome::JobFailed);
        }
        if plan.crash_at == Some(gang.step + 1) {
            let rank = attempt % gang.ranks.len();
            return self.exit_rank(attempt, rank, RankOutcome::Unknown);
        }
        gang.hash = mix(gang.hash, u64::from(gang.step));
        gang.step += 1;
        gang.progress_at = now;
        let (step, hash) = (gang.step, gang.hash);
        let (is_last, is_due) = (step == plan.steps, step.is_multiple_of(plan.checkpoint_every));
        let stops = gang.ranks.iter().any(|rank| rank.asked_to_stop);
        self.print(attempt, 0, RankOutput::Event(RankEvent::Metric { step, value: hash }));
        if is_last {
            self.write_artifact(attempt);
            self.print(attempt, 0, RankOutput::Event(RankEvent::Result { hash }));
            return self.exit_gang(attempt, RankOutcome::Succeeded);
        }
        if is_due || stops {
            self.save(attempt);
        }
        if stops {
            return self.exit_gang(attempt, RankOutcome::Preempted);
        }
        self.schedule_step(attempt);
    }

    /// Rank 0 writes what its job made, if that leaves anything.
    fn write_artifact(&mut self, attempt: AttemptId) {
        let gang = &self.gangs[&attempt];
        let (hash, worker) = (gang.hash, gang.ranks[0].worker);
        if !self.plan.jobs[gang.job].leaves_artifact {
            return;
        }
        let latest = ms(timing::READ_BACK_LATE) - 1;
        let shown_at = self.now + if self.rng.percent(10) { self.rng.between(0, latest) } else { 0 };
        self.artifacts.write(attempt, shown_at);
        if self.artifacts.spoilers.remove(&worker) {
            self.artifacts.damage(attempt);
            self.ghost.files.damaged(attempt);
        }
        self.print(attempt, 0, RankOutput::Event(RankEvent::Artifact { hash }));
    }

    /// Rank 0 writes a checkpoint and removes old ones.
    fn save(&mut self, attempt: AttemptId) {
        let gang = &self.gangs[&attempt];
        let (job, step, hash) = (gang.job, gang.step, gang.hash);
        self.disk.insert((job, step), hash);
        let committed = gang.committed;
        let files: Vec<u32> = self.disk.range((job, 0)..=(job, u32::MAX)).map(|(&(_, step), _)| step).collect();
        let (before, later): (Vec<u32>, Vec<u32>) = files.into_iter().partition(|&of| of <= step);
        let is_old: Vec<u32> = if self.is_broken(Broken::PruneCommitted) {
            before[..before.len().saturating_sub(2)].to_vec()
        } else {
            // The newest committed one and the one before it stay.
            let known: Vec<u32> = before.into_iter().filter(|&of| committed.is_some_and(|known| of <= known)).collect();
            known[..known.len().saturating_sub(2)].to_vec()
        };
        let later = if self.is_broken(Broken::PruneLater) { later } else { Vec::new() };
        for step in is_old.into_iter().chain(later) {
            self.disk.remove(&(job, step));
            let newest = self.db.jobs[job].checkpoints.last_key_value().map(|(&newest, _)| newest);
            self.ghost.file_removed(self.now, job, step, newest);
        }
        self.print(attempt, 0, RankOutput::Event(RankEvent::Checkpoint { step, hash }));
    }

    fn exit_gang(&mut self, attempt: AttemptId, outcome: RankOutcome) {
        for rank in 0..self.gangs[&attempt].ranks.len() {
            self.exit_rank(attempt, rank, outcome);
        }
    }

    pub(crate) fn exit_rank(&mut self, attempt: AttemptId, rank: usize, outcome: RankOutcome) {
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let was_in = gang.formed;
        let own = &mut gang.ranks[rank];
        if !own.is_alive() {
            return;
        }
        own.phase = RankPhase::Dead;
        gang.serial += 1;
        let worker = own.worker;
        self.ghost.rank_ended(worker);
        self.print(attempt, rank, RankOutput::Exited(outcome));
        use RankOutcome::{Cancelled, Lost, PeerLost, Unknown};
        if was_in && matches!(outcome, Lost | Unknown | PeerLost | Cancelled) {
            self.lose_peers(attempt);
        }
    }

    /// A rank's exit closes its connections: every other rank that can run exits as well.
    pub(crate) fn lose_peers(&mut self, attempt: AttemptId) {
        let gang = &self.gangs[&attempt];
        let sees = |rank: &Rank| rank.is_alive() && rank.is_responsive();
        let seeing: Vec<usize> = (0..gang.ranks.len()).filter(|&rank| sees(&gang.ranks[rank])).collect();
        for rank in seeing {
            self.exit_rank(attempt, rank, RankOutcome::PeerLost);
        }
    }
}
