//! What coordinators read: the queue, the fleet, gangs at work, leases of workers.

use std::collections::BTreeMap;

use tandem_domain::{
    blame::{any_kind, avoided, missing_inputs},
    place::{FleetWorker, Needs, Offers, Policy, QueuedJob, RunningGang, WorkerStatus, largest_gang},
    state::{AttemptState, JobState, RankOutcome},
};
use uuid::Uuid;

use super::{
    ArtifactRow, AttemptRow, Database, LeaseRow, WorkerState,
    ids::{attempt_id, job_id, moment, worker_id},
};
use crate::{broken::Broken, event::AttemptId, plan::ms};

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
    /// The jobs that a pass reads: of each size of gang that the fleet can hold, the first so many.
    pub(crate) fn queue(&self) -> Vec<QueuedJob> {
        let is_queued = |job: &usize| self.jobs[*job].state == Some(JobState::Queued);
        let mut queue: Vec<_> = (0..self.jobs.len()).filter(is_queued).map(|job| self.as_queued(job)).collect();
        queue.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.queued_at, job.position));
        if self.is_broken(Broken::OneWindow) {
            queue.truncate(self.window);
            return queue;
        }
        let policy = Policy { across_hosts: self.across_hosts, ..Policy::default() };
        let largest = largest_gang(&self.fleet(), &policy);
        let mut read: BTreeMap<u32, usize> = BTreeMap::new();
        queue.retain(|job| {
            let size = job.workers.world_sizes(job.shards).next().unwrap_or(u32::MAX);
            let waits = job.not_before.is_some_and(|until| until > moment(self.now));
            let count = read.entry(size).or_default();
            *count += usize::from(!waits);
            size <= largest && (waits || *count <= self.window)
        });
        queue
    }

    pub(crate) fn as_queued(&self, number: usize) -> QueuedJob {
        let job = &self.jobs[number];
        let lost = self.lost_ranks(number);
        let estimate = job.estimate.map(std::time::Duration::from_millis);
        QueuedJob {
            id: job_id(number),
            name: job.name.clone(),
            owner: String::new(),
            turn: 0,
            priority: job.priority,
            queued_at: moment(job.queued_at.unwrap_or_default()),
            position: number as i32,
            workers: job.workers,
            shards: job.shards,
            not_before: job.not_before.map(moment),
            avoid: avoided(moment(self.now), &lost),
            any_kind: any_kind(&lost),
            missing: missing_inputs(&lost),
            needs: Needs::default(),
            estimates: estimate
                .into_iter()
                .flat_map(|time| ["cpu", "cuda"].map(|kind| (kind.to_owned(), time)))
                .collect(),
            assumed: BTreeMap::new(),
            time_left: None,
            made_room_at: job.made_room_at.clone(),
        }
    }

    /// Workers that the job is given to only if there are not enough others.
    pub(crate) fn avoided(&self, job: usize) -> Vec<Uuid> {
        avoided(moment(self.now), &self.lost_ranks(job))
    }

    pub(crate) fn fleet(&self) -> Vec<FleetWorker> {
        let is_alone = self.is_broken(Broken::TwoPerDevice);
        let known = self.workers.iter().enumerate().filter(|(_, worker)| worker.state != WorkerState::Gone);
        known
            .map(|(number, worker)| {
                let is_lost = worker.state == WorkerState::Lost
                    || worker.session.is_none()
                    || worker.last_seen + ms(self.timing.lease) < self.now;
                let held = self.lease_of_device(number).filter(|&(attempt, _)| {
                    !(self.is_broken(Broken::NoUniqueLease) && self.attempts[attempt].state.is_ended())
                });
                let status = match held {
                    _ if worker.state == WorkerState::Draining => WorkerStatus::Draining,
                    _ if is_lost => WorkerStatus::Lost,
                    _ if self.is_quarantined(number) => WorkerStatus::Quarantined,
                    Some((attempt, _)) => {
                        let job = &self.jobs[self.attempts[attempt].job];
                        let until = job.left.map(|left| moment(left.at + left.ms));
                        WorkerStatus::Busy { job_name: job.name.clone(), until }
                    }
                    None => WorkerStatus::Idle,
                };
                FleetWorker {
                    id: worker_id(number),
                    name: worker.name.clone(),
                    device_kind: worker.kind.to_owned(),
                    host: worker.host.to_owned(),
                    device: if is_alone { worker.name.clone() } else { worker.device.clone() },
                    offers: Offers::default(),
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
                owner: String::new(),
                passed: None,
                time_left: None,
                priority: job.priority,
                queued_at: moment(job.queued_at.unwrap_or_default()),
                position: attempt.job as i32,
                missing: missing_inputs(&self.lost_ranks(attempt.job)),
                needs: Needs::default(),
                avoid: if self.is_broken(Broken::GrowBlindly) { Vec::new() } else { self.avoided(attempt.job) },
                workers: attempt.leases.iter().map(|lease| worker_id(lease.worker)).collect(),
                wanted: job.workers,
                shards: job.shards,
                training_since: attempt.training_at.map(moment),
                saved_at: saved.map(moment),
                slowest: attempt
                    .leases
                    .iter()
                    .filter_map(|lease| lease.slowest)
                    .max()
                    .map(std::time::Duration::from_millis),
                wasted_stops: self.wasted_stops(attempt.job),
                seconds_left: job.left.map(|left| left.ms as f64 / 1000.0),
                is_stopping: is_stopping(attempt),
            }
        })
        .collect()
    }

    fn wasted_stops(&self, job: usize) -> u32 {
        self.attempts.iter().filter(|row| row.job == job && row.saved_nothing).count() as u32
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

    /// Attempts whose ranks have succeeded and whose artifacts are to be read back.
    pub(crate) fn verifying(&self) -> Vec<AttemptId> {
        let live = self.jobs.iter().filter_map(|job| job.artifact.map(|artifact| artifact.attempt));
        live.filter(|&attempt| self.attempts[attempt].state == AttemptState::Verifying).collect()
    }

    /// What an attempt left.
    pub(crate) fn artifact_of(&self, attempt: AttemptId) -> Option<ArtifactRow> {
        self.jobs[self.attempts[attempt].job].artifact.filter(|artifact| artifact.attempt == attempt)
    }

    pub(crate) fn checkpoints(&self, job: usize) -> Vec<(u32, u64)> {
        self.jobs[job].checkpoints.iter().rev().take(5).map(|(&step, row)| (step, row.hash)).collect()
    }
}

fn is_stopping(attempt: &AttemptRow) -> bool {
    attempt.stop_asked_at.is_some() || attempt.leases.iter().any(|lease| lease.outcome == Some(RankOutcome::Preempted))
}
