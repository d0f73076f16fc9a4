//! Gangs whose maximum time is over.

use chrono::{DateTime, TimeDelta, Utc};

use super::model::{FleetWorker, RunningGang, Stop, WorkerStatus};

/// Why a gang stops whose time is over.
pub const OVER_TIME: &str = "its maximum time is over";

/// Gangs that are asked to stop at a checkpoint, as they have trained for as long as they may. Their jobs end with that.
pub fn over_time(now: DateTime<Utc>, running: &[RunningGang]) -> Vec<Stop> {
    let is_over = |gang: &&RunningGang| {
        !gang.is_stopping
            && gang.training_since.is_some()
            && gang.time_left.is_some_and(|left| left <= TimeDelta::zero())
    };
    let stop = |gang: &RunningGang| Stop {
        attempt: gang.attempt,
        job: gang.job,
        room_for: None,
        at_stake: gang.at_stake(now),
        reason: OVER_TIME.to_owned(),
    };
    running.iter().filter(is_over).map(stop).collect()
}

/// Gangs end with their time, if that is over before their work is, and their workers are free then.
pub fn end_with_time(now: DateTime<Utc>, running: &mut [RunningGang], fleet: &mut [FleetWorker]) {
    for gang in running {
        let Some(left) = gang.time_left.map(|left| left.max(TimeDelta::zero())) else { continue };
        gang.seconds_left = gang.seconds_left.map(|seconds| seconds.min(left.as_seconds_f64()));
        for worker in fleet.iter_mut().filter(|worker| gang.workers.contains(&worker.id)) {
            if let WorkerStatus::Busy { until, .. } = &mut worker.status {
                *until = until.map(|until| until.min(now + left));
            }
        }
    }
}
