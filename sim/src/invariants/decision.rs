//! Checks a decision of the scheduler by brute force: on free workers, and nobody delays the first in line.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::place::{Decision, FleetWorker, Placement, QueuedJob, WorkerStatus};

use super::ghost::Ghost;
use crate::database::number;

const KINDS: [&str; 2] = ["cuda", "cpu"];

impl Ghost {
    pub(crate) fn check_decision(
        &mut self,
        queue: &[QueuedJob],
        fleet: &[FleetWorker],
        decision: &Decision,
        across_hosts: bool,
        now: DateTime<Utc>,
    ) {
        let at = now.timestamp_millis() as u64;
        let usable = |worker: &FleetWorker| matches!(worker.status, WorkerStatus::Idle | WorkerStatus::Busy { .. });
        let here: Vec<_> = fleet.iter().filter(|worker| usable(worker)).map(|worker| worker.id).collect();
        if here != self.usable {
            self.usable = here;
            self.changed();
        }
        let fleet = devices(fleet);
        let able = |job: &QueuedJob| -> Vec<&FleetWorker> {
            let misses =
                |w: &FleetWorker| job.missing.iter().any(|missing| missing.worker == w.id && missing.until > now);
            fleet.iter().copied().filter(|worker| usable(worker) && !misses(worker)).collect()
        };
        let placed = |job: &QueuedJob| decision.placements.iter().find(|placement| placement.job == job.id);
        let preferred = |job: &QueuedJob| {
            KINDS.into_iter().find(|kind| room(able(job).into_iter(), kind, across_hosts) >= need(job))
        };
        // One that was lost again and again leaves the preferred kind, for workers that it was not lost on; among those of the other
        // kind, it must delay nobody.
        let elsewhere = |job: &QueuedJob| {
            let workers = &placed(job).filter(|_| job.any_kind)?.workers;
            let is_trusted = workers.iter().all(|id| !job.avoid.contains(id));
            let kind = &fleet.iter().find(|worker| is_trusted && workers.contains(&worker.id))?.device_kind;
            KINDS.into_iter().find(|known| known == kind)
        };
        let kind_of = |job: &QueuedJob| elsewhere(job).or_else(|| preferred(job));
        let mut line: Vec<&QueuedJob> =
            queue.iter().filter(|job| job.not_before.is_none_or(|moment| moment <= now)).collect();
        line.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.queued_at, job.position));
        let mut free: Free = fleet.iter().map(|worker| (worker.id, free_at(worker, now))).collect();
        for kind in KINDS {
            let mut head: Option<(&QueuedJob, Option<DateTime<Utc>>)> = None;
            for job in line.iter().filter(|job| kind_of(job) == Some(kind)) {
                let of_kind = |job: &QueuedJob| -> Vec<&FleetWorker> {
                    able(job).into_iter().filter(|worker| worker.device_kind == kind).collect()
                };
                let Some(placement) = placed(job) else {
                    if head.is_none() {
                        let starts = starts_at(job, &of_kind(job), &free, across_hosts);
                        if starts.is_some_and(|at| at <= now) && of_kind(job).iter().any(|w| is_idle(w)) {
                            let idle = |w: &&FleetWorker| is_idle(w) && free[&w.id] == Some(now);
                            let left = of_kind(job).into_iter().filter(idle);
                            if room(left, kind, across_hosts) >= need(job) {
                                let facts = format!("job{} is first in line, and waits for no reason", number(job.id));
                                self.violated("fifo", at, facts);
                            }
                        }
                        head = Some((job, starts));
                    }
                    continue;
                };
                let size = placement.workers.len();
                let fits = (job.workers.min as usize..=job.workers.max as usize).contains(&size)
                    && (job.shards as usize).is_multiple_of(size);
                let is_free =
                    |id: &uuid::Uuid| of_kind(job).iter().any(|w| w.id == *id && is_idle(w)) && free[id] == Some(now);
                if !fits || !placement.workers.iter().all(is_free) {
                    let facts = format!("job{} is placed on workers that are not free: {placement:?}", number(job.id));
                    self.violated("one_gang_per_device", at, facts);
                    return;
                }
                let end =
                    job.estimates.get(kind).and_then(|time| now.checked_add_signed(TimeDelta::from_std(*time).ok()?));
                free.extend(placement.workers.iter().map(|worker| (*worker, end)));
                let Some((first, before)) = head else { continue };
                let after = starts_at(first, &of_kind(first), &free, across_hosts);
                let is_in_reach = reaches(first, &of_kind(first), placement, across_hosts);
                if before.map_or(is_in_reach, |before| after.is_none_or(|after| after > before)) {
                    let facts = format!(
                        "job{} (priority {}) is placed while job{} (priority {}) waits for {kind} workers before it, \
                         which it delays: from {before:?} to {after:?}",
                        number(job.id),
                        job.priority,
                        number(first.id),
                        first.priority
                    );
                    self.violated("fifo", at, facts);
                }
            }
        }
    }
}

