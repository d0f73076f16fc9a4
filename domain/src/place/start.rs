//! Which queued jobs start now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    gang,
    model::{Decision, FleetWorker, Passed, Placement, Policy, QueuedJob, Waiting, WorkerStatus, in_line},
    quotas::Quotas,
    reason,
    reservation::{Reservation, reserve},
};

/// Decides for the whole queue at one moment.
///
/// The order of `queue` and `fleet` does not matter: jobs go by priority, then `queued_at`, then their place in the file;
/// workers by host and name.
pub fn place(now: DateTime<Utc>, queue: &[QueuedJob], fleet: &[FleetWorker], policy: &Policy) -> Decision {
    let devices = gang::one_per_device(fleet, |_| false);
    let mut pass = Pass::new(now, devices, fleet.len(), policy);
    in_line(queue).into_iter().for_each(|job| pass.decide(job, true));
    pass.decision
}

/// The largest gang of one kind that the fleet could make if all were idle.
pub fn largest_gang(fleet: &[FleetWorker], policy: &Policy) -> u32 {
    let largest = gang::Kinds::of(&gang::one_per_device(fleet, |_| false), policy).largest();
    u32::try_from(largest).unwrap_or(u32::MAX)
}

/// Why a job waits whose smallest gang is larger than [`largest_gang`].
pub fn too_large(smallest_gang: u32, fleet: &[FleetWorker], policy: &Policy) -> String {
    let devices = gang::one_per_device(fleet, |_| false);
    reason::needs(smallest_gang, &devices, fleet.len() - devices.len(), policy)
}

/// The first that has to wait for workers of a kind.
pub(super) struct Head<'f> {
    pub(super) job: &'f QueuedJob,
    /// Those that can read its spec, images and input.
    pub(super) able: Vec<&'f FleetWorker>,
    reservation: Reservation,
}

/// One walk along the queue.
pub(super) struct Pass<'f> {
    now: DateTime<Utc>,
    policy: &'f Policy,
    devices: Vec<&'f FleetWorker>,
    /// Workers that are not counted, because another one holds their device.
    spare: usize,
    kinds: gang::Kinds<'f>,
    pub(super) idle: Vec<&'f FleetWorker>,
    taken: BTreeMap<Uuid, Option<DateTime<Utc>>>,
    quotas: Quotas,
    pub(super) heads: BTreeMap<&'f str, Head<'f>>,
    pub(super) decision: Decision,
}

impl<'f> Pass<'f> {
    pub(super) fn new(now: DateTime<Utc>, devices: Vec<&'f FleetWorker>, workers: usize, policy: &'f Policy) -> Self {
        let idle = devices.iter().copied().filter(|worker| worker.status == WorkerStatus::Idle).collect();
        let (kinds, spare) = (gang::Kinds::of(&devices, policy), workers - devices.len());
        let (taken, heads, decision) = (BTreeMap::new(), BTreeMap::new(), Decision::default());
        let quotas = policy.quotas.clone();
        Self { now, policy, devices, spare, kinds, idle, taken, quotas, heads, decision }
    }

    /// Decides about the next job in line. Without `may_pass`, none starts before another of its kind.
    pub(super) fn decide(&mut self, job: &'f QueuedJob, may_pass: bool) {
        let reason = match self.start(job, may_pass) {
            Ok((kind, workers, passed)) => {
                let ends_at = self.ends_at(job, kind);
                self.quotas.take(&job.owner, workers.len());
                self.taken.extend(workers.iter().map(|worker| (*worker, ends_at)));
                self.idle.retain(|worker| !workers.contains(&worker.id));
                return self.decision.placements.push(Placement { job: job.id, workers, passed });
            }
            Err(reason) => reason,
        };
        self.decision.waiting.push(Waiting { job: job.id, reason });
    }

