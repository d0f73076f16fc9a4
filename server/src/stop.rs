//! Asks gangs to stop at a checkpoint: for a job of higher priority, or to start again with more workers.
//!
//! The request is only stored here. `dispatch` sends it to each worker, the rank writes its checkpoint, the attempt
//! ends as preempted, and the job goes back to its place in the queue.

use tandem_domain::place::{RunningGang, Stop, fingerprint};

use crate::{
    error::Result,
    store::{
        Store, attempts,
        events::{self, About},
        jobs, leader,
        notify::{Topic, notify},
    },
};

/// Stores the stops that one pass decided on, all or none, and returns which. `running` and `fleet` are those of the
/// decision.
pub(crate) async fn ask(
    store: &Store,
    term: i64,
    stops: &[Stop],
    running: &[RunningGang],
    fleet: &[tandem_domain::place::FleetWorker],
) -> Result<bool> {
    if stops.is_empty() {
        return Ok(false);
    }
    let mut tx = store.lane.begin().await?;
    if !leader::is_current(&mut tx, term).await? {
        return Ok(false);
    }
    let fleet_fingerprint = fingerprint(fleet, running);
    for stop in stops {
        let about = About::attempt(stop.job, stop.attempt);
        if !attempts::ask_stop(&mut tx, stop).await? {
            // All or none: with fewer stops the first in line would still not start.
            return Ok(false);
        }
        let asked = format!(
            "{}: writes a checkpoint first; without one {:.1} device-seconds would be lost",
            stop.reason, stop.at_stake
        );
        events::append(&mut tx, about, "asked to stop", &asked).await?;
        let name = running.iter().find(|gang| gang.attempt == stop.attempt).map_or("", |gang| gang.name.as_str());
        tracing::info!(attempt = %stop.attempt, job = %stop.job, name, reason = stop.reason, "asked to stop");
        if let Some(job) = stop.room_for {
            jobs::set_made_room(&mut tx, job, &fleet_fingerprint).await?;
            let message =
                format!("`{name}` stops at a checkpoint for it: {:.1} device-seconds are at stake", stop.at_stake);
            events::append(&mut tx, About::job(job), "makes room", &message).await?;
        }
    }
    notify(&mut tx, &[Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    Ok(true)
}
