//! The policies that were ever set; the newest is in force.

use chrono::{DateTime, Utc};
use tandem_domain::policy::HousePolicy;

use super::{Conn, DbResult};

#[derive(Clone, Debug)]
pub(crate) struct PolicyRow {
    pub(crate) version: i64,
    pub(crate) toml: String,
    pub(crate) who: String,
    pub(crate) set_at: DateTime<Utc>,
}

/// The newest; `None` in a house that has set none.
pub(crate) async fn newest(conn: &mut Conn) -> DbResult<Option<PolicyRow>> {
    sqlx::query_as!(PolicyRow, "SELECT version, toml, who, set_at FROM policies ORDER BY version DESC LIMIT 1")
        .fetch_optional(conn)
        .await
}

/// The version in force, 0 in a house that has set none, and what it says.
pub(crate) async fn current(conn: &mut Conn) -> DbResult<(i64, HousePolicy)> {
    let Some(row) = newest(conn).await? else { return Ok((0, HousePolicy::default())) };
    // A newer version of this program may have set it: it is better to share by what everybody knows than not at all.
    let policy = HousePolicy::parse(&row.toml).unwrap_or_else(|reason| {
        tracing::error!(
            version = row.version,
            reason,
            "cannot read the policy in force; that of a house without one is used"
        );
        HousePolicy::default()
    });
    Ok((row.version, policy))
}

pub(crate) async fn get(conn: &mut Conn, version: i64) -> DbResult<Option<PolicyRow>> {
    sqlx::query_as!(PolicyRow, "SELECT version, toml, who, set_at FROM policies WHERE version = $1", version)
        .fetch_optional(conn)
        .await
}

/// Newest first.
pub(crate) async fn history(conn: &mut Conn, limit: i64) -> DbResult<Vec<PolicyRow>> {
    sqlx::query_as!(PolicyRow, "SELECT version, toml, who, set_at FROM policies ORDER BY version DESC LIMIT $1", limit)
        .fetch_all(conn)
        .await
}

/// Puts a policy in force. Others who do wait until this transaction ends.
pub(crate) async fn insert(conn: &mut Conn, toml: &str, who: &str) -> DbResult<PolicyRow> {
    sqlx::query_as!(
        PolicyRow,
        "INSERT INTO policies (toml, who) VALUES ($1, $2) RETURNING version, toml, who, set_at",
        toml,
        who
    )
    .fetch_one(conn)
    .await
}

/// The version in force, 0 for none; nobody changes it until this transaction ends.
pub(crate) async fn lock_version(conn: &mut Conn) -> DbResult<i64> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock(hashtext('policies'))::text AS "locked""#)
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query_scalar!(r#"SELECT COALESCE(max(version), 0) AS "version!" FROM policies"#).fetch_one(conn).await
}
