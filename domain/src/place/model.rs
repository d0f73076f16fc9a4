//! What placement decides about, and what a decision says.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{spec::Workers, timing::timing};

#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    pub id: Uuid,
    pub name: String,
    /// The higher goes first.
    pub priority: i32,
    pub queued_at: DateTime<Utc>,
    pub workers: Workers,
    pub shards: u32,
    /// The end of the wait after a lost attempt. The job keeps its place in the queue meanwhile.
    pub not_before: Option<DateTime<Utc>>,
    /// Workers that lately lost an attempt of it by their own fault: taken only if there are not enough others.
    pub avoid: Vec<Uuid>,
    /// The [`fingerprint`](super::fingerprint) of fleet and gangs when gangs were last stopped for it.
    pub made_room_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FleetWorker {
    pub id: Uuid,
    pub name: String,
    /// "cuda" or "cpu".
    pub device_kind: String,
    pub host: String,
    pub status: WorkerStatus,
}

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

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Device kinds, the most preferred first; kinds not named here come last, by name.
    pub device_order: Vec<String>,
    /// A gang may span several hosts if no single one has enough idle workers.
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

#[derive(Clone, Debug, PartialEq)]
pub struct RunningGang {
    pub attempt: Uuid,
    pub job: Uuid,
    pub name: String,
    pub priority: i32,
    /// Its place in the queue, and the workers that it avoids, once it stops and waits again.
    pub queued_at: DateTime<Utc>,
    pub avoid: Vec<Uuid>,
    /// By rank.
    pub workers: Vec<Uuid>,
    /// The numbers of workers that the job asks for.
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

    /// It has trained for long enough to be stopped.
    pub(super) fn may_stop(&self, now: DateTime<Utc>, policy: &Policy) -> bool {
        let ran = self.training_since.and_then(|since| (now - since).to_std().ok());
        !self.is_stopping && ran.is_some_and(|ran| ran >= policy.least_run)
    }
}

/// A gang that is to stop at a checkpoint and to resume later.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    pub attempt: Uuid,
    pub job: Uuid,
    /// The job that it makes room for; `None` if it stops to grow.
    pub room_for: Option<Uuid>,
    /// Device seconds that are lost if it cannot write a checkpoint in time.
    pub at_stake: f64,
    pub reason: String,
}

/// A gang for a job: all of these workers, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub job: Uuid,
    /// By rank. Workers of one host are neighbours.
    pub workers: Vec<Uuid>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub job: Uuid,
    pub reason: String,
}

/// The placements, and a reason for every job that waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    pub placements: Vec<Placement>,
    pub waiting: Vec<Waiting>,
}

/// The queue in the order in which jobs start.
pub(super) fn in_line(queue: &[QueuedJob]) -> Vec<&QueuedJob> {
    let mut queue: Vec<_> = queue.iter().collect();
    queue.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.queued_at, job.id));
    queue
}
