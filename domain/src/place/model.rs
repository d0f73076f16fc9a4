//! What placement decides about, and what a decision says.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    needs::{Needs, Offers},
    quotas::Quotas,
};
use crate::{blame::MissingInput, spec::Workers, timing::timing};

#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    pub id: Uuid,
    pub name: String,
    /// Whose devices it takes.
    pub owner: String,
    /// The higher goes first.
    pub priority: i32,
    /// Among jobs of its priority: see [`take_turns`](super::take_turns). The same for all where the first come goes first.
    pub turn: u32,
    pub queued_at: DateTime<Utc>,
    /// Its place in the file, among jobs that were queued at the same moment.
    pub position: i32,
    pub workers: Workers,
    pub shards: u32,
    /// The end of the wait after a lost attempt. The job keeps its place in the queue meanwhile, and no workers.
    pub not_before: Option<DateTime<Utc>>,
    /// Workers that it was lost on: taken only if there are not enough others. See [`crate::blame::avoided`].
    pub avoid: Vec<Uuid>,
    /// It was lost again and again: another kind of device than the preferred one will do, where that has only workers to avoid.
    pub any_kind: bool,
    /// Workers that cannot read its input: not taken for a while.
    pub missing: Vec<MissingInput>,
    pub needs: Needs,
    /// How long it takes on its smallest gang, by kind of device, where that is known.
    pub estimates: BTreeMap<String, Duration>,
    /// The same where nothing of its kind of work has run, by what other jobs took: good enough to look ahead and to take turns
    /// by, not to let it pass others.
    pub assumed: BTreeMap<String, Duration>,
    /// How long it may still train; `None` without a maximum time.
    pub time_left: Option<Duration>,
    /// The [`fingerprint`](super::fingerprint) of fleet and gangs when gangs were last stopped for it.
    pub made_room_at: Option<String>,
}

impl QueuedJob {
    /// How long it takes on such a device, as well as anybody can say.
    pub(super) fn takes(&self, kind: &str) -> Option<Duration> {
        self.estimates.get(kind).or(self.assumed.get(kind)).copied()
    }

    /// The same on whichever is the fastest.
    pub(super) fn takes_at_least(&self) -> Option<Duration> {
        self.estimates.values().min().or(self.assumed.values().min()).copied()
    }

    /// It ends with the time that it may still train.
    pub fn end_with_time(&mut self, left: Duration) {
        self.time_left = Some(left);
        self.estimates.values_mut().chain(self.assumed.values_mut()).for_each(|takes| *takes = left.min(*takes));
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct FleetWorker {
    pub id: Uuid,
    pub name: String,
    /// "cuda" or "cpu".
    pub device_kind: String,
    pub host: String,
    /// What makes its device another than any other. Two workers may hold one device.
    pub device: String,
    pub offers: Offers,
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
    /// It does not see the store, or is of a version that does not fit the coordinator's.
    Unfit,
    /// Its device is used by others: it is waited for, and nobody knows how long.
    Withheld {
        /// `in use by ann: python (pid 4711, 3.2 GiB)`.
        why: String,
    },
    /// Finishes what it has and takes nothing new, as its process leaves.
    Draining,
    /// Finishes what it has and takes nothing new, until somebody undrains it.
    Drained,
    /// Somebody has it for itself.
    Held {
        until: DateTime<Utc>,
    },
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
    /// A job that passes others is expected to take so many times its estimate.
    pub margin: f64,
    /// What each person may still take.
    pub quotas: Quotas,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            device_order: vec!["cuda".to_owned(), "cpu".to_owned()],
            across_hosts: true,
            least_run: timing().least_run,
            margin: 1.0,
            quotas: Quotas::default(),
        }
    }
}

/// A gang trains for as many of its slowest steps at least.
const LEAST_STEPS: u32 = 10;
/// Beyond that many stops that saved nothing the wait is not doubled any more.
const WASTED_MAX: u32 = 6;

#[derive(Clone, Debug, PartialEq)]
pub struct RunningGang {
    pub attempt: Uuid,
    pub job: Uuid,
    pub name: String,
    pub owner: String,
    pub priority: i32,
    /// Its place in the queue, and the workers that it avoids, once it stops and waits again.
    pub queued_at: DateTime<Utc>,
    pub position: i32,
    pub avoid: Vec<Uuid>,
    pub missing: Vec<MissingInput>,
    pub needs: Needs,
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
    /// The slowest piece of work of its ranks so far.
    pub slowest: Option<Duration>,
    /// How often its job was asked to stop and ended without a checkpoint.
    pub wasted_stops: u32,
    /// It was asked to stop at a checkpoint, or one of its ranks did, and it has not yet.
    pub is_stopping: bool,
    /// Whom it passed when it started.
    pub passed: Option<Passed>,
    /// How long it may still train; negative once that is over.
    pub time_left: Option<TimeDelta>,
}

/// A promise of who starts before the first in line: to have ended when that one can.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// Who was first in line then.
    pub job: Uuid,
    pub until: DateTime<Utc>,
}

impl RunningGang {
    /// Device seconds that would be computed again if it died now.
    pub fn at_stake(&self, now: DateTime<Utc>) -> f64 {
        let kept = self.saved_at.max(self.training_since);
        let seconds = kept.map_or(0.0, |kept| (now - kept).as_seconds_f64().max(0.0));
        seconds * self.workers.len() as f64
    }

    /// How long it trains at least before it is stopped: longer if its steps are slow, and twice as long after each stop
    /// that saved nothing.
    pub fn least_run(&self, policy: &Policy) -> Duration {
        let by_steps = self.slowest.unwrap_or_default() * LEAST_STEPS;
        policy.least_run.max(by_steps) * 2u32.pow(self.wasted_stops.min(WASTED_MAX))
    }

    /// It started before `job`, as it was to end before that could, and has not.
    pub(super) fn overstays(&self, job: Uuid, now: DateTime<Utc>) -> bool {
        self.passed.is_some_and(|passed| passed.job == job && passed.until < now)
    }

    /// It has trained for long enough to be stopped.
    pub(super) fn may_stop(&self, now: DateTime<Utc>, policy: &Policy) -> bool {
        let ran = self.training_since.and_then(|since| (now - since).to_std().ok());
        !self.is_stopping && ran.is_some_and(|ran| ran >= self.least_run(policy))
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
    /// It takes workers that are reserved for somebody before it.
    pub passed: Option<Passed>,
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
pub fn in_line(queue: &[QueuedJob]) -> Vec<&QueuedJob> {
    let mut queue: Vec<_> = queue.iter().collect();
    queue.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.turn, job.queued_at, job.position, job.id));
    queue
}
