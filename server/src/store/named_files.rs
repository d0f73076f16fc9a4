//! Every file of the store that a row names, for a backup.

use std::io;

use serde::{Deserialize, Serialize};
use tokio_stream::StreamExt as _;

use super::{Conn, DbResult, unsigned};

/// Checkpoints of a job that nobody removes while it may need them; of older ones rows stay, as their sums prove what was computed.
const KEPT: i64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Artifact,
    /// A file, or a folder with a manifest that `sha256` is of.
    Checkpoint,
    /// One of a step that is not among the newest: it may have been removed since.
    OlderCheckpoint,
    Dataset,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedFile {
    pub(crate) kind: Kind,
    /// As the row has it; of a data set its name.
    pub(crate) path: String,
    pub(crate) sha256: String,
    /// Of all files of a checkpoint.
    pub(crate) bytes: u64,
}

/// Calls `each` for all of them, in no order. They are not kept in memory.
pub(crate) async fn each(conn: &mut Conn, mut each: impl FnMut(NamedFile) -> io::Result<()>) -> DbResult<()> {
    let named = |kind, path, sha256, bytes| NamedFile { kind, path, sha256, bytes: unsigned(bytes) };
    let mut rows = sqlx::query!("SELECT uri, sha256, bytes FROM artifacts").fetch(&mut *conn);
    while let Some(row) = rows.try_next().await? {
        each(named(Kind::Artifact, row.uri, row.sha256, row.bytes))?;
    }
    drop(rows);
    let mut rows = sqlx::query!(
        r#"SELECT path, sha256, bytes, row_number() OVER (PARTITION BY job_id ORDER BY step DESC) AS "age!" FROM checkpoints"#
    )
    .fetch(&mut *conn);
    while let Some(row) = rows.try_next().await? {
        let kind = if row.age <= KEPT { Kind::Checkpoint } else { Kind::OlderCheckpoint };
        each(named(kind, row.path, row.sha256, row.bytes))?;
    }
    drop(rows);
    let mut rows = sqlx::query!("SELECT name, sha256, bytes FROM datasets WHERE stored_at IS NOT NULL").fetch(conn);
    while let Some(row) = rows.try_next().await? {
        each(named(Kind::Dataset, row.name, row.sha256, row.bytes))?;
    }
    Ok(())
}
