//! Questions that people have kept under a name.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Conn, DbResult, rows::Statement as _};

#[derive(Clone, Debug)]
pub(crate) struct SavedRow {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) question: Value,
    pub(crate) made_at: DateTime<Utc>,
}

/// Those of `owner`, of everybody without one, by their names.
pub(crate) async fn list(conn: &mut Conn, owner: Option<&str>, limit: i64) -> DbResult<Vec<SavedRow>> {
    sqlx::query_as!(
        SavedRow,
        "SELECT owner, name, question, made_at FROM saved_views WHERE $1::text IS NULL OR owner = $1
         ORDER BY owner, name LIMIT $2",
        owner,
        limit
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn one(conn: &mut Conn, owner: &str, name: &str) -> DbResult<Option<SavedRow>> {
    sqlx::query_as!(
        SavedRow,
        "SELECT owner, name, question, made_at FROM saved_views WHERE owner = $1 AND name = $2",
        owner,
        name
    )
    .fetch_optional(conn)
    .await
}

/// How many somebody has. Others who save for the same person wait until this transaction ends.
pub(crate) async fn count(conn: &mut Conn, owner: &str) -> DbResult<i64> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock(hashtext('saved view of ' || $1))::text AS "locked""#, owner)
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM saved_views WHERE owner = $1"#, owner).fetch_one(conn).await
}

/// Saves it, in place of one of that name.
pub(crate) async fn put(conn: &mut Conn, owner: &str, name: &str, question: &Value) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO saved_views (owner, name, question) VALUES ($1, $2, $3)
         ON CONFLICT (owner, name) DO UPDATE SET question = excluded.question, made_at = clock_timestamp()",
        owner,
        name,
        question
    )
    .run_any(conn)
    .await
}

pub(crate) async fn remove(conn: &mut Conn, owner: &str, name: &str) -> DbResult<Option<SavedRow>> {
    sqlx::query_as!(
        SavedRow,
        "DELETE FROM saved_views WHERE owner = $1 AND name = $2 RETURNING owner, name, question, made_at",
        owner,
        name
    )
    .fetch_optional(conn)
    .await
}
