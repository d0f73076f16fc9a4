//! What is stored of a job is complete: each event once, under a live fence, with the bits of an undisturbed run.

use tandem_domain::state::JobState;

use crate::{
    event::{AttemptId, RankEvent},
    world::World,
};

impl World {
    pub(super) fn check_stored(
        &mut self,
        attempt: AttemptId,
        rank: usize,
        sequence: u64,
        event: RankEvent,
        new_row: bool,
    ) {
        let (now, job) = (self.now, self.db.attempts[attempt].job);
        let ghost = &mut self.ghost;
        if ghost.is_over[attempt] {
            let facts = format!("{event:?} of rank {rank} of a{attempt} was stored after the attempt had ended");
            ghost.violated("completion_once", now, facts);
        }
        let last = std::mem::replace(&mut ghost.stored[attempt][rank], sequence);
        if sequence != last + 1 {
            let facts = format!("event {sequence} of rank {rank} of a{attempt} was stored after event {last}");
            ghost.violated("completion_once", now, facts);
        }
        let truth = &self.plan.jobs[job].truth;
        let (step, hash) = match event {
            RankEvent::Metric { step, value } => {
                if new_row && std::mem::replace(&mut ghost.metrics[job][step as usize], true) {
                    ghost.violated(
                        "completion_once",
                        now,
                        format!("the point of step {step} of job{job} is there twice"),
                    );
                }
                (step as usize, value)
            }
            RankEvent::Checkpoint { step, hash } => {
                ghost.blame.went_well(attempt);
                (step as usize, hash)
            }
            RankEvent::Artifact { hash } | RankEvent::Result { hash } => (truth.len() - 1, hash),
            RankEvent::Started | RankEvent::Training => return,
        };
        if truth[step] != hash {
            let facts = format!("step {step} of job{job} in a{attempt} is not what an undisturbed run computes");
            ghost.violated("bits", now, facts);
        }
    }

    pub(super) fn check_job(&mut self, job: usize, to: JobState) {
        let (now, plan) = (self.now, &self.plan.jobs[job]);
        let ghost = &mut self.ghost;
        ghost.ended[job] |= to.is_ended();
        match to {
            // A job that was stopped to make room was expected in the queue; any other is a change.
            JobState::Queued
                if self
                    .db
                    .attempts
                    .iter()
                    .rev()
                    .find(|row| row.job == job)
                    .is_none_or(|row| row.stop_asked_at.is_none()) =>
            {
                ghost.changed();
            }
            JobState::Succeeded => {
                let newest = self.db.attempts.iter().rposition(|row| row.job == job);
                if let Some(attempt) = newest.filter(|&attempt| ghost.files.is_damaged_unread(attempt)) {
                    let facts = format!("job{job} succeeded, and the artifact that a{attempt} left is damaged");
                    ghost.violated("succeeded_is_whole", now, facts);
                }
                let missing: Vec<u32> = (1..=plan.steps).filter(|&step| !ghost.metrics[job][step as usize]).collect();
                if std::mem::replace(&mut ghost.succeeded[job], true) {
                    ghost.violated("completion_once", now, format!("job{job} succeeded twice"));
                } else if !missing.is_empty() {
                    let facts = format!("job{job} succeeded without its points of steps {missing:?}");
                    ghost.violated("completion_once", now, facts);
                } else if self.db.jobs[job].result != Some(plan.result()) {
                    let facts = format!("job{job} succeeded with a result that an undisturbed run does not have");
                    ghost.violated("bits", now, facts);
                }
            }
            JobState::Failed if plan.fault_at.is_none() && plan.crash_at.is_none() && ghost.losses[job] < 6 => {
                let facts = format!("job{job} failed without a fault of its own after {} losses", ghost.losses[job]);
                ghost.violated("every_job_ends", now, facts);
            }
            JobState::Cancelled if !ghost.cancelled[job] && plan.inputs.is_empty() => {
                ghost.violated("every_job_ends", now, format!("job{job} was cancelled by nobody"));
            }
            _ => {}
        }
    }
}
