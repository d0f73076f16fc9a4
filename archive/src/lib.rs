//! A house in one file, as `tandem backup` writes it: a tar, so that any tool lists it, of which every byte is proved.
//!
//! ```text
//! begin.json                 format, program, schema, house, when
//! database/TABLE/000000 ..   rows, as COPY writes them
//! store/PATH ..              files of the store, as they were found
//! manifest.json              what the tables are, and what was not found whole
//! index                      a line for each member before: SHA-256, bytes, name
//! end                        SHA-256 of all bytes before, and where the index is
//! ```
//!
//! Nothing is kept in memory: rows come in parts, files are streamed, and the index is read beside the members. Members are plain
//! files with plain names; whatever else a tar can hold is refused. The archive is not signed: who can write it can write another.

mod error;
mod event;
mod manifest;
mod name;
mod reader;
mod summed;
mod tail;
mod writer;

pub use error::Error;
pub use event::{Event, Restored, Taken};
pub use manifest::{Begin, FORMAT, Manifest, Partition, Problem, Sequence, Table};
pub use name::{Kind, part_name, store_name};
pub use reader::{Each, begin, check, visit};
pub use writer::Writer;