    /// The kind and the workers that the job starts on, and whom it passes, or why it waits.
    fn start(&mut self, job: &'f QueuedJob, may_pass: bool) -> Result<(&'f str, Vec<Uuid>, Option<Passed>), String> {
        if let Some(until) = job.not_before.filter(|moment| *moment > self.now) {
            return Err(reason::backoff(job, until));
        }
        let able = gang::able(self.now, job, &self.devices);
        let kind = match (self.kinds.for_job(job), able.len() == self.devices.len()) {
            (None, _) => return Err(reason::too_large(job, &self.devices, self.spare, self.policy)),
            (Some(kind), true) => kind,
            (Some(_), false) => gang::Kinds::of(&able, self.policy)
                .for_job(job)
                .ok_or_else(|| reason::unable(self.now, job, &self.devices))?,
        };
        let kind = self.kind_elsewhere(job, kind, &able).unwrap_or(kind);
        let need = job.workers.world_sizes(job.shards).next().unwrap_or(job.workers.min);
        if let Some(reason) = self.quotas.refuses(&job.owner, need) {
            return Err(reason);
        }
        let most = self.quotas.most(&job.owner);
        let idle = gang::able(self.now, job, &self.idle);
        if let Some(head) = self.heads.get(kind) {
            let free = if may_pass { self.beside(job, kind, &head.reservation, idle) } else { Vec::new() };
            let workers = gang::choose(job, kind, &free, most, self.policy);
            let workers = workers.ok_or_else(|| reason::behind(head.job, kind))?;
            let takes = workers.iter().any(|worker| head.reservation.workers.contains(worker));
            let passed = head.reservation.at.filter(|_| takes).map(|until| Passed { job: head.job.id, until });
            return Ok((kind, workers, passed));
        }
        if let Some(workers) = gang::choose(job, kind, &idle, most, self.policy) {
            return Ok((kind, workers, None));
        }
        let of_kind: Vec<_> = gang::of_kind(kind, able.iter().copied()).collect();
        let reservation = reserve(self.now, job, &of_kind, &self.taken, self.policy);
        let reason = reason::busy(job, kind, &idle, &able, (self.now, self.policy));
        self.heads.insert(kind, Head { job, able, reservation });
        Err(reason)
    }

    /// Another kind, for a job that was lost again and again on all workers of the preferred one: it would be given to those again
    /// while others are idle. Nobody may wait for that kind.
    fn kind_elsewhere(&self, job: &QueuedJob, kind: &str, able: &[&'f FleetWorker]) -> Option<&'f str> {
        let trusted = |workers: &[&'f FleetWorker]| -> Vec<&'f FleetWorker> {
            workers.iter().copied().filter(|worker| !job.avoid.contains(&worker.id)).collect()
        };
        if !job.any_kind {
            return None;
        }
        let other = gang::Kinds::of(&trusted(able), self.policy).for_job(job).filter(|other| *other != kind)?;
        let idle = trusted(&gang::able(self.now, job, &self.idle));
        let starts = gang::choose(job, other, &idle, self.quotas.most(&job.owner), self.policy).is_some();
        (starts && !self.heads.contains_key(other)).then_some(other)
    }

    /// The idle workers that a job may have without delaying the first in line.
    fn beside(
        &self,
        job: &QueuedJob,
        kind: &str,
        reserved: &Reservation,
        idle: Vec<&'f FleetWorker>,
    ) -> Vec<&'f FleetWorker> {
        let is_short = self.ends_at(job, kind).zip(reserved.at).is_some_and(|(end, start)| end <= start);
        idle.into_iter().filter(|worker| is_short || !reserved.workers.contains(&worker.id)).collect()
    }

    fn ends_at(&self, job: &QueuedJob, kind: &str) -> Option<DateTime<Utc>> {
        let estimate = job.estimates.get(kind)?.mul_f64(self.policy.margin);
        self.now.checked_add_signed(chrono::TimeDelta::from_std(estimate).ok()?)
    }
}
