//! The JSON form of what commands print: a contract with scripts, so written by hand and not derived from the wire.
//!
//! Absent values are left out, times are RFC 3339 in UTC, states are the words people see.

mod files;
mod fleet;
mod job;
mod plan;
mod show;
mod table;

pub(crate) use files::{Dataset, Fetched, FetchedFile, Results};
pub(crate) use fleet::{Released, Status};
pub(crate) use job::{Job, Jobs, LogLine, Snapshot};
pub(crate) use plan::{Finished, Submitted};
pub(crate) use show::Shown;
pub(crate) use table::Table;
