//! Which queued jobs start now, on which workers, and why the others wait.
//!
//! The rule is first in, first out among equal priorities, for each kind of device. A job belongs to the most wanted kind
//! of which the fleet has enough; while it waits there, nothing that stands behind it takes workers of that kind, however
//! small it is. Workers of other kinds stay free for others. A job that no kind could ever hold blocks nobody: it waits
//! with that reason until the fleet grows.
//!
//! [`make_room`] stops gangs of lower priority for the first in line; [`grow`] lets a gang start anew with more workers.

mod gang;
mod grow;
mod make_room;
mod reason;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{spec::Workers, timing::timing};

/// A job that waits for workers.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    pub id: Uuid,
    pub name: String,
    /// The higher goes first.
    pub priority: i32,
    pub queued_at: DateTime<Utc>,
    pub workers: Workers,
    pub shards: u32,
    /// Not before this moment: the wait after a lost attempt. The job keeps its place in the queue meanwhile.
    pub not_before: Option<DateTime<Utc>>,
    /// Workers at fault for a lost attempt of it a short while ago: taken only where there are not enough others.
    pub avoid: Vec<Uuid>,
    /// The [`fingerprint`] of the world when gangs were last stopped for it.
    pub made_room_at: Option<String>,
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
    /// Several jobs were lost on it.
    Quarantined,
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
    /// A gang trains for this long at least before it is stopped for others, or to grow.
    pub least_run: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            device_order: vec!["cuda".to_owned(), "cpu".to_owned()],
            across_hosts: true,
            least_run: timing().least_run,
        }
    }
}

/// A gang at work.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningGang {
    pub attempt: Uuid,
    pub job: Uuid,
    pub name: String,
    pub priority: i32,
    /// Its place in the queue, and the workers it would not get there: what it goes back to when it stops.
    pub queued_at: DateTime<Utc>,
    pub avoid: Vec<Uuid>,
    /// By rank.
    pub workers: Vec<Uuid>,
    /// As asked for.
    pub wanted: Workers,
    pub shards: u32,
    /// `None` while it loads.
    pub training_since: Option<DateTime<Utc>>,
    /// Its last checkpoint in this attempt.
    pub saved_at: Option<DateTime<Utc>>,
    pub seconds_left: Option<f64>,
    /// It was asked to stop at a checkpoint, and has not yet.
    pub is_stopping: bool,
}

impl RunningGang {
    /// Device seconds that would be computed again if it died now.
    pub fn at_stake(&self, now: DateTime<Utc>) -> f64 {
        let kept = self.saved_at.max(self.training_since);
        let seconds = kept.map_or(0.0, |kept| (now - kept).as_seconds_f64().max(0.0));
        seconds * self.workers.len() as f64
    }

    /// It has trained for long enough to be stopped for others.
    fn may_stop(&self, now: DateTime<Utc>, policy: &Policy) -> bool {
        let ran = self.training_since.and_then(|since| (now - since).to_std().ok());
        !self.is_stopping && ran.is_some_and(|ran| ran >= policy.least_run)
    }
}

/// A gang that is to stop at a checkpoint and go on later, or otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    pub attempt: Uuid,
    pub job: Uuid,
    /// For which job; `None` if for its own sake.
    pub room_for: Option<Uuid>,
    /// Device seconds that are lost if it cannot write a checkpoint in time.
    pub at_stake: f64,
    pub reason: String,
}

/// What decisions about stopping depend on. While it is the same, what was tried once is not tried again.
pub fn fingerprint(fleet: &[FleetWorker], running: &[RunningGang]) -> String {
    let usable = fleet.iter().filter(|worker| gang::is_usable(worker)).map(|worker| worker.id);
    let mut ids: Vec<Uuid> = usable.chain(running.iter().map(|gang| gang.attempt)).collect();
    ids.sort();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.into_bytes()).collect();
    blake3::hash(&bytes).to_hex()[..16].to_owned()
}

pub use grow::grow;
pub use make_room::make_room;

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
/// The order of `queue` and `fleet` does not matter: jobs go by priority, then `queued_at` (then id), workers by host and
/// name.
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

/// Who is before whom.
fn in_line(queue: &[QueuedJob]) -> Vec<&QueuedJob> {
    let mut queue: Vec<_> = queue.iter().collect();
    queue.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.queued_at, job.id));
    queue
}
