//! Queues or cancels the jobs that waited for others to end.
//!
//! It looks at the jobs that are due: whatever ends a job puts its dependants down for that, in the same transaction. So
//! it costs nothing that others wait. [`Sweep`] looks at those as well, a page at a time, should one ever be missed.

use std::time::{Duration, Instant};

use tandem_domain::state::{JobEvent, JobState};
use uuid::Uuid;

use crate::{
    error::Result,
    sharing::pause,
    store::{
        Conn, dependencies,
        events::{self, About},
        jobs,
        notify::{Topic, notify},
    },
};

/// The most jobs that are looked at together: a transaction must be over long before the lead expires.
const PAGE: i64 = 500;

/// Queues blocked jobs whose inputs succeeded, cancels those with a failed input, and returns the ids of the latter.
pub(crate) async fn unblock(tx: &mut Conn) -> Result<Vec<Uuid>> {
    let mut cancelled = Vec::new();
    // A cancelled job decides about its dependants in turn: they are due then.
    while let Some(more) = unblock_page(tx).await? {
        cancelled.extend(more);
    }
    Ok(cancelled)
}

/// [`unblock`] for the next jobs that are due; `None` if none are.
pub(crate) async fn unblock_page(tx: &mut Conn) -> Result<Option<Vec<Uuid>>> {
    let due = dependencies::take_due(tx, PAGE).await?;
    if due.is_empty() { Ok(None) } else { decide(tx, &due).await.map(Some) }
}

/// How far the slow look at all blocked jobs has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    /// `None` before the first page.
    last: Option<Instant>,
    after: Uuid,
}

impl Sweep {
    const INTERVAL: Duration = Duration::from_secs(60);

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.duration_since(last) >= Self::INTERVAL)
    }

    /// Looks at one page, and returns the sweep that goes on from there.
    pub(crate) async fn page(self, tx: &mut Conn, now: Instant) -> Result<Self> {
        let blocked = dependencies::blocked_after(tx, self.after, PAGE).await?;
        decide(tx, &blocked).await?;
        let is_last = i64::try_from(blocked.len()).is_ok_and(|count| count < PAGE);
        let after = blocked.last().copied().filter(|_| !is_last).unwrap_or_default();
        Ok(Self { last: Some(now), after })
    }
}

/// Moves those of these jobs whose inputs have decided, and returns the cancelled ones.
async fn decide(tx: &mut Conn, jobs: &[Uuid]) -> Result<Vec<Uuid>> {
    let (mut cancelled, mut queued) = (Vec::new(), Vec::new());
    let mut moved = false;
    for job in dependencies::decided(tx, jobs).await? {
        let (event, kind, reason) = match &job.lost_input {
            Some(failure) => (JobEvent::InputsLost, "cancelled", format!("its input {failure}")),
            None => (JobEvent::InputsReady, "queued", String::new()),
        };
        let state = jobs::transition(tx, job.id, JobState::Blocked, event, &reason, Duration::ZERO).await?;
        let Some(state) = state else { continue };
        moved = true;
        let message = if reason.is_empty() { "its inputs are there" } else { &reason };
        events::append(tx, About::job(job.id), kind, message).await?;
        tracing::info!(job = %job.id, name = job.name, %state, reason, "unblocked");
        if state == JobState::Cancelled {
            cancelled.push(job.id);
        } else {
            queued.push(job.id);
        }
    }
    pause::settle(tx, &queued).await?;
    if moved {
        notify(tx, &[Topic::Schedule, Topic::Watch]).await?;
    }
    Ok(cancelled)
}
