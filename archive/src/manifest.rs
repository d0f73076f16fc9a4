//! What an archive says of itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Of the archives that this version writes and reads.
pub const FORMAT: u32 = 1;

/// The first member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// Version of the database's schema.
    pub schema: i64,
    /// Id of the house.
    pub house: String,
    /// When the house was as the archive has it.
    pub taken_at: DateTime<Utc>,
}

/// What is in the archive; written last, once that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub begin: Begin,
    pub tables: Vec<Table>,
    pub sequences: Vec<Sequence>,
    pub partitions: Vec<Partition>,
    /// Of the store.
    pub files: u64,
    pub file_bytes: u64,
    /// Files that the database names and that were not found whole.
    pub problems: Vec<Problem>,
    /// More of them, which would be too many to name.
    pub problems_left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// In the order of the rows' fields.
    pub columns: Vec<String>,
    pub rows: u64,
    /// Members that hold its rows.
    pub parts: u64,
}

/// The last number that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub name: String,
    pub value: i64,
}

/// A part of a table, by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    pub table: String,
    pub name: String,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// In the store.
    pub path: String,
    pub why: String,
}
