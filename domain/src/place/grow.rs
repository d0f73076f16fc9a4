//! Elasticity: a gang that started with fewer workers than it may have is stopped to start again with more.
//!
//! The way down needs no decision: a job whose worker died is placed again with what there is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    gang,
    model::{Decision, FleetWorker, Policy, QueuedJob, RunningGang, Stop, WorkerStatus},
    start::place,
};

/// An attempt that ends within this many times [`RunningGang::least_run`] is left alone: a restart would not pay.
const WORTH: f64 = 2.0;

/// Gangs that are asked to stop at a checkpoint because idle workers would make them larger: one of each kind of device
/// at a time, the one with the longest time left, and only if no job waits for those workers.
///
/// `decision` is the one just made about the queue.
pub fn grow(
    now: DateTime<Utc>,
    queue: &[QueuedJob],
    decision: &Decision,
    running: &[RunningGang],
    fleet: &[FleetWorker],
    policy: &Policy,
) -> Vec<Stop> {
    let holds = |worker: &FleetWorker| running.iter().any(|gang| gang.workers.contains(&worker.id));
    let devices = gang::one_per_device(fleet, holds);
    let placed = |worker: &FleetWorker| decision.placements.iter().any(|gang| gang.workers.contains(&worker.id));
    let idle: Vec<&FleetWorker> =
        devices.iter().copied().filter(|worker| worker.status == WorkerStatus::Idle && !placed(worker)).collect();
    if idle.is_empty() || running.is_empty() {
        return Vec::new();
    }
    let waiting: BTreeSet<Uuid> = decision.waiting.iter().map(|waiting| waiting.job).collect();
    let of_fleet = gang::Kinds::of(&devices, policy);
    let waited_for: BTreeSet<&str> =
        queue.iter().filter(|job| waiting.contains(&job.id)).filter_map(|job| of_fleet.for_job(job)).collect();
    let mut kinds: Vec<&str> = idle.iter().map(|worker| worker.device_kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
        .into_iter()
        .filter(|kind| !waited_for.contains(*kind))
        .filter_map(|kind| largest_gain(now, kind, &idle, running, &devices, policy))
        .filter(|stop| gains(now, stop, queue, decision, running, fleet, policy))
        .collect()
}

/// Whether the gang, once stopped, would be placed on more workers than it has: [`place`] itself is asked.
fn gains(
    now: DateTime<Utc>,
    stop: &Stop,
    queue: &[QueuedJob],
    decision: &Decision,
    running: &[RunningGang],
    fleet: &[FleetWorker],
    policy: &Policy,
) -> bool {
    let Some(gang) = running.iter().find(|gang| gang.attempt == stop.attempt) else { return false };
    let is_placed = |job: &&QueuedJob| decision.placements.iter().any(|placement| placement.job == job.id);
    let stopped = QueuedJob {
        id: gang.job,
        name: gang.name.clone(),
        owner: gang.owner.clone(),
        turn: 0,
        priority: gang.priority,
        queued_at: gang.queued_at,
        position: gang.position,
        workers: gang.wanted,
        shards: gang.shards,
        not_before: None,
        avoid: gang.avoid.clone(),
        any_kind: false,
        missing: gang.missing.clone(),
        needs: gang.needs.clone(),
        estimates: BTreeMap::new(),
        assumed: BTreeMap::new(),
        time_left: gang.time_left.map(|left| left.to_std().unwrap_or_default()),
        made_room_at: None,
    };
    let queue: Vec<QueuedJob> = queue.iter().filter(|job| !is_placed(job)).cloned().chain([stopped]).collect();
    let held: BTreeSet<&str> =
        fleet.iter().filter(|w| gang.workers.contains(&w.id)).map(|w| w.device.as_str()).collect();
    let mut fleet = fleet.to_vec();
    for worker in &mut fleet {
        let is_withheld = matches!(worker.status, WorkerStatus::Withheld { .. });
        if held.contains(worker.device.as_str()) && gang::is_usable(worker) && !is_withheld {
            worker.status = WorkerStatus::Idle;
        } else if decision.placements.iter().any(|placement| placement.workers.contains(&worker.id)) {
            worker.status = WorkerStatus::Busy { job_name: String::new(), until: None };
        }
    }
    let policy = Policy { quotas: policy.quotas.without(&gang.owner, gang.workers.len()), ..policy.clone() };
    let then = place(now, &queue, &fleet, &policy).placements;
    then.iter().any(|placement| placement.job == gang.job && placement.workers.len() > gang.workers.len())
}

fn largest_gain(
    now: DateTime<Utc>,
    kind: &str,
    idle: &[&FleetWorker],
    running: &[RunningGang],
    fleet: &[&FleetWorker],
    policy: &Policy,
) -> Option<Stop> {
    let of_kind = |gang: &RunningGang| {
        let mut own = fleet.iter().filter(|worker| gang.workers.contains(&worker.id));
        own.all(|worker| worker.device_kind == kind && gang::is_usable(worker))
    };
    let here: Vec<&RunningGang> = running.iter().filter(|gang| of_kind(gang)).collect();
    if here.iter().any(|gang| gang.is_stopping) {
        return None;
    }
    let size = |gang: &RunningGang| {
        let own = fleet.iter().copied().filter(|worker| gang.workers.contains(&worker.id));
        let all: Vec<&FleetWorker> = gang::of_kind(kind, idle.iter().copied()).chain(own).collect();
        gang::largest(gang.wanted, gang.shards, gang::room(&all, policy)).filter(|&size| size > gang.workers.len())
    };
    let left = |gang: &RunningGang| gang.seconds_left.unwrap_or(f64::INFINITY);
    let worth = |gang: &RunningGang| left(gang) >= WORTH * gang.least_run(policy).as_secs_f64();
    let (gang, size) = here
        .into_iter()
        .filter(|gang| gang.may_stop(now, policy) && worth(gang))
        .filter_map(|gang| Some((gang, size(gang)?)))
        .max_by(|(a, _), (b, _)| left(a).total_cmp(&left(b)).then(b.attempt.cmp(&a.attempt)))?;
    Some(Stop {
        attempt: gang.attempt,
        job: gang.job,
        room_for: None,
        at_stake: gang.at_stake(now),
        reason: format!("grows from {} to {size} workers, which are idle", gang.workers.len()),
    })
}
