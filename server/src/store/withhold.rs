//! Workers that get nothing new because somebody says so: held for a person, or drained.

use uuid::Uuid;

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
    unsigned,
};

/// Gives a worker's device to `who` for so long; `false` if somebody else has it. Who has it already, and gives no reason, has the one
/// that stands there.
pub(crate) async fn hold(conn: &mut Conn, worker: Uuid, who: &str, seconds: f64, reason: &str) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET held_until = clock_timestamp() + make_interval(secs => $3), held_by = $2,
             hold_reason = CASE WHEN $4 = '' AND held_by = $2 AND held_until > clock_timestamp() THEN hold_reason ELSE $4 END
         WHERE id = $1 AND state <> 'gone' AND (held_until IS NULL OR held_until <= clock_timestamp() OR held_by = $2)",
        worker,
        who,
        seconds,
        reason,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// `false` if nobody had it.
pub(crate) async fn unhold(conn: &mut Conn, worker: Uuid) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET held_until = NULL, held_by = '', hold_reason = '' WHERE id = $1 AND held_until > clock_timestamp()",
        worker
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// How many devices `who` holds beside this one. Others who ask wait until this transaction ends.
pub(crate) async fn held_beside(conn: &mut Conn, who: &str, worker: Uuid) -> DbResult<u64> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock(hashtext('hold ' || $1))::text AS "locked""#, who)
        .fetch_one(&mut *conn)
        .await?;
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM workers WHERE held_by = $1 AND held_until > clock_timestamp() AND id <> $2"#,
        who,
        worker,
    )
    .fetch_one(conn)
    .await?;
    Ok(unsigned(count))
}

/// `false` if it is drained already.
pub(crate) async fn drain(conn: &mut Conn, worker: Uuid, who: &str, reason: &str) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET drained_at = clock_timestamp(), drained_by = $2, drain_reason = $3
         WHERE id = $1 AND drained_at IS NULL",
        worker,
        who,
        reason,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// `false` if it is not drained.
pub(crate) async fn undrain(conn: &mut Conn, worker: Uuid) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET drained_at = NULL, drained_by = '', drain_reason = '' WHERE id = $1 AND drained_at IS NOT NULL",
        worker
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// The job that a worker, or another on its device, runs: its id, its attempt, and `experiment/job`.
pub(crate) async fn running_on(conn: &mut Conn, worker: Uuid) -> DbResult<Option<(Uuid, Uuid, String)>> {
    let row = sqlx::query!(
        r#"SELECT j.id AS job, a.id AS attempt, e.name || '/' || j.name AS "name!"
           FROM workers w
           JOIN leases l ON l.released_at IS NULL
               AND l.device = CASE WHEN w.device_uuid = '' THEN w.id::text ELSE w.device_uuid END
           JOIN attempts a ON a.id = l.attempt_id JOIN jobs j ON j.id = a.job_id
           JOIN experiments e ON e.id = j.experiment_id
           WHERE w.id = $1 LIMIT 1"#,
        worker
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.job, row.attempt, row.name)))
}
