//! Tables for other programs: typed columns go in; CSV, JSON, Markdown, LaTeX or Parquet comes out, row by row, so that a table
//! may be longer than what fits into memory.
//!
//! ```
//! use tandem_tables::{Cells, Column, Format, Table, bytes};
//!
//! let table = Table::new(vec![
//!     Column::new("step", Cells::Int(vec![Some(0), Some(10)])),
//!     Column::new("loss", Cells::Float(vec![Some(5.5), None])),
//! ])?;
//! assert_eq!(bytes(&table, Format::Csv)?, b"step,loss\n0,5.5\n10,\n");
//! # Ok::<(), tandem_tables::Error>(())
//! ```
//!
//! | | text | integer | number | yes or no | time | missing |
//! |---|---|---|---|---|---|---|
//! | CSV | quoted if need be | `7` | `0.1`, `NaN`, `inf` | `true` | RFC 3339, UTC | empty |
//! | JSON | string | `7` | `0.1`; `null` where it is not finite | `true` | string, RFC 3339 | `null` |
//! | Markdown, LaTeX | escaped | `7` | `0.1` | `true` | RFC 3339 | empty |
//! | Parquet | UTF8 | INT64 | DOUBLE | BOOLEAN | microseconds, UTC | null |

mod error;

mod column;
mod format;
mod text;

mod parquet;

mod writer;

#[cfg(feature = "wire")]
pub mod wire;

pub use column::{Cells, Column, Heading, Kind, Table};
pub use error::Error;
pub use format::Format;
pub use writer::{Writer, bytes};
