//! What the end of a job means for those that start from it.
//!
//! Looks at all blocked jobs each time, instead of following from one event to the next: whatever was missed (a crash,
//! a job shared in the very moment in which it failed) is put right by the next look.

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

/// Queues blocked jobs whose inputs are there and cancels those whose inputs never will be; the ids of the latter.
pub(crate) async fn unblock(tx: &mut Conn) -> Result<Vec<Uuid>> {
    let mut cancelled = Vec::new();
    let mut moved = false;
    // A cancelled job decides its own dependants: once more for each level of the graph.
    loop {
        let mut moved_now = false;
        for job in dependencies::decided(tx).await? {
            let (event, kind, reason) = match &job.lost_input {
                Some(words) => (JobEvent::InputsLost, "cancelled", format!("it starts from {words}")),
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
