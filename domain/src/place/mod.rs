//! Which queued jobs start now, on which workers, and why the others wait.
//!
//! The rule is first in, first out for each kind of device. A job belongs to the most wanted kind of which the fleet
//! has enough; while it waits there, nothing that came later takes workers of that kind, however small it is. Workers
//! of other kinds stay free for others. A job that no kind could ever hold blocks nobody: it waits with that reason
//! until the fleet grows.

mod gang;
mod reason;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::spec::Workers;

/// A job that waits for workers.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    pub id: Uuid,
    pub name: String,
    pub queued_at: DateTime<Utc>,
    pub workers: Workers,
    pub shards: u32,
    /// Not before this moment: the wait after a lost attempt. The job keeps its place in the queue meanwhile.
    pub not_before: Option<DateTime<Utc>>,
}

/// A worker that the coordinator knows.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetWorker {
    pub id: Uuid,
    pub name: String,
    /// "cuda" or "cpu".
    pub device_kind: String,
    pub host: String,
    pub status: WorkerStatus,
}

/// Whether a worker can take a rank.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerStatus {
    Idle,
    Busy {
        job_name: String,
        /// When it is likely to be free.
        until: Option<DateTime<Utc>>,
    },
    /// Finishes what it has and takes nothing new.
    Draining,
    Lost,
}

/// How to choose where several choices are right.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Device kinds, the most wanted first; kinds not named here come last, by name.
    pub device_order: Vec<String>,
    /// A gang may reach over several hosts where no single one has enough idle workers.
    pub across_hosts: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { device_order: vec!["cuda".to_owned(), "cpu".to_owned()], across_hosts: true }
    }
}

/// A gang for a job: all of these workers, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub job: Uuid,
    /// By rank. Workers of one host are neighbours.
    pub workers: Vec<Uuid>,
}

/// Why a job does not start now, for a person to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub job: Uuid,
    pub reason: String,
}

/// Every job of the queue, either placed or waiting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    pub placements: Vec<Placement>,
    pub waiting: Vec<Waiting>,
}

/// Decides for the whole queue at one moment.
///
/// The order of `queue` and `fleet` does not matter: jobs go by `queued_at` (then id), workers by host and name.
pub fn place(now: DateTime<Utc>, queue: &[QueuedJob], fleet: &[FleetWorker], policy: &Policy) -> Decision {
    let mut queue: Vec<_> = queue.iter().collect();
    queue.sort_by_key(|job| (job.queued_at, job.id));
    let mut idle: Vec<_> = fleet.iter().filter(|worker| worker.status == WorkerStatus::Idle).collect();
    let mut first_in_line: BTreeMap<&str, &QueuedJob> = BTreeMap::new();

    let mut decision = Decision::default();
    for job in queue {
        let kind = gang::kind_for(job, fleet, policy);
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