/// When each worker is free, as far as that is known.
type Free = BTreeMap<uuid::Uuid, Option<DateTime<Utc>>>;

fn is_idle(worker: &FleetWorker) -> bool {
    worker.status == WorkerStatus::Idle
}

fn free_at(worker: &FleetWorker, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match worker.status {
        WorkerStatus::Idle => Some(now),
        WorkerStatus::Busy { until, .. } => until.map(|until| until.max(now)),
        _ => None,
    }
}

/// One worker of each device: a busy one, or an idle one, if there is one.
fn devices(fleet: &[FleetWorker]) -> Vec<&FleetWorker> {
    let rank = |worker: &FleetWorker| match worker.status {
        WorkerStatus::Busy { .. } => 0,
        WorkerStatus::Idle => 1,
        _ => 2,
    };
    let mut best: BTreeMap<&str, &FleetWorker> = BTreeMap::new();
    for worker in fleet {
        let kept = best.entry(&worker.device).or_insert(worker);
        if (rank(worker), &worker.name) < (rank(kept), &kept.name) {
            *kept = worker;
        }
    }
    best.into_values().collect()
}

/// When the smallest gang of a job can be whole.
fn starts_at(job: &QueuedJob, workers: &[&FleetWorker], free: &Free, across_hosts: bool) -> Option<DateTime<Utc>> {
    let on = |host: &str| {
        let here = workers.iter().filter(|worker| across_hosts || worker.host == host);
        let mut times: Vec<_> = here.filter_map(|worker| free[&worker.id]).collect();
        times.sort();
        times.get(need(job).checked_sub(1)?).copied()
    };
    workers.iter().filter_map(|worker| on(&worker.host)).min()
}

/// Whether the job could come to need one of the workers that are given away.
fn reaches(job: &QueuedJob, workers: &[&FleetWorker], given: &Placement, across_hosts: bool) -> bool {
    given.workers.iter().any(|id| {
        let host = workers.iter().find(|worker| worker.id == *id).map(|worker| worker.host.as_str());
        let here = workers.iter().filter(|worker| across_hosts || Some(worker.host.as_str()) == host).count();
        host.is_some() && here >= need(job)
    })
}

fn need(job: &QueuedJob) -> usize {
    let sizes = job.workers.min.max(1)..=job.workers.max;
    sizes.into_iter().find(|size| job.shards.is_multiple_of(*size)).map_or(usize::MAX, |size| size as usize)
}

fn room<'f>(workers: impl Iterator<Item = &'f FleetWorker>, kind: &str, across_hosts: bool) -> usize {
    let hosts: Vec<&str> = workers.filter(|w| w.device_kind == kind).map(|w| w.host.as_str()).collect();
    if across_hosts {
        return hosts.len();
    }
    hosts.iter().map(|host| hosts.iter().filter(|other| other == &host).count()).max().unwrap_or(0)
}
