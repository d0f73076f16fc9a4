//! Checks a decision of the scheduler by brute force: first in, first out, on free workers.

use chrono::{DateTime, Utc};
use tandem_domain::place::{Decision, FleetWorker, QueuedJob, WorkerStatus};

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
        let kind_of = |job: &QueuedJob| {
            let enough = |kind: &&str| room(fleet.iter().filter(|w| usable(w)), kind, across_hosts) >= need(job);
            KINDS.into_iter().find(enough)
        };
        let placed = |job: &QueuedJob| decision.placements.iter().find(|placement| placement.job == job.id);
        let mut line: Vec<&QueuedJob> = queue.iter().collect();
        line.sort_by(|a, b| (b.priority, a.queued_at, a.id).cmp(&(a.priority, b.queued_at, b.id)));
        let mut taken = Vec::new();
        for kind in KINDS {
            let mut waits: Option<&QueuedJob> = None;
            for job in line.iter().filter(|job| kind_of(job) == Some(kind)) {
                let Some(placement) = placed(job) else {
                    let left = fleet.iter().filter(|w| w.status == WorkerStatus::Idle && !taken.contains(&w.id));
                    let in_backoff = job.not_before.is_some_and(|moment| moment > now);
                    if waits.is_none() && !in_backoff && room(left, kind, across_hosts) >= need(job) {
                        let facts = format!("job{} is first in line, and waits for no reason", number(job.id));
                        self.violated("fifo", at, facts);
                    }
                    waits.get_or_insert(job);
                    continue;
                };
                if let Some(first) = waits {
                    let facts = format!(
                        "job{} (priority {}) is placed while job{} (priority {}) waits for {kind} workers before it",
                        number(job.id),
                        job.priority,
                        number(first.id),
                        first.priority
                    );
                    self.violated("fifo", at, facts);
                }
                let size = placement.workers.len();
                let fits = (job.workers.min as usize..=job.workers.max as usize).contains(&size)
                    && (job.shards as usize).is_multiple_of(size);
                let free =
                    |id| fleet.iter().any(|w| w.id == id && w.status == WorkerStatus::Idle && w.device_kind == kind);
                if !fits || placement.workers.iter().any(|&id| taken.contains(&id) || !free(id)) {
                    let facts = format!("job{} is placed on workers that are not free: {placement:?}", number(job.id));
                    self.violated("one_gang_per_device", at, facts);
                }
                taken.extend(&placement.workers);
            }
        }
    }
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
