//! What speaks against a worker: jobs that were lost on it and not everywhere, since it was released.

use std::collections::BTreeSet;

use tandem_domain::state::RankOutcome;

use crate::{event::AttemptId, plan::Ms};

const HOUR: Ms = 3_600_000;

#[derive(Default)]
pub(crate) struct Blame {
    ends: Vec<End>,
    /// Attempts that succeeded or wrote a checkpoint.
    good: BTreeSet<AttemptId>,
    /// When each worker was released.
    releases: Vec<(usize, Ms)>,
}

struct End {
    worker: usize,
    job: usize,
    attempt: AttemptId,
    at: Ms,
    outcome: RankOutcome,
}

impl End {
    fn is_loss(&self) -> bool {
        matches!(self.outcome, RankOutcome::Lost | RankOutcome::Unknown)
    }
}

impl Blame {
    pub(super) fn rank_ended(&mut self, worker: usize, job: usize, attempt: AttemptId, at: Ms, outcome: RankOutcome) {
        self.ends.push(End { worker, job, attempt, at, outcome });
    }

    /// What a rank that had succeeded wrote is damaged: its success speaks for nobody.
    pub(super) fn take_back(&mut self, worker: usize, attempt: AttemptId) {
        self.ends.retain(|end| (end.worker, end.attempt) != (worker, attempt));
    }

    pub(super) fn went_well(&mut self, attempt: AttemptId) {
        self.good.insert(attempt);
    }

    pub(crate) fn released(&mut self, worker: usize, at: Ms) {
        self.releases.push((worker, at));
    }

    /// The jobs that speak against a worker. `is_here` says whether a worker has a rank in an attempt of a job.
    pub(super) fn jobs_against(
        &self,
        worker: usize,
        is_here: impl Fn(AttemptId, usize) -> bool,
        job_of: impl Fn(AttemptId) -> usize,
    ) -> BTreeSet<usize> {
        let released = self.releases.iter().filter(|(other, _)| *other == worker).map(|(_, at)| *at).max();
        let is_good = |end: &&End| end.worker == worker && end.outcome == RankOutcome::Succeeded;
        let since = released.max(self.ends.iter().filter(is_good).map(|end| end.at).max());
        let speaks = |loss: &&End| {
            let went_well =
                self.good.iter().any(|&good| good > loss.attempt && job_of(good) == loss.job && !is_here(good, worker));
            let lost_too = self.ends.iter().any(|other| {
                other.is_loss()
                    && (other.job, other.worker != worker, other.attempt != loss.attempt) == (loss.job, true, true)
                    && other.at.abs_diff(loss.at) <= HOUR
            });
            went_well || loss.outcome == RankOutcome::Lost && !lost_too
        };
        let own = self.ends.iter().filter(|end| end.worker == worker && end.is_loss() && Some(end.at) > since);
        own.filter(speaks).map(|loss| loss.job).collect()
    }
}
