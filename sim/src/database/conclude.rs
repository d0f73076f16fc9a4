//! From the end of ranks to the end of an attempt, and from there to what becomes of the job: one transaction.

use tandem_domain::{
    quarantine::{Loss, quarantine},
    state::{AttemptState, JobEvent, JobState, RankOutcome, RetryPolicy, attempt_verdict, job_after},
};

use super::{AttemptRow, Database, LeaseRow, Write, job_id, moment};
use crate::{broken::Broken, event::AttemptId, plan::ms};

impl Database {
    /// Draws the conclusions from ranks that have ended and returns their number.
    pub(crate) fn conclude(
        &mut self,
        attempt: AttemptId,
        mut ended: impl FnMut(usize, &LeaseRow) -> Option<RankOutcome>,
    ) -> usize {
        let mut count = 0;
        for rank in 0..self.attempts[attempt].leases.len() {
            let lease = &self.attempts[attempt].leases[rank];
            if lease.outcome.is_some() {
                continue;
            }
            let Some(outcome) = ended(rank, lease) else { continue };
            self.release(attempt, rank, outcome);
            self.count_loss(attempt, rank, outcome);
            count += 1;
        }
        if count == 0 {
            return 0;
        }
        let outcomes: Vec<_> = self.attempts[attempt].leases.iter().map(|lease| lease.outcome).collect();
        if !self.attempts[attempt].state.is_ended()
            && let Some(verdict) = attempt_verdict(&outcomes)
        {
            self.end_attempt(attempt, verdict);
            self.advance_job(attempt, verdict);
        }
        self.notifies = true;
        count
    }

    fn release(&mut self, attempt: AttemptId, rank: usize, outcome: RankOutcome) {
        self.attempts[attempt].leases[rank].outcome = Some(outcome);
        if self.attempts[attempt].leases.iter().all(|lease| lease.outcome.is_some()) {
            self.leased.retain(|&other| other != attempt);
        }
        self.writes.push(Write::Released { attempt, rank });
        self.notifies = true;
    }

    /// Counts a loss against the worker at fault, or forgets them all after a success.
    fn count_loss(&mut self, attempt: AttemptId, rank: usize, outcome: RankOutcome) {
        let (worker, job) = (self.attempts[attempt].leases[rank].worker, self.attempts[attempt].job);
        let at = moment(self.now);
        let row = &mut self.workers[worker];
        match outcome {
            RankOutcome::Succeeded => row.losses.clear(),
            RankOutcome::Lost => {
                let name = self.jobs[job].name.clone();
                row.losses.insert(0, Loss { job: job_id(job), job_name: name, at, cause: "lost".to_owned() });
                if row.quarantined.is_none() {
                    row.quarantined = quarantine(at, &row.losses);
                }
            }
            _ => {}
        }
    }

    pub(super) fn end_attempt(&mut self, attempt: AttemptId, state: AttemptState) {
        if !self.move_attempt(attempt, state.end_event()) {
            return;
        }
        for rank in 0..self.attempts[attempt].leases.len() {
            let lease = &self.attempts[attempt].leases[rank];
            if lease.outcome.is_none() && !lease.dispatched {
                self.release(attempt, rank, RankOutcome::Cancelled);
            }
        }
        self.jobs[self.attempts[attempt].job].left = None;
        self.writes.push(Write::AttemptEnded { attempt });
    }

    fn advance_job(&mut self, attempt: AttemptId, verdict: AttemptState) {
        let policy = RetryPolicy::default();
        let job = self.attempts[attempt].job;
        let is_lost = |other: &&AttemptRow| other.job == job && other.state == AttemptState::Lost;
        let lost = self.attempts.iter().filter(is_lost).count() as u32;
        let (state, why) = job_after(verdict, lost, &policy);
        let (event, delay) = match state {
            JobState::Succeeded => (JobEvent::Succeeded, 0),
            JobState::Failed => (JobEvent::Failed, 0),
            JobState::Cancelled => (JobEvent::Cancelled, 0),
            _ if verdict == AttemptState::Lost => (JobEvent::Requeued, policy.delay(lost).map_or(0, ms)),
            _ => (JobEvent::Requeued, 0),
        };
        self.jobs[job].reason = why;
        if verdict == AttemptState::Lost && self.is_broken(Broken::LostRequeue) {
            return;
        }
        self.move_job(job, JobState::Running, event, delay);
    }
}
