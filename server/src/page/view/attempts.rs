//! What is told of a job's attempts, events, checkpoints and files.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{text::Text, units},
    state::{self, State},
};
use crate::store::{
    attempts::AttemptRow,
    events::EventRow,
    files::{Artifact, Checkpoint},
    unsigned,
};

pub(super) struct Attempt {
    pub(super) number: i32,
    pub(super) state: State,
    pub(super) workers: Text,
    pub(super) began: String,
    pub(super) took: String,
    pub(super) cause: Text,
}

pub(super) struct Event {
    pub(super) at: String,
    pub(super) kind: Text,
    pub(super) message: Text,
    pub(super) attempt: Option<i32>,
    pub(super) worker: Text,
}

pub(super) struct Saved {
    pub(super) step: i64,
    pub(super) at: String,
    pub(super) size: String,
    pub(super) sha256: Text,
}

pub(super) struct File {
    pub(super) id: Uuid,
    pub(super) kind: Text,
    pub(super) name: Text,
    pub(super) size: String,
    pub(super) sha256: Text,
}

pub(super) fn attempt(row: &AttemptRow, now: DateTime<Utc>) -> Attempt {
    let took = (row.ended_at.unwrap_or(now) - row.assigned_at).num_seconds().max(0) as f64;
    Attempt {
        number: row.number,
        state: state::of_job(&row.state),
        workers: Text::line(&row.workers.join(", ")),
        began: units::moment(row.assigned_at),
        took: if row.ended_at.is_some() { units::duration(took) } else { units::coarse(took) },
        cause: Text::line(&row.cause),
    }
}

pub(super) fn event(row: &EventRow) -> Event {
    Event {
        at: units::exact(row.at),
        kind: Text::line(&row.kind),
        message: Text::line(&row.message),
        attempt: row.attempt,
        worker: Text::line(row.worker.as_deref().unwrap_or_default()),
    }
}

pub(super) fn saved(row: &Checkpoint) -> Saved {
    let size = units::bytes(unsigned(row.bytes));
    Saved { step: row.step, at: units::moment(row.at), size, sha256: Text::line(&row.sha256) }
}

pub(super) fn file(row: &Artifact) -> File {
    File {
        id: row.id,
        kind: Text::line(&row.kind),
        name: Text::line(&row.name),
        size: units::bytes(unsigned(row.bytes)),
        sha256: Text::line(&row.sha256),
    }
}
