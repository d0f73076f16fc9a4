//! Why a table could not be made or written.

use std::io;

/// A table that could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Columns of different lengths, two of one name, rows of other columns than those before.
    #[error("this is no table: {0}")]
    Shape(String),
    /// Where it is written to did not take it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The writer of Parquet refused it.
    #[error("cannot write Parquet: {0}")]
    Parquet(String),
}
