//! What coordinators read: the queue, the fleet, gangs at work, leases of workers.

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::{
    place::{FleetWorker, QueuedJob, RunningGang, WorkerStatus},
    state::{AttemptState, JobState, RankOutcome},
};
use uuid::Uuid;

use super::{AttemptRow, Database, LeaseRow, WorkerState};
use crate::{
    broken::Broken,
    event::AttemptId,
    plan::{Ms, ms},
};

/// How long a job avoids a worker that was at fault for losing it.
const AVOID: Ms = 60_000;

pub(crate) fn moment(at: Ms) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(at as i64)
}

/// The domain's id of a row number, and back below.
pub(crate) fn job_id(number: usize) -> Uuid {
    Uuid::from_u128(0x10_0000 + number as u128)
}

pub(crate) fn worker_id(number: usize) -> Uuid {
    Uuid::from_u128(0x20_0000 + number as u128)
}

fn attempt_id(number: AttemptId) -> Uuid {
    Uuid::from_u128(0x30_0000 + number as u128)
}

pub(crate) fn number(id: Uuid) -> usize {
    (id.as_u128() & 0xf_ffff) as usize
}

/// A live lease from its worker's point of view.
pub(crate) struct WorkerLease {
    pub(crate) attempt: AttemptId,
    pub(crate) rank: usize,
    pub(crate) state: AttemptState,
    pub(crate) has_reported: bool,
    pub(crate) has_rendezvous: bool,
    /// It is to stop at a checkpoint: it was asked to, or another rank did.
    pub(crate) is_stopping: bool,
}

impl Database {
    pub(crate) fn queue(&self) -> Vec<QueuedJob> {
        let is_queued = |job: &usize| self.jobs[*job].state == Some(JobState::Queued);
        (0..self.jobs.len()).filter(is_queued).map(|job| self.as_queued(job)).collect()
    }

    pub(crate) fn as_queued(&self, number: usize) -> QueuedJob {
        let job = &self.jobs[number];
        QueuedJob {
            id: job_id(number),
            name: job.name.clone(),
            priority: job.priority,
            queued_at: moment(job.queued_at.unwrap_or_default()),
            workers: job.workers,
            shards: job.shards,
            not_before: job.not_before.map(moment),
            avoid: self.avoided(number),
            made_room_at: job.made_room_at.clone(),
        }
    }

    /// Workers that lost the job by their own fault a short while ago.
    pub(crate) fn avoided(&self, job: usize) -> Vec<Uuid> {
        let recent = |at: DateTime<Utc>| moment(self.now) - at <= TimeDelta::milliseconds(AVOID as i64);
        let at_fault = |(_, worker): &(usize, &super::WorkerRow)| {
            worker.losses.iter().any(|loss| loss.job == job_id(job) && recent(loss.at))
        };
        self.workers.iter().enumerate().filter(at_fault).map(|(number, _)| worker_id(number)).collect()
    }

    pub(crate) fn fleet(&self) -> Vec<FleetWorker> {
        let known = self.workers.iter().enumerate().filter(|(_, worker)| worker.state != WorkerState::Gone);
        known
            .map(|(number, worker)| {
                let is_lost = worker.state == WorkerState::Lost
                    || worker.session.is_none()
                    || worker.last_seen + ms(self.timing.lease) < self.now;
                let held = self.lease_of(number).filter(|&(attempt, _)| {
                    !(self.is_broken(Broken::NoUniqueLease) && self.attempts[attempt].state.is_ended())
                });
                let status = match held {
                    _ if worker.state == WorkerState::Draining => WorkerStatus::Draining,
                    _ if is_lost => WorkerStatus::Lost,
                    _ if worker.quarantined.is_some() => WorkerStatus::Quarantined,
                    Some((attempt, _)) => {
                        let job = &self.jobs[self.attempts[attempt].job];
                        let until = job.left.map(|left| moment(self.now + left));
                        WorkerStatus::Busy { job_name: job.name.clone(), until }
                    }
                    None => WorkerStatus::Idle,
                };
                FleetWorker {
                    id: worker_id(number),
                    name: worker.name.clone(),
                    device_kind: worker.kind.to_owned(),
                    host: worker.host.to_owned(),
                    status,
                }
            })
            .collect()
    }

    pub(crate) fn running(&self) -> Vec<RunningGang> {
        let live = self.leased.iter().filter(|&&attempt| !self.attempts[attempt].state.is_ended());
        live.map(|&number| {
            let attempt = &self.attempts[number];
            let job = &self.jobs[attempt.job];
            let saved = job.checkpoints.values().filter(|row| row.attempt == number).map(|row| row.at).max();
            RunningGang {
                attempt: attempt_id(number),
                job: job_id(attempt.job),
                name: job.name.clone(),
                priority: job.priority,
                queued_at: moment(job.queued_at.unwrap_or_default()),
                avoid: if self.is_broken(Broken::GrowBlindly) { Vec::new() } else { self.avoided(attempt.job) },
                workers: attempt.leases.iter().map(|lease| worker_id(lease.worker)).collect(),
                wanted: job.workers,
                shards: job.shards,
                training_since: attempt.training_at.map(moment),
                saved_at: saved.map(moment),
                seconds_left: job.left.map(|left| left as f64 / 1000.0),
                is_stopping: is_stopping(attempt),
            }
        })
        .collect()
    }

    pub(crate) fn worker_leases(&self, worker: usize) -> Vec<WorkerLease> {
        let mut leases = Vec::new();
        for &number in &self.leased {
            let attempt = &self.attempts[number];
            let mine = |(_, lease): &(usize, &LeaseRow)| lease.worker == worker && lease.outcome.is_none();
            leases.extend(attempt.leases.iter().enumerate().filter(mine).map(|(rank, lease)| WorkerLease {
                attempt: number,
                rank,
                state: attempt.state,
                has_reported: lease.last_sequence > 0,
                has_rendezvous: attempt.has_rendezvous,
                is_stopping: is_stopping(attempt),
            }));
        }
        leases
    }

    pub(crate) fn checkpoints(&self, job: usize) -> Vec<(u32, u64)> {
        self.jobs[job].checkpoints.iter().rev().take(5).map(|(&step, row)| (step, row.hash)).collect()
    }
}

fn is_stopping(attempt: &AttemptRow) -> bool {
    attempt.stop_asked || attempt.leases.iter().any(|lease| lease.outcome == Some(RankOutcome::Preempted))
}
