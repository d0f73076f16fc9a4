//! Gangs whose maximum time is over.

use chrono::{DateTime, TimeDelta, Utc};

use super::model::{RunningGang, Stop};

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
