//! What becomes of what was going on when a backup was taken: it has ended, at that moment.

use chrono::{DateTime, Utc};
use tandem_domain::state::AttemptState;
use uuid::Uuid;

use super::{
    Conn, DbResult,
    attempts::LockedAttempt,
    dump::quoted,
    rows::{RowsChanged, Statement},
    used,
};

/// Attempts that ran. One whose ranks have succeeded needs no worker any more, and is read back as ever.
pub(crate) async fn running_attempts(conn: &mut Conn) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!("SELECT id FROM attempts WHERE ended_at IS NULL AND verifying_at IS NULL ORDER BY fence")
        .fetch_all(conn)
        .await
}

/// No worker has a lease any more. A rank that ran was stopped, by nobody's fault.
pub(crate) async fn end_leases(conn: &mut Conn, at: DateTime<Utc>, cause: &str) -> DbResult<()> {
    sqlx::query!(
        "UPDATE leases SET released_at = $1, cause = $2,
             outcome = (CASE WHEN a.ended_at IS NULL THEN 'preempted' ELSE 'cancelled' END)::rank_outcome
         FROM attempts a WHERE a.id = leases.attempt_id AND leases.released_at IS NULL",
        at,
        cause,
    )
    .run_any(conn)
    .await
}

/// Ends an attempt that ran, as if it had been asked to stop; `false` if it has ended.
pub(crate) async fn end_attempt(
    conn: &mut Conn,
    attempt: &LockedAttempt,
    at: DateTime<Utc>,
    cause: &str,
) -> DbResult<bool> {
    let ended = sqlx::query!(
        "UPDATE attempts SET state = $3::text::attempt_state, cause = $4, ended_at = GREATEST($5, assigned_at)
         WHERE id = $1 AND fence = $2 AND ended_at IS NULL AND verifying_at IS NULL",
        attempt.id,
        attempt.fence,
        AttemptState::Preempted.label(),
        cause,
        at,
    )
    .run(&mut *conn)
    .await?;
    if ended.is_one() {
        used::charge(conn, attempt.id).await?;
    }
    Ok(ended.is_one())
}

/// Workers are gone, uploads that were not whole are forgotten, and messages that may have been sent are not sent again.
pub(crate) async fn forget_the_moment(conn: &mut Conn) -> DbResult<()> {
    sqlx::query!(
        "UPDATE workers SET state = 'gone', session_id = NULL WHERE state <> 'gone' OR session_id IS NOT NULL"
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM datasets WHERE stored_at IS NULL").run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM happenings").run_any(&mut *conn).await?;
    sqlx::query!(
        "UPDATE tells SET state = 'given up', ended_at = clock_timestamp(),
             last_error = 'the house was restored from a backup, and may have sent it before'
         WHERE state = 'pending'"
    )
    .run_any(&mut *conn)
    .await?;
    // Its next holder is another one, in a later term.
    sqlx::query!("UPDATE leader SET term = term + 1, holder = gen_random_uuid(), expires_at = clock_timestamp()")
        .run_any(conn)
        .await
}

/// Revokes every token that is good, with the moment of the restoration, which says why; how many. Of workers always: each is bound
/// to a worker that is refused. The others' only if `all`.
pub(crate) async fn revoke_tokens(conn: &mut Conn, all: bool) -> DbResult<u64> {
    sqlx::query!(
        "UPDATE tokens SET revoked_at = (SELECT restored_at FROM house)
         WHERE revoked_at IS NULL AND ($1 OR worker_id IS NOT NULL)
           AND (expires_at IS NULL OR expires_at > clock_timestamp())",
        all
    )
    .run(conn)
    .await
    .map(RowsChanged::count)
}

/// The greatest fence in any row, and of the sequence.
pub(crate) async fn highest_fence(conn: &mut Conn) -> DbResult<i64> {
    // Not `query!`: of the catalogue, and the same for all tables to come.
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND a.attnum > 0 AND NOT a.attisdropped AND a.attname LIKE '%fence' AND a.atttypid = 'bigint'::regtype",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut highest: i64 = sqlx::query_scalar("SELECT last_value FROM fence").fetch_one(&mut *conn).await?;
    for (table, column) in columns {
        let statement = format!("SELECT max({}) FROM {}", quoted(&column), quoted(&table));
        let found: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut *conn).await?;
        highest = highest.max(found.unwrap_or(0));
    }
    Ok(highest)
}

/// The next attempt gets a greater one.
pub(crate) async fn lift_fence(conn: &mut Conn, to: i64) -> DbResult<()> {
    let _: i64 = sqlx::query_scalar("SELECT setval('fence', $1, true)").bind(to).fetch_one(conn).await?;
    Ok(())
}
