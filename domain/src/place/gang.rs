//! Which kind of device a job belongs to, and which idle workers of that kind make its gang.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::model::{FleetWorker, Policy, QueuedJob, WorkerStatus};
use crate::spec::Workers;

/// The kinds of device in a fleet, the most preferred first, with the largest gang of each if all were idle.
pub(super) struct Kinds<'f>(Vec<(&'f str, usize)>);

impl<'f> Kinds<'f> {
    pub(super) fn of(fleet: &'f [FleetWorker], policy: &Policy) -> Self {
        let kinds: BTreeSet<&str> = fleet.iter().map(|worker| worker.device_kind.as_str()).collect();
        let mut kinds: Vec<(&str, usize)> = kinds
            .into_iter()
            .map(|kind| {
                let usable: Vec<_> = of_kind(kind, fleet.iter().filter(|worker| is_usable(worker))).collect();
                (kind, room(&usable, policy))
            })
            .collect();
        let rank = |kind: &str| policy.device_order.iter().position(|wanted| wanted == kind).unwrap_or(usize::MAX);
        kinds.sort_by_key(|(kind, _)| (rank(kind), *kind));
        Self(kinds)
    }

    /// The most preferred kind that is large enough for the job.
    pub(super) fn for_job(&self, job: &QueuedJob) -> Option<&'f str> {
        let need = job.workers.world_sizes(job.shards).next()? as usize;
        self.0.iter().find(|(_, room)| *room >= need).map(|(kind, _)| *kind)
    }
}

/// The workers of a gang, by rank: as many as divide the job's shards and are idle now.
pub(super) fn choose(job: &QueuedJob, kind: &str, idle: &[&FleetWorker], policy: &Policy) -> Option<Vec<Uuid>> {
    let idle: Vec<_> = of_kind(kind, idle.iter().copied()).collect();
    let trusted = idle.iter().copied().filter(|worker| !job.avoid.contains(&worker.id)).collect();
    // A smaller gang without avoided workers is better than a larger one with them.
    [trusted, idle].into_iter().find_map(|idle| of_idle(job, idle, policy))
}

fn of_idle(job: &QueuedJob, idle: Vec<&FleetWorker>, policy: &Policy) -> Option<Vec<Uuid>> {
    let size = largest(job.workers, job.shards, room(&idle, policy))?;
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

/// Whether it is idle or will be when its job ends: lost, draining and quarantined workers are not waited for.
pub(super) fn is_usable(worker: &FleetWorker) -> bool {
    matches!(worker.status, WorkerStatus::Idle | WorkerStatus::Busy { .. })
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

fn by_host<'f>(workers: &[&'f FleetWorker]) -> BTreeMap<&'f str, Vec<&'f FleetWorker>> {
    let mut hosts: BTreeMap<&str, Vec<&FleetWorker>> = BTreeMap::new();
    for worker in workers {
        hosts.entry(&worker.host).or_default().push(worker);
    }
    for workers in hosts.values_mut() {
        workers.sort_by_key(|worker| (&worker.name, worker.id));
    }
    hosts
}
