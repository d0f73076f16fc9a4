//! Attempts whose ranks have succeeded, while what they made is read back.

use uuid::Uuid;

use super::{
    Conn, DbResult, integer,
    rows::{RowsChanged, Statement},
    small, unsigned,
};

/// Whether the attempt with this fence left artifacts.
pub(crate) async fn left_artifacts(conn: &mut Conn, job: Uuid, fence: i64) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM artifacts WHERE job_id = $1 AND fence = $2) AS "left!""#,
        job,
        fence
    )
    .fetch_one(conn)
    .await
}

/// Shows that the job is being verified, at no speed.
pub(crate) async fn show_phase(conn: &mut Conn, job: Uuid, fence: i64) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO progress (job_id, fence, phase) VALUES ($1, $2, 'verifying')
         ON CONFLICT (job_id) DO UPDATE SET fence = excluded.fence, phase = excluded.phase, images_per_second = 0,
             seconds_left = 0, updated_at = clock_timestamp()
         WHERE progress.fence <= excluded.fence",
        job,
        fence,
    )
    .run_any(conn)
    .await
}

/// The next attempts to read back, those that have waited longest first, without those that are known already.
pub(crate) async fn next(conn: &mut Conn, known: &[Uuid], limit: i64) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM attempts WHERE ended_at IS NULL AND state = 'verifying' AND id <> ALL($1)
         ORDER BY verifying_at, id LIMIT $2",
        known,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// An artifact as the rank that wrote it reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rank: u32,
    pub(crate) name: String,
    pub(crate) uri: String,
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
}

/// What an attempt left; nothing if it is not to be read back any more.
pub(crate) async fn written(conn: &mut Conn, attempt: Uuid) -> DbResult<Vec<Written>> {
    let rows = sqlx::query!(
        "SELECT f.rank, f.name, f.uri, f.sha256, f.bytes
         FROM attempts a JOIN artifacts f ON f.job_id = a.job_id AND f.fence = a.fence
         WHERE a.id = $1 AND a.state = 'verifying' ORDER BY f.kind, f.name",
        attempt
    )
    .fetch_all(conn)
    .await?;
    let written = rows.into_iter().map(|row| Written {
        rank: small(row.rank),
        name: row.name,
        uri: row.uri,
        sha256: row.sha256,
        bytes: unsigned(row.bytes),
    });
    Ok(written.collect())
}

/// Stores why a job is not verified yet; its id if that is news.
pub(crate) async fn set_reason(conn: &mut Conn, attempt: Uuid, reason: &str) -> DbResult<Option<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE jobs SET reason = $2 FROM attempts a
         WHERE a.id = $1 AND a.state = 'verifying' AND jobs.id = a.job_id AND jobs.state = 'running' AND jobs.reason <> $2
         RETURNING jobs.id",
        attempt,
        reason,
    )
    .fetch_optional(conn)
    .await
}

/// Takes back that a rank succeeded: what it wrote is not there, or not whole. `false` if it had not succeeded.
pub(crate) async fn blame(conn: &mut Conn, attempt: Uuid, fence: i64, rank: u32, cause: &str) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE leases SET released_at = clock_timestamp(), outcome = 'input_missing', cause = $4
         WHERE attempt_id = $1 AND fence = $2 AND rank = $3 AND outcome = 'succeeded'",
        attempt,
        fence,
        integer(rank),
        cause,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}
