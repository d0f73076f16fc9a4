//! From the end of ranks to the end of an attempt, and from there to what becomes of the job: one transaction.

use tandem_domain::{
    blame::{Evidence, Next, job_after},
    state::{
        AttemptEvent, AttemptState, JobEvent, JobState, RankOutcome, RetryPolicy, attempt_verdict, state_after_ranks,
    },
};

use super::{Database, LeaseRow, Write, ids::moment};
use crate::{broken::Broken, event::AttemptId, plan::ms};

impl Database {
    /// Draws the conclusions from ranks that have ended and returns their number.
    pub(crate) fn conclude(
        &mut self,
        attempt: AttemptId,
        mut ended: impl FnMut(usize, &LeaseRow) -> Option<RankOutcome>,
    ) -> usize {
        let (mut count, mut is_lost) = (0, false);
        for rank in 0..self.attempts[attempt].leases.len() {
            let lease = &self.attempts[attempt].leases[rank];
            if lease.outcome.is_some() {
                continue;
            }
            let outcome = match ended(rank, lease) {
                None => continue,
                Some(RankOutcome::Unknown) if self.is_broken(Broken::UnknownIsTheJobs) => RankOutcome::JobFailed,
                Some(outcome) => outcome,
            };
            self.release(attempt, rank, outcome);
            if outcome == RankOutcome::Lost {
                self.quarantine_if_due(self.attempts[attempt].leases[rank].worker);
            }
            is_lost |= outcome == RankOutcome::Lost;
            count += 1;
        }
        if count == 0 {
            return 0;
        }
        if is_lost {
            self.lift_unfounded_quarantines(self.attempts[attempt].job);
        }
        let outcomes: Vec<_> = self.attempts[attempt].leases.iter().map(|lease| lease.outcome).collect();
        if !self.attempts[attempt].state.is_ended()
            && let Some(verdict) = attempt_verdict(&outcomes)
        {
            let left_artifact = self.artifact_of(attempt).is_some() && !self.is_broken(Broken::NoReadBack);
            match state_after_ranks(verdict, left_artifact) {
                AttemptState::Verifying => self.begin_verifying(attempt),
                end => self.settle(attempt, end),
            }
        }
        self.notifies = true;
        count
    }

    fn begin_verifying(&mut self, attempt: AttemptId) {
        if self.move_attempt(attempt, AttemptEvent::RanksSucceeded) {
            self.jobs[self.attempts[attempt].job].left = None;
            self.writes.push(Write::Verifying { attempt });
        }
    }

    fn settle(&mut self, attempt: AttemptId, verdict: AttemptState) {
        self.end_attempt(attempt, verdict);
        self.advance_job(attempt, verdict);
        if verdict == AttemptState::Succeeded {
            self.quarantine_suspects(self.attempts[attempt].job);
        }
    }

    /// Ends an attempt that was read back, as lost if the artifact of a rank is damaged, unless somebody else was first.
    pub(crate) fn settle_verified(&mut self, attempt: AttemptId, damaged: Option<usize>) {
        if self.attempts[attempt].state != AttemptState::Verifying {
            return;
        }
        if let Some(rank) = damaged {
            let lease = &mut self.attempts[attempt].leases[rank];
            (lease.outcome, lease.released_at) = (Some(RankOutcome::InputMissing), Some(self.now));
            self.writes.push(Write::Blamed { attempt, rank });
        }
        self.settle(attempt, if damaged.is_some() { AttemptState::Lost } else { AttemptState::Succeeded });
        self.notifies = true;
    }

    fn release(&mut self, attempt: AttemptId, rank: usize, outcome: RankOutcome) {
        let lease = &mut self.attempts[attempt].leases[rank];
        (lease.outcome, lease.released_at) = (Some(outcome), Some(self.now));
        if self.attempts[attempt].leases.iter().all(|lease| lease.outcome.is_some()) {
            self.leased.retain(|&other| other != attempt);
        }
        self.writes.push(Write::Released { attempt, rank });
        self.notifies = true;
    }

    pub(super) fn end_attempt(&mut self, attempt: AttemptId, state: AttemptState) {
        let has_run = state == AttemptState::Succeeded || self.attempts[attempt].state == AttemptState::Verifying;
        if !self.move_attempt(attempt, state.end_event()) {
            return;
        }
        for rank in 0..self.attempts[attempt].leases.len() {
            let lease = &self.attempts[attempt].leases[rank];
            if lease.outcome.is_none() && !lease.dispatched {
                self.release(attempt, rank, RankOutcome::Cancelled);
            }
        }
        let (job, row) = (self.attempts[attempt].job, &self.attempts[attempt]);
        let saved =
            |asked_at| self.jobs[job].checkpoints.values().any(|row| row.attempt == attempt && row.at >= asked_at);
        let saved_nothing = row.stop_asked_at.is_some_and(|asked_at| !saved(asked_at)) && !has_run;
        self.attempts[attempt].saved_nothing = saved_nothing;
        self.jobs[job].left = None;
        self.writes.push(Write::AttemptEnded { attempt });
    }

    fn advance_job(&mut self, attempt: AttemptId, verdict: AttemptState) {
        let job = self.attempts[attempt].job;
        let evidence = if verdict == AttemptState::Lost { self.evidence(job) } else { Evidence::default() };
        let next = job_after(moment(self.now), verdict, &evidence, &RetryPolicy::default());
        let Next { state, delay, reason: why } = next;
        let event = match state {
            JobState::Succeeded => JobEvent::Succeeded,
            JobState::Failed => JobEvent::Failed,
            JobState::Cancelled => JobEvent::Cancelled,
            _ => JobEvent::Requeued,
        };
        self.jobs[job].reason = why;
        if verdict == AttemptState::Lost && self.is_broken(Broken::LostRequeue) {
            return;
        }
        self.move_job(job, JobState::Running, event, ms(delay));
    }
}
