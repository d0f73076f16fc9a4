//! The start of ranks, until they have met and the first step begins.

use tandem_domain::{
    state::RankOutcome,
    timing::{self, Progress},
};

use crate::{
    broken::Broken,
    event::{AttemptId, Event, Process, ProcessEvent, RankEvent, RankOutput},
    gang::{Gang, Rank, RankPhase},
    plan::ms,
    world::World,
};

impl World {
    pub(crate) fn limits(&self, attempt: AttemptId) -> Progress {
        let gang = &self.gangs[&attempt];
        let slowest = gang.slowest(self.plan.jobs[gang.job].step_ms).map(std::time::Duration::from_millis);
        self.plan.timing.progress.scaled(slowest)
    }

    pub(crate) fn spawn(&mut self, worker: usize, attempt: AttemptId, rank: usize, checkpoints: Vec<(u32, u64)>) {
        let job = self.db.attempts[attempt].job;
        let size = self.db.attempts[attempt].leases.len();
        let now = self.now;
        self.ghost.rank_starts(now, worker, attempt, rank);
        let gang = self.gangs.entry(attempt).or_insert_with(|| Gang {
            job,
            ranks: vec![Rank::default(); size],
            formed: false,
            step: 0,
            hash: 0,
            committed: None,
            checkpoints: Vec::new(),
            progress_at: now,
            serial: 0,
        });
        if !gang.ranks.iter().any(Rank::is_alive) {
            // Assigned again, because no report of an earlier start had come.
            gang.formed = false;
        }
        if rank == 0 {
            gang.checkpoints = checkpoints;
        }
        gang.ranks[rank] = Rank { worker, phase: RankPhase::Loading, ..Rank::default() };
        let load = self.plan.jobs[job].load_ms;
        let at = now + self.rng.between(load / 2, load);
        self.agenda.at(at, Event::Loaded { attempt, rank });
        // Shorter than the progress clock, which would blame the rank that waits instead of the one that hangs.
        let rendezvous_timeout = timing::RENDEZVOUS.min(self.plan.timing.progress.scaled(None).step_watchdog);
        self.agenda.at(at + ms(rendezvous_timeout), Event::RendezvousTimeout { attempt, rank });
        self.print(attempt, rank, RankOutput::Event(RankEvent::Started));
    }

    /// Prints a line on the rank's stdout, or exits: its worker reads it at once, or when it goes on.
    pub(crate) fn print(&mut self, attempt: AttemptId, rank: usize, output: RankOutput) {
        let worker = self.gangs[&attempt].ranks[rank].worker;
        let at = self.now + 1;
        self.timer(at, Process::Worker(worker), ProcessEvent::RankOutput { attempt, output });
    }

    pub(crate) fn on_loaded(&mut self, attempt: AttemptId, rank: usize) {
        let now = self.now;
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let own = &mut gang.ranks[rank];
        if own.phase != RankPhase::Loading {
            return;
        }
        if !own.is_responsive() {
            return self.agenda.at(now + 500, Event::Loaded { attempt, rank });
        }
        own.phase = RankPhase::Loaded;
        gang.progress_at = now;
        let (worker, job) = (own.worker, gang.job);
        if !self.is_quiet && self.plan.jobs[job].unread_on.contains(&worker) {
            return self.exit_rank(attempt, rank, RankOutcome::InputMissing);
        }
        if !self.is_quiet && self.plan.devices[worker].is_sick {
            return self.exit_rank(attempt, rank, RankOutcome::Unknown);
        }
        if rank == 0 {
            self.print(attempt, 0, RankOutput::Listening);
        }
        self.try_rendezvous(attempt);
    }

    /// If all ranks are there, rank 0 loads the newest good checkpoint for all.
    pub(crate) fn try_rendezvous(&mut self, attempt: AttemptId) {
        let now = self.now;
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let here = |(rank, own): (usize, &Rank)| {
            own.phase == RankPhase::Loaded && own.is_responsive() && (rank == 0 || own.has_address)
        };
        if gang.formed || !gang.ranks.iter().enumerate().all(here) {
            return;
        }
        gang.formed = true;
        gang.progress_at = now;
        gang.ranks.iter_mut().for_each(|rank| rank.phase = RankPhase::Training);
        let job = gang.job;
        let is_good = |&&(step, hash): &&(u32, u64)| self.disk.get(&(job, step)) == Some(&hash);
        let good = if self.broken == Some(Broken::NoVerify) {
            gang.checkpoints.first().map(|&(step, hash)| (step, self.disk.get(&(job, step)).copied().unwrap_or(hash)))
        } else if self.broken == Some(Broken::ResumeUncommitted) {
            let newest = self.disk.range((job, 0)..=(job, u32::MAX)).next_back();
            newest.map(|(&(_, step), &hash)| (step, hash))
        } else {
            gang.checkpoints.iter().find(is_good).copied()
        };
        (gang.step, gang.hash) = good.unwrap_or((0, self.plan.jobs[job].truth[0]));
        let (step, size) = (gang.step, gang.ranks.len());
        self.log(|| format!("a{attempt} trains job{job} on {size} from step {step}"));
        for rank in 0..size {
            self.print(attempt, rank, RankOutput::Event(RankEvent::Training));
        }
        self.schedule_step(attempt);
    }

    /// Sets the timer of the next step, or of the abort if a rank cannot run.
    pub(crate) fn schedule_step(&mut self, attempt: AttemptId) {
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        if !gang.formed || !gang.ranks.iter().any(Rank::is_alive) {
            return;
        }
        gang.serial += 1;
        let serial = gang.serial;
        if gang.ranks.iter().all(Rank::is_responsive) {
            let step_ms = self.plan.jobs[gang.job].step_ms;
            let at = self.now + self.rng.between(step_ms / 2, step_ms).max(1);
            self.agenda.at(at, Event::Step { attempt, serial });
        } else {
            let limits = self.limits(attempt);
            let progress_at = self.gangs[&attempt].progress_at;
            let aborts = (progress_at + ms(limits.collective_abort)).max(self.now + 1);
            self.agenda.at(aborts, Event::Stalled { attempt, serial });
        }
    }
}
