//! What the database knows about lost attempts: by what their ranks said, jobs and workers are blamed.

use tandem_domain::{
    blame::{Evidence, LostRank},
    quarantine::{Elsewhere, Loss, quarantine},
    state::{AttemptState, RankOutcome},
    timing,
};

use super::{
    Database, LeaseRow, Quarantine, Write,
    ids::{attempt_id, job_id, moment, worker_id},
};
use crate::{
    broken::Broken,
    cause::cause,
    event::AttemptId,
    plan::{Ms, ms},
};

const HOUR: Ms = 3_600_000;

impl Database {
    /// The newest attempt of a job that wrote a checkpoint.
    fn saved_by(&self, job: usize) -> Option<AttemptId> {
        self.jobs[job].checkpoints.values().map(|row| row.attempt).max()
    }

    /// The ranks of a job's lost attempts since its last checkpoint, and those lost lately; by attempt.
    pub(super) fn lost_ranks(&self, job: usize) -> Vec<LostRank> {
        use RankOutcome::{InputMissing, Lost, PeerLost, Unknown};
        let saved_by = self.saved_by(job);
        let mut ranks = Vec::new();
        for (number, attempt) in self.attempts.iter().enumerate() {
            if attempt.job != job || attempt.state != AttemptState::Lost {
                continue;
            }
            let is_recovered = saved_by.is_some_and(|newest| number <= newest);
            for lease in &attempt.leases {
                let (Some(outcome), Some(at)) = (lease.outcome, lease.released_at) else { continue };
                let is_late = self.now - at < ms(timing::AVOID);
                if matches!(outcome, Lost | Unknown | InputMissing | PeerLost) && (is_late || !is_recovered) {
                    let worker = &self.workers[lease.worker];
                    let is_missing = outcome == InputMissing && self.is_broken(Broken::MissingInputCounts);
                    ranks.push(LostRank {
                        attempt: attempt_id(number),
                        at: moment(at),
                        outcome: if is_missing { Lost } else { outcome },
                        cause: cause(self.jobs[job].crashes, lease.worker, outcome),
                        worker: worker_id(lease.worker),
                        worker_name: worker.name.clone(),
                        host: worker.host.to_owned(),
                        device: worker.device.clone(),
                        others_go_well: self.others_go_well(job, lease.worker, at),
                        is_recovered,
                    });
                }
            }
        }
        ranks
    }

    fn leases(&self) -> impl Iterator<Item = (AttemptId, usize, &LeaseRow)> {
        self.attempts
            .iter()
            .enumerate()
            .flat_map(|(number, attempt)| attempt.leases.iter().map(move |lease| (number, attempt.job, lease)))
    }

    fn others_go_well(&self, job: usize, worker: usize, at: Ms) -> bool {
        self.leases().any(|(_, other, lease)| {
            let is_good = lease.outcome == Some(RankOutcome::Succeeded);
            let is_late = lease.released_at.is_some_and(|good| good + ms(timing::EVIDENCE) > at);
            is_good && is_late && other != job && self.workers[lease.worker].device == self.workers[worker].device
        })
    }

    pub(super) fn evidence(&self, job: usize) -> Evidence {
        let ranks = self.lost_ranks(job);
        let said = |worker: usize| {
            let is_its = |rank: &LostRank| rank.worker == worker_id(worker);
            ranks.iter().any(|rank| is_its(rank) && rank.outcome == RankOutcome::InputMissing)
        };
        let usable = |&worker: &usize| self.takes_work(worker) && self.workers[worker].session.is_some();
        let workers_not_asked = (0..self.workers.len()).filter(usable).filter(|&worker| !said(worker)).count();
        Evidence { ranks, workers_not_asked, is_proof: false }
    }

    /// What was lost on a worker since a rank last succeeded there or somebody released it, newest first.
    fn losses(&self, worker: usize) -> Vec<Loss> {
        let good = |(_, _, lease): &(AttemptId, usize, &LeaseRow)| {
            lease.worker == worker && lease.outcome == Some(RankOutcome::Succeeded)
        };
        let success = self.leases().filter(good).filter_map(|(_, _, lease)| lease.released_at).max();
        let released =
            if self.is_broken(Broken::ReleaseForgetsNothing) { None } else { self.workers[worker].released_at };
        let since = success.max(released);
        let mut losses: Vec<Loss> = self
            .leases()
            .filter(|(_, _, lease)| lease.worker == worker && lease.released_at > since)
            .filter_map(|(attempt, job, lease)| {
                let outcome = lease.outcome?;
                let elsewhere = self.elsewhere(attempt, job, worker, lease.released_at?);
                let (at, cause) = (moment(lease.released_at?), "lost".to_owned());
                Some(Loss { job: job_id(job), job_name: self.jobs[job].name.clone(), at, outcome, cause, elsewhere })
            })
            .filter(|loss| matches!(loss.outcome, RankOutcome::Lost | RankOutcome::Unknown))
            .collect();
        losses.sort_by_key(|loss| std::cmp::Reverse(loss.at));
        losses
    }

