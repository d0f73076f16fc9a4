//! States in words, and their colours.

use tandem_proto::v1::{AttemptState, JobState, WorkerState};

use super::table::{Text, Tone};

pub(crate) fn job(state: JobState) -> &'static str {
    match state {
        JobState::Unspecified => "unknown",
        JobState::Blocked => "blocked",
        JobState::Queued => "queued",
        JobState::Paused => "paused",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

pub(crate) fn job_cell(state: JobState) -> Text {
    let tone = match state {
        JobState::Succeeded => Tone::Good,
        JobState::Failed => Tone::Bad,
        JobState::Running => Tone::Active,
        JobState::Cancelled | JobState::Blocked | JobState::Paused => Tone::Faint,
        JobState::Queued | JobState::Unspecified => Tone::Plain,
    };
    Text::new(job(state), tone)
}

/// Final: the job will not change any more.
pub(crate) fn has_ended(state: JobState) -> bool {
    matches!(state, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
}

pub(crate) fn attempt(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Unspecified => "unknown",
        AttemptState::Assigned => "assigned",
        AttemptState::Starting => "starting",
        AttemptState::Training => "training",
        AttemptState::Verifying => "verifying",
        AttemptState::Succeeded => "succeeded",
        AttemptState::Failed => "failed",
        AttemptState::Lost => "lost",
        AttemptState::Preempted => "preempted",
        AttemptState::Cancelled => "cancelled",
    }
}

pub(crate) fn attempt_cell(state: AttemptState) -> Text {
    let tone = match state {
        AttemptState::Succeeded => Tone::Good,
        AttemptState::Failed | AttemptState::Lost => Tone::Bad,
        AttemptState::Assigned | AttemptState::Starting | AttemptState::Training | AttemptState::Verifying => {
            Tone::Active
        }
        AttemptState::Preempted | AttemptState::Cancelled | AttemptState::Unspecified => Tone::Faint,
    };
    Text::new(attempt(state), tone)
}

pub(crate) fn worker(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Unspecified => "unknown",
        WorkerState::Idle => "idle",
        WorkerState::Busy => "busy",
        WorkerState::Draining => "draining",
        WorkerState::Lost => "lost",
        WorkerState::Gone => "gone",
        WorkerState::Quarantined => "quarantined",
        WorkerState::Unfit => "unfit",
        WorkerState::Held => "held",
        WorkerState::Drained => "drained",
        WorkerState::InUse => "in use",
    }
}

pub(crate) fn worker_cell(state: WorkerState) -> Text {
    let tone = match state {
        WorkerState::Idle => Tone::Good,
        WorkerState::Busy => Tone::Active,
        WorkerState::Lost | WorkerState::Quarantined | WorkerState::Unfit | WorkerState::InUse => Tone::Bad,
        WorkerState::Draining
        | WorkerState::Drained
        | WorkerState::Held
        | WorkerState::Gone
        | WorkerState::Unspecified => Tone::Faint,
    };
    Text::new(worker(state), tone)
}
