//! Ranks as processes, from their start until they have met.

use std::collections::BTreeMap;

use tandem_domain::timing::{self, Progress};

use crate::{
    broken::Broken,
    event::{AttemptId, Event, Process, RankEvent, What, Word},
    plan::{Ms, ms},
    world::World,
};

/// Files of checkpoints by job and step: the hash of what is in them.
pub(crate) type Disk = BTreeMap<(usize, u32), u64>;
pub(crate) type Gangs = BTreeMap<AttemptId, Gang>;

pub(crate) struct Gang {
    pub(crate) job: usize,
    pub(crate) ranks: Vec<Rank>,
    /// They have met.
    pub(crate) formed: bool,
    pub(crate) step: u32,
    pub(crate) hash: u64,
    /// Newest checkpoint that the coordinator is known to have.
    pub(crate) committed: Option<u32>,
    /// As offered with the assignment, newest first.
    pub(crate) checkpoints: Vec<(u32, u64)>,
    pub(crate) progress_at: Ms,
    /// Changes whenever the clock of the next step is set anew.
    pub(crate) serial: u32,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Rank {
    pub(crate) worker: usize,
    pub(crate) life: RankLife,
    pub(crate) is_frozen: bool,
    /// A thread of it waits for ever.
    pub(crate) is_hung: bool,
    /// Not even SIGKILL ends it, until this.
    pub(crate) stuck_until: Ms,
    pub(crate) kill_pending: bool,
    pub(crate) knows_where: bool,
    pub(crate) asked_to_stop: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RankLife {
    #[default]
    NotStarted,
    Loading,
    /// Waits to meet the others.
    Loaded,
    /// In the collective.
    In,
    Dead,
}

impl Rank {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.life, RankLife::Loading | RankLife::Loaded | RankLife::In)
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.is_frozen && !self.is_hung && self.stuck_until == 0
    }
}

impl Gang {
    pub(crate) fn slowest(&self, step_ms: Ms) -> Option<Ms> {
        self.formed.then_some(step_ms)
    }
}

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
            // Assigned again, because nobody had heard of an earlier start.
            gang.formed = false;
        }
        if rank == 0 {
            gang.checkpoints = checkpoints;
        }
        gang.ranks[rank] = Rank { worker, life: RankLife::Loading, ..Rank::default() };
        let load = self.plan.jobs[job].load_ms;
        let at = now + self.dice.between(load / 2, load);
        self.agenda.at(at, Event::Loaded { attempt, rank });
        // Sooner than the progress clock, which would take whoever waits for the one that hangs.
        let patience = timing::RENDEZVOUS.min(self.plan.timing.progress.scaled(None).step_watchdog);
        self.agenda.at(at + ms(patience), Event::MeetingOver { attempt, rank });
        self.hear_rank(attempt, rank, Word::Event(RankEvent::Started));
    }

    /// A line on the rank's stdout, or its end: its worker reads it, at once or when it can.
    pub(crate) fn hear_rank(&mut self, attempt: AttemptId, rank: usize, word: Word) {
        let worker = self.gangs[&attempt].ranks[rank].worker;
        let at = self.now + 1;
        self.timer(at, Process::Worker(worker), What::Hear { attempt, word });
    }

    pub(crate) fn on_loaded(&mut self, attempt: AttemptId, rank: usize) {
        let now = self.now;
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let own = &mut gang.ranks[rank];
        if own.life != RankLife::Loading {
            return;
        }
        if !own.goes_on() {
            return self.agenda.at(now + 500, Event::Loaded { attempt, rank });
        }
        own.life = RankLife::Loaded;
        gang.progress_at = now;
        if rank == 0 {
            self.hear_rank(attempt, 0, Word::Listens);
        }
        self.meet(attempt);
    }

    /// All there? Then rank 0 loads the newest good checkpoint for everybody.
    pub(crate) fn meet(&mut self, attempt: AttemptId) {
        let now = self.now;
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        let here = |(rank, own): (usize, &Rank)| {
            own.life == RankLife::Loaded && own.goes_on() && (rank == 0 || own.knows_where)
        };
        if gang.formed || !gang.ranks.iter().enumerate().all(here) {
            return;
        }
        gang.formed = true;
        gang.progress_at = now;
        gang.ranks.iter_mut().for_each(|rank| rank.life = RankLife::In);
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
        self.say(|| format!("a{attempt} trains job{job} on {size} from step {step}"));
        for rank in 0..size {
            self.hear_rank(attempt, rank, Word::Event(RankEvent::Training));
        }
        self.go_on(attempt);
    }

    /// Sets the clock of the next step, or of standing still.
    pub(crate) fn go_on(&mut self, attempt: AttemptId) {
        let Some(gang) = self.gangs.get_mut(&attempt) else { return };
        if !gang.formed || !gang.ranks.iter().any(Rank::is_alive) {
            return;
        }
        gang.serial += 1;
        let serial = gang.serial;
        if gang.ranks.iter().all(Rank::goes_on) {
            let step_ms = self.plan.jobs[gang.job].step_ms;
            let at = self.now + self.dice.between(step_ms / 2, step_ms).max(1);
            self.agenda.at(at, Event::Step { attempt, serial });
        } else {
            let limits = self.limits(attempt);
            let progress_at = self.gangs[&attempt].progress_at;
            let aborts = (progress_at + ms(limits.collective_abort)).max(self.now + 1);
            self.agenda.at(aborts, Event::Stalled { attempt, serial });
        }
    }
}