    fn elsewhere(&self, attempt: AttemptId, job: usize, worker: usize, at: Ms) -> Elsewhere {
        if self.is_broken(Broken::QuarantineBlindly) {
            return Elsewhere::WentWell;
        }
        let went_well = |number: AttemptId| {
            let row = &self.attempts[number];
            let saved = || self.jobs[job].checkpoints.values().any(|saved| saved.attempt == number);
            row.job == job
                && (row.state == AttemptState::Succeeded || saved())
                && row.leases.iter().all(|lease| lease.worker != worker)
        };
        let lost_too = |(other, of, lease): (AttemptId, usize, &LeaseRow)| {
            let is_lost = matches!(lease.outcome, Some(RankOutcome::Lost | RankOutcome::Unknown));
            let is_close = lease.released_at.is_some_and(|theirs| theirs.abs_diff(at) <= HOUR);
            of == job && other != attempt && lease.worker != worker && is_lost && is_close
        };
        if (attempt + 1..self.attempts.len()).any(went_well) {
            Elsewhere::WentWell
        } else if self.leases().any(lost_too) {
            Elsewhere::LostToo
        } else {
            Elsewhere::Untried
        }
    }

    pub(super) fn quarantine_if_due(&mut self, worker: usize) {
        let now = self.now;
        if self.is_quarantined(worker) {
            return;
        }
        if let Some(reason) = quarantine(moment(now), &self.losses(worker)) {
            let until = now + ms(timing::QUARANTINE);
            self.workers[worker].quarantine = Some(Quarantine { until, reason });
            self.writes.push(Write::Quarantined { worker });
        }
    }

    /// The job went well: that is evidence about the workers where it did not.
    pub(super) fn quarantine_suspects(&mut self, job: usize) {
        let is_suspect = |outcome| matches!(outcome, Some(RankOutcome::Lost | RankOutcome::Unknown));
        let mut suspects: Vec<usize> = self
            .leases()
            .filter(|(_, of, lease)| *of == job && is_suspect(lease.outcome))
            .map(|(_, _, lease)| lease.worker)
            .collect();
        suspects.sort_unstable();
        suspects.dedup();
        suspects.into_iter().for_each(|worker| self.quarantine_if_due(worker));
    }

    /// A job was lost once more: workers where it was lost before are not in quarantine for it any longer.
    pub(super) fn lift_unfounded_quarantines(&mut self, job: usize) {
        for worker in 0..self.workers.len() {
            let lost_it = |(_, of, lease): (AttemptId, usize, &LeaseRow)| {
                of == job
                    && lease.worker == worker
                    && matches!(lease.outcome, Some(RankOutcome::Lost | RankOutcome::Unknown))
            };
            if !self.is_quarantined(worker) || !self.leases().any(lost_it) {
                continue;
            }
            let until = self.workers[worker].quarantine.as_ref().map_or(0, |quarantine| quarantine.until);
            let since = until.saturating_sub(ms(timing::QUARANTINE));
            if quarantine(moment(since), &self.losses(worker)).is_none() {
                self.workers[worker].quarantine = None;
                self.notifies = true;
            }
        }
    }

    /// `tandem release`: ends the quarantine and forgets the losses; `false` if the worker was not quarantined.
    pub(crate) fn release_worker(&mut self, worker: usize) -> bool {
        let was_quarantined = self.is_quarantined(worker);
        (self.workers[worker].quarantine, self.workers[worker].released_at) = (None, Some(self.now));
        self.notifies |= was_quarantined;
        was_quarantined
    }

    pub(crate) fn is_quarantined(&self, worker: usize) -> bool {
        self.workers[worker].quarantine.as_ref().is_some_and(|quarantine| quarantine.until > self.now)
    }
}
