//! People: who may use this house beside the account that runs it.

use chrono::{DateTime, Utc};

use super::{
    Conn, DbResult, notify_targets,
    rows::{RowsChanged, Statement},
};

#[derive(Clone, Debug)]
pub(crate) struct PersonRow {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) login: Option<String>,
    pub(crate) disabled: bool,
    pub(crate) made_at: DateTime<Utc>,
    /// That are good now.
    pub(crate) tokens: i64,
}

/// By name; with a name, that one only.
pub(crate) async fn list(conn: &mut Conn, name: Option<&str>) -> DbResult<Vec<PersonRow>> {
    sqlx::query_as!(
        PersonRow,
        r#"SELECT p.name, p.role::text AS "role!", p.login, p.disabled_at IS NOT NULL AS "disabled!", p.made_at,
                  (SELECT count(*) FROM tokens t WHERE t.person = p.name AND t.revoked_at IS NULL
                   AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())) AS "tokens!"
           FROM people p WHERE $1::text IS NULL OR p.name = $1 ORDER BY p.name"#,
        name
    )
    .fetch_all(conn)
    .await
}

/// `false` if there is one of that name.
pub(crate) async fn insert(conn: &mut Conn, name: &str, role: &str) -> DbResult<bool> {
    sqlx::query!(
        "INSERT INTO people (name, role) VALUES ($1, $2::text::person_role) ON CONFLICT DO NOTHING",
        name,
        role
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// `false` if there is nobody of that name.
pub(crate) async fn set_role(conn: &mut Conn, name: &str, role: &str) -> DbResult<bool> {
    sqlx::query!("UPDATE people SET role = $2::text::person_role WHERE name = $1", name, role)
        .run(conn)
        .await
        .map(RowsChanged::is_one)
}

/// Whose an account of the box is.
pub(crate) async fn of_login(conn: &mut Conn, login: &str) -> DbResult<Option<String>> {
    sqlx::query_scalar!("SELECT name FROM people WHERE login = $1", login).fetch_optional(conn).await
}

/// `false` if there is nobody of that name.
pub(crate) async fn set_login(conn: &mut Conn, name: &str, login: Option<&str>) -> DbResult<bool> {
    sqlx::query!("UPDATE people SET login = $2 WHERE name = $1", name, login).run(conn).await.map(RowsChanged::is_one)
}

/// What the account submitted or put before it was linked becomes the person's.
pub(crate) async fn take_over(conn: &mut Conn, before: &str, now: &str) -> DbResult<()> {
    sqlx::query!("UPDATE experiments SET owner = $2 WHERE owner = $1", before, now).run_any(&mut *conn).await?;
    sqlx::query!("UPDATE datasets SET owner = $2 WHERE owner = $1", before, now).run_any(&mut *conn).await?;
    notify_targets::take_over(conn, before, now).await
}

/// `false` if there is nobody of that name. When it was disabled first is kept.
pub(crate) async fn set_disabled(conn: &mut Conn, name: &str, disabled: bool) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE people SET disabled_at = CASE WHEN $2 THEN COALESCE(disabled_at, clock_timestamp()) END WHERE name = $1",
        name,
        disabled
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}
