//! Queues or cancels the jobs that waited for others to end.
//!
//! It reads all blocked jobs each time instead of following events, so the next run repairs what was missed (by a
//! crash, or when a job was shared just as it failed).

use std::time::Duration;

use tandem_domain::state::{JobEvent, JobState};
use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        Conn, dependencies,
        events::{self, About},
        jobs,
        notify::{Topic, notify},
    },
};

/// Queues blocked jobs whose inputs succeeded, cancels those with a failed input, and returns the ids of the latter.
pub(crate) async fn unblock(tx: &mut Conn) -> Result<Vec<Uuid>> {
    let mut cancelled = Vec::new();
    let mut moved = false;
    // A cancelled job decides about its dependants in turn: one round for each level of the graph.
    loop {
        let mut moved_now = false;
        for job in dependencies::decided(tx).await? {
            let (event, kind, reason) = match &job.lost_input {
                Some(failure) => (JobEvent::InputsLost, "cancelled", format!("its input {failure}")),
                None => (JobEvent::InputsReady, "queued", String::new()),
            };
            let state = jobs::transition(tx, job.id, JobState::Blocked, event, &reason, Duration::ZERO).await?;
            let Some(state) = state else { continue };
            moved_now = true;
            let message = if reason.is_empty() { "its inputs are there" } else { &reason };
            events::append(tx, About::job(job.id), kind, message).await?;
            tracing::info!(job = %job.id, name = job.name, %state, reason, "unblocked");
            if state == JobState::Cancelled {
                cancelled.push(job.id);
            }
        }
        if !moved_now {
            break;
        }
        moved = true;
    }
    if moved {
        notify(tx, &[Topic::Schedule, Topic::Watch]).await?;
    }
    Ok(cancelled)
}
