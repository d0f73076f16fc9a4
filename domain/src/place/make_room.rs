//! Preemption: which gangs stop for a job of higher priority.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    gang,
    model::{FleetWorker, Policy, QueuedJob, RunningGang, Stop, WorkerStatus, in_line},
    start::{Head, Pass},
};
use crate::timing;

/// A hash of what decisions about stopping depend on. While it is the same, what was tried is not tried again.
pub fn fingerprint(fleet: &[FleetWorker], running: &[RunningGang]) -> String {
    let usable = fleet.iter().filter(|worker| gang::is_usable(worker)).map(|worker| worker.id);
    let mut ids: Vec<Uuid> = usable.chain(running.iter().map(|gang| gang.attempt)).collect();
    ids.sort();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.into_bytes()).collect();
    blake3::hash(&bytes).to_hex()[..16].to_owned()
}

/// Gangs that are asked to stop at a checkpoint so that the first in line of each kind of device can start.
///
/// Only the first in line gets room, because no job behind it may take the freed workers. Gangs that passed it and were to
/// have ended by now stop, and those of lower priority, those with the least at stake first, and only if that frees enough
/// workers. What was tried is not tried again
/// until the fleet or its gangs have changed.
pub fn make_room(
    now: DateTime<Utc>,
    queue: &[QueuedJob],
    running: &[RunningGang],
    fleet: &[FleetWorker],
    policy: &Policy,
) -> Vec<Stop> {
    let holds = |worker: &FleetWorker| running.iter().any(|gang| gang.workers.contains(&worker.id));
    let mut pass = Pass::new(now, gang::one_per_device(fleet, holds), fleet.len(), policy);
    in_line(queue).into_iter().for_each(|job| pass.decide(job, false));
    let world = fingerprint(fleet, running);
    let heads = pass.heads.iter().filter(|(_, head)| head.job.made_room_at.as_ref() != Some(&world));
    heads.flat_map(|(kind, head)| room_for(now, head, kind, running, &pass.idle, policy)).collect()
}

/// The fleet with the workers of gangs that stop, or are in `stops`, as free soon: nobody who takes longer than that may
/// pass the job that they stop for.
pub fn soon_free(
    now: DateTime<Utc>,
    fleet: &[FleetWorker],
    running: &[RunningGang],
    stops: &[Stop],
) -> Vec<FleetWorker> {
    let stops = |gang: &&RunningGang| gang.is_stopping || stops.iter().any(|stop| stop.attempt == gang.attempt);
    let soon = now + TimeDelta::from_std(timing::STOP_GRACE).unwrap_or_default();
    let mut fleet = fleet.to_vec();
    for gang in running.iter().filter(stops) {
        for worker in fleet.iter_mut().filter(|worker| gang.workers.contains(&worker.id)) {
            if let WorkerStatus::Busy { until, .. } = &mut worker.status {
                *until = Some(until.map_or(soon, |until| until.min(soon)));
            }
        }
    }
    fleet
}

fn room_for(
    now: DateTime<Utc>,
    head: &Head<'_>,
    kind: &str,
    running: &[RunningGang],
    idle: &[&FleetWorker],
    policy: &Policy,
) -> Vec<Stop> {
    let (job, fleet) = (head.job, &head.able);
    let Some(need) = job.workers.world_sizes(job.shards).next() else { return Vec::new() };
    let members = |gangs: &[&RunningGang]| -> Vec<&FleetWorker> {
        let free = |worker: &&FleetWorker| {
            idle.iter().any(|free| free.id == worker.id)
                || gang::is_usable(worker) && gangs.iter().any(|gang| gang.workers.contains(&worker.id))
        };
        gang::of_kind(kind, fleet.iter().copied()).filter(free).collect()
    };
    let enough = |gangs: &[&RunningGang]| gang::room(&members(gangs), policy) >= need as usize;

    // Workers of gangs that are stopping already will be free, whomever they stop for.
    let mut stopping: Vec<&RunningGang> = running.iter().filter(|gang| gang.is_stopping).collect();
    if enough(&stopping) {
        return Vec::new();
    }
    let of_this_kind = |gang: &&RunningGang| {
        fleet.iter().any(|worker| gang.workers.contains(&worker.id) && worker.device_kind == kind)
    };
    let mut victims: Vec<&RunningGang> = running
        .iter()
        .filter(|gang| gang.priority < job.priority || gang.overstays(job.id, now))
        .filter(|gang| gang.may_stop(now, policy))
        .filter(of_this_kind)
        .collect();
    victims.sort_by(|a, b| {
        let stays = |gang: &RunningGang| !gang.overstays(job.id, now);
        let order = stays(a).cmp(&stays(b)).then(a.priority.cmp(&b.priority));
        order.then(a.at_stake(now).total_cmp(&b.at_stake(now))).then(a.attempt.cmp(&b.attempt))
    });
    let already = stopping.len();
    for victim in victims {
        stopping.push(victim);
        if enough(&stopping) {
            break;
        }
    }
    if !enough(&stopping) {
        return Vec::new();
    }
    // The last victim may have made earlier ones unnecessary: those with the most at stake are spared first.
    for place in (already..stopping.len()).rev() {
        let without: Vec<_> = stopping.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, gang)| *gang).collect();
        if enough(&without) {
            stopping = without;
        }
    }
    let stop = |gang: &&RunningGang| Stop {
        attempt: gang.attempt,
        job: gang.job,
        room_for: Some(job.id),
        at_stake: gang.at_stake(now),
        reason: match gang.overstays(job.id, now) {
            true => format!("makes room for `{}`, which it passed: it was to have ended by now", job.name),
            false => format!("makes room for `{}` (priority {} over {})", job.name, job.priority, gang.priority),
        },
    };
    stopping[already..].iter().map(stop).collect()
}
