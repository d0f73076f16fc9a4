//! What the program that does the work tells the one that a person looks at: one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::manifest::Problem;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Progress { what: String, done: u64, total: u64 },
    Note(String),
    Taken(Taken),
    Restored(Restored),
    Failed { message: String, exit: u8 },
}

/// A backup that is in place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Taken {
    pub file: String,
    pub house: String,
    pub schema: i64,
    /// Of the archive.
    pub bytes: u64,
    pub tables: u64,
    pub rows: u64,
    pub files: u64,
    pub file_bytes: u64,
    /// For how long the database kept a snapshot.
    pub snapshot_seconds: f64,
    pub seconds: f64,
    pub problems: Vec<Problem>,
    pub problems_left_out: u64,
}

/// A house that may be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restored {
    pub house: String,
    pub former_house: String,
    pub rows: u64,
    pub files: u64,
    pub file_bytes: u64,
    /// Above every number that was given out before.
    pub fence: i64,
    /// Attempts that ran, whose jobs go on from their checkpoints.
    pub ended: u64,
    /// Tokens that were good.
    pub revoked: u64,
    pub problems: Vec<Problem>,
    pub problems_left_out: u64,
}
