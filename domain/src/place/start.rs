//! Which queued jobs start now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    gang,
    model::{Decision, FleetWorker, Placement, Policy, QueuedJob, Waiting, WorkerStatus, in_line},
    reason,
};

/// Decides for the whole queue at one moment.
///
/// The order of `queue` and `fleet` does not matter: jobs go by priority, then `queued_at`; workers by host and name.
pub fn place(now: DateTime<Utc>, queue: &[QueuedJob], fleet: &[FleetWorker], policy: &Policy) -> Decision {
    let queue = in_line(queue);
    let mut idle: Vec<_> = fleet.iter().filter(|worker| worker.status == WorkerStatus::Idle).collect();
    let mut first_in_line: BTreeMap<&str, &QueuedJob> = BTreeMap::new();

    let kinds = gang::Kinds::of(fleet, policy);
    let mut decision = Decision::default();
    for job in queue {
        let kind = kinds.for_job(job);
        let reason = match kind {
            None => reason::too_large(job, fleet, policy),
            Some(kind) if first_in_line.contains_key(kind) => reason::behind(first_in_line[kind], kind),
            Some(_) if job.not_before.is_some_and(|moment| moment > now) => reason::backoff(job),
            Some(kind) => match gang::choose(job, kind, &idle, policy) {
                Some(workers) => {
                    idle.retain(|worker| !workers.contains(&worker.id));
                    decision.placements.push(Placement { job: job.id, workers });
                    continue;
                }
                None => reason::busy(job, kind, &idle, fleet, policy),
            },
        };
        if let Some(kind) = kind {
            first_in_line.entry(kind).or_insert(job);
        }
        decision.waiting.push(Waiting { job: job.id, reason });
    }
    decision
}
