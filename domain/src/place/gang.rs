//! Which kind of device a job belongs to, and which idle workers of that kind make its gang.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::model::{FleetWorker, Policy, QueuedJob, WorkerStatus};
use crate::spec::Workers;

/// The kinds of device in a fleet, the most preferred first, with the largest gang of each if all were idle.
pub(super) struct Kinds<'f>(Vec<(&'f str, usize)>);

impl<'f> Kinds<'f> {
    pub(super) fn of(fleet: &[&'f FleetWorker], policy: &Policy) -> Self {
        let kinds: BTreeSet<&str> = fleet.iter().map(|worker| worker.device_kind.as_str()).collect();
        let mut kinds: Vec<(&str, usize)> = kinds
            .into_iter()
            .map(|kind| {
                let usable: Vec<_> = of_kind(kind, fleet.iter().copied().filter(|worker| is_usable(worker))).collect();
                (kind, room(&usable, policy))
            })
            .collect();
        let rank = |kind: &str| policy.device_order.iter().position(|wanted| wanted == kind).unwrap_or(usize::MAX);
        kinds.sort_by_key(|(kind, _)| (rank(kind), *kind));
        Self(kinds)
    }

    /// The largest gang of any kind.
    pub(super) fn largest(&self) -> usize {
        self.0.iter().map(|(_, room)| *room).max().unwrap_or(0)
    }

    /// The most preferred kind that is large enough for the job.
    pub(super) fn for_job(&self, job: &QueuedJob) -> Option<&'f str> {
        let need = job.workers.world_sizes(job.shards).next()? as usize;
        self.0.iter().find(|(_, room)| *room >= need).map(|(kind, _)| *kind)
    }
}

/// One worker of each device, as two of them cannot work at the same time: the one that `holds` says, else a busy or
/// idle one.
pub(super) fn one_per_device(fleet: &[FleetWorker], holds: impl Fn(&FleetWorker) -> bool) -> Vec<&FleetWorker> {
    let rank = |worker: &FleetWorker| match worker.status {
        WorkerStatus::Busy { .. } => 0,
        WorkerStatus::Idle => 1,
        WorkerStatus::Withheld { .. } => 2,
        WorkerStatus::Draining
        | WorkerStatus::Drained
        | WorkerStatus::Held { .. }
        | WorkerStatus::Quarantined
        | WorkerStatus::Unfit
        | WorkerStatus::Lost => 3,
    };
    let mut devices: BTreeMap<&str, &FleetWorker> = BTreeMap::new();
    let mut in_order: Vec<&FleetWorker> = fleet.iter().collect();
    in_order.sort_by_key(|worker| (!holds(worker), rank(worker), &worker.name, worker.id));
    for worker in in_order {
        devices.entry(&worker.device).or_insert(worker);
    }
    devices.into_values().collect()
}

/// The workers that can read the job's spec, images and input, as far as is known.
pub(super) fn able<'f>(now: DateTime<Utc>, job: &QueuedJob, fleet: &[&'f FleetWorker]) -> Vec<&'f FleetWorker> {
    let misses =
        |worker: &FleetWorker| job.missing.iter().any(|missing| missing.worker == worker.id && missing.until > now);
    fleet.iter().copied().filter(|worker| job.needs.are_met_by(&worker.offers) && !misses(worker)).collect()
}

/// The workers of a gang, by rank: as many as divide the job's shards and are idle now, `most` at most.
pub(super) fn choose(
    job: &QueuedJob,
    kind: &str,
    idle: &[&FleetWorker],
    most: u32,
    policy: &Policy,
) -> Option<Vec<Uuid>> {
    let idle: Vec<_> = of_kind(kind, idle.iter().copied()).collect();
    let is_avoided = |worker: &FleetWorker| job.avoid.contains(&worker.id);
    let bad_hosts: BTreeSet<&str> = idle.iter().filter(|worker| is_avoided(worker)).map(|w| w.host.as_str()).collect();
    let trusted: Vec<_> = idle.iter().copied().filter(|worker| !is_avoided(worker)).collect();
    let other_hosts = trusted.iter().copied().filter(|worker| !bad_hosts.contains(worker.host.as_str())).collect();
    let (other_host, other_worker) = (of_idle(job, other_hosts, most, policy), of_idle(job, trusted, most, policy));
    // Another host is better evidence than another worker, but no reason for a smaller gang. A smaller gang without
    // avoided workers is better than a larger one with them.
    let size = |gang: &Option<Vec<Uuid>>| gang.as_ref().map_or(0, Vec::len);
    let trusted = if size(&other_host) >= size(&other_worker) { other_host } else { other_worker };
    trusted.or_else(|| of_idle(job, idle, most, policy))
}

fn of_idle(job: &QueuedJob, idle: Vec<&FleetWorker>, most: u32, policy: &Policy) -> Option<Vec<Uuid>> {
    let size = largest(job.workers, job.shards, room(&idle, policy).min(most as usize))?;
    let hosts = by_host(&idle);
    // The smallest host with room for the gang, to leave larger ones to larger gangs; else as few hosts as possible.
    let one_host = hosts.values().filter(|workers| workers.len() >= size).min_by_key(|workers| workers.len());
    let mut gang: Vec<&FleetWorker> = match one_host {
        Some(workers) => workers.clone(),
        None => {
            let mut largest_first: Vec<_> = hosts.into_values().collect();
            largest_first.sort_by_key(|workers| std::cmp::Reverse(workers.len()));
            largest_first.concat()
        }
    };
    gang.truncate(size);
    Some(gang.into_iter().map(|worker| worker.id).collect())
}

/// The largest world size of at most `room` workers.
pub(super) fn largest(wanted: Workers, shards: u32, room: usize) -> Option<usize> {
    wanted.world_sizes(shards).rev().map(|size| size as usize).find(|&size| size <= room)
}

/// Whether it is idle or will be when its job, or somebody else's use of it, ends: those that are lost, draining, held, unfit or
/// quarantined are not waited for.
pub(super) fn is_usable(worker: &FleetWorker) -> bool {
    matches!(worker.status, WorkerStatus::Idle | WorkerStatus::Busy { .. } | WorkerStatus::Withheld { .. })
}

/// The largest gang that these workers of one kind can make.
pub(super) fn room(workers: &[&FleetWorker], policy: &Policy) -> usize {
    if policy.across_hosts { workers.len() } else { by_host(workers).values().map(Vec::len).max().unwrap_or(0) }
}

pub(super) fn of_kind<'f>(
    kind: &str,
    workers: impl Iterator<Item = &'f FleetWorker>,
) -> impl Iterator<Item = &'f FleetWorker> {
    workers.filter(move |worker| worker.device_kind == kind)
}

pub(super) fn by_host<'f>(workers: &[&'f FleetWorker]) -> BTreeMap<&'f str, Vec<&'f FleetWorker>> {
    let mut hosts: BTreeMap<&str, Vec<&FleetWorker>> = BTreeMap::new();
    for worker in workers {
        hosts.entry(&worker.host).or_default().push(worker);
    }
    for workers in hosts.values_mut() {
        workers.sort_by_key(|worker| (&worker.name, worker.id));
    }
    hosts
}
