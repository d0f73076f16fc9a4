//! What is to be removed from the store, and the long rows of jobs that are deleted.

use std::time::Duration;

use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

/// One thing to remove, for one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) id: i64,
    pub(crate) job: Uuid,
    /// In the store.
    pub(crate) path: String,
    /// A job that is deleted, and not one checkpoint.
    pub(crate) is_whole: bool,
    pub(crate) tries: i32,
    /// It was removed before; this is the second look.
    pub(crate) is_again: bool,
}

/// Takes what is due, those that have waited longest first, for `span`: then somebody else may. A rank that still writes is waited
/// for, and a backup that is being taken: its rows may name what was decided to go since.
pub(crate) async fn claim(conn: &mut Conn, span: Duration, limit: i64) -> DbResult<Vec<Removal>> {
    sqlx::query_as!(
        Removal,
        r#"UPDATE removals r SET due_at = clock_timestamp() + make_interval(secs => $1), tries = r.tries + 1
           WHERE r.id IN (
               SELECT due.id FROM removals due
               WHERE due.due_at <= clock_timestamp() AND NOT EXISTS (
                   SELECT FROM attempts a JOIN leases l ON l.attempt_id = a.id
                   WHERE a.job_id = due.job_id AND l.released_at IS NULL)
                 AND NOT EXISTS (SELECT FROM backups WHERE expires_at > clock_timestamp())
               ORDER BY due.due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING r.id, r.job_id AS job, r.path, r.is_whole, r.tries, r.removed_at IS NOT NULL AS "is_again!""#,
        span.as_secs_f64(),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// It is gone; it is looked for once more after `again`.
pub(crate) async fn removed(conn: &mut Conn, id: i64, again: Duration) -> DbResult<()> {
    sqlx::query!(
        "UPDATE removals SET removed_at = clock_timestamp(), due_at = clock_timestamp() + make_interval(secs => $2), tries = 0,
             bytes = 0, last_error = ''
         WHERE id = $1 AND removed_at IS NULL",
        id,
        again.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// Nothing more is to be done.
pub(crate) async fn done(conn: &mut Conn, id: i64) -> DbResult<()> {
    sqlx::query!("DELETE FROM removals WHERE id = $1", id).run_any(conn).await
}

/// It could not be removed, and is tried again after `span`.
pub(crate) async fn failed(conn: &mut Conn, id: i64, why: &str, span: Duration) -> DbResult<()> {
    sqlx::query!(
        "UPDATE removals SET last_error = $2, due_at = clock_timestamp() + make_interval(secs => $3) WHERE id = $1",
        id,
        why,
        span.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// Takes away so many rows of a deleted job's curves and logs; `false` if there are none left.
pub(crate) async fn purge(conn: &mut Conn, job: Uuid, limit: i64) -> DbResult<bool> {
    let points = sqlx::query!(
        "DELETE FROM metrics WHERE job_id = $1 AND ctid = ANY(ARRAY(SELECT ctid FROM metrics WHERE job_id = $1 LIMIT $2))",
        job,
        limit,
    )
    .run(&mut *conn)
    .await?;
    let chunks = sqlx::query!(
        "DELETE FROM metric_chunks WHERE ctid = ANY(ARRAY(SELECT ctid FROM metric_chunks WHERE job_id = $1 LIMIT $2))",
        job,
        limit,
    )
    .run(&mut *conn)
    .await?;
    let lines = sqlx::query!(
        "DELETE FROM logs WHERE ctid = ANY(ARRAY(
             SELECT logs.ctid FROM attempts a JOIN logs ON logs.attempt_id = a.id WHERE a.job_id = $1 LIMIT $2))",
        job,
        limit,
    )
    .run(&mut *conn)
    .await?;
    // What its rank had still to report when it was deleted.
    sqlx::query!("DELETE FROM curves WHERE job_id = $1", job).run_any(conn).await?;
    Ok(points.count() + chunks.count() + lines.count() > 0)
}

/// Bytes that are decided to go and have not been removed yet.
pub(crate) async fn pending(conn: &mut Conn) -> DbResult<i64> {
    sqlx::query_scalar!(
        r#"SELECT LEAST(COALESCE(sum(bytes), 0), 9223372036854775807)::bigint AS "bytes!" FROM removals WHERE removed_at IS NULL"#
    )
    .fetch_one(conn)
    .await
}
