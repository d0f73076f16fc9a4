//! The leader row: its holder schedules, for as long as it renews it.

use tandem_domain::timing::timing;
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

/// Takes the row if it is free and renews it if it is ours; returns the term, or `None` while another holds it.
///
/// The term grows whenever the row had expired, even for the same coordinator: it may have missed as much as others.
pub(crate) async fn hold(conn: &mut Conn, holder: Uuid, name: &str) -> DbResult<Option<i64>> {
    sqlx::query_scalar!(
        "INSERT INTO leader (holder, name, term, expires_at)
         VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
         ON CONFLICT (only_row) DO UPDATE SET
             holder = excluded.holder,
             name = excluded.name,
             expires_at = excluded.expires_at,
             term = CASE WHEN leader.holder = excluded.holder AND leader.expires_at > clock_timestamp()
                    THEN leader.term ELSE leader.term + 1 END
         WHERE leader.holder = excluded.holder OR leader.expires_at <= clock_timestamp()
         RETURNING term",
        holder,
        name,
        timing().leader_lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await
}

/// Gives up the row, so that another can take over at once.
pub(crate) async fn resign(conn: &mut Conn, holder: Uuid) -> DbResult<()> {
    sqlx::query!("UPDATE leader SET expires_at = clock_timestamp() WHERE holder = $1", holder).run_any(conn).await
}

/// Whether the term is current. The row cannot change until the transaction ends.
pub(crate) async fn is_current(conn: &mut Conn, term: i64) -> DbResult<bool> {
    let held = sqlx::query_scalar!(
        "SELECT term FROM leader WHERE term = $1 AND expires_at > clock_timestamp() FOR SHARE",
        term
    )
    .fetch_optional(conn)
    .await?;
    Ok(held.is_some())
}

/// The term of this holder, if it has the row.
pub(crate) async fn term_of(conn: &mut Conn, holder: Uuid) -> DbResult<Option<i64>> {
    sqlx::query_scalar!("SELECT term FROM leader WHERE holder = $1 AND expires_at > clock_timestamp()", holder)
        .fetch_optional(conn)
        .await
}

/// Whether this coordinator leads.
pub(crate) async fn is_held_by(conn: &mut Conn, holder: Uuid) -> DbResult<bool> {
    let held =
        sqlx::query_scalar!("SELECT term FROM leader WHERE holder = $1 AND expires_at > clock_timestamp()", holder);
    Ok(held.fetch_optional(conn).await?.is_some())
}

/// Name of the leader; `None` while there is none.
pub(crate) async fn name(conn: &mut Conn) -> DbResult<Option<String>> {
    sqlx::query_scalar!("SELECT name FROM leader WHERE expires_at > clock_timestamp()").fetch_optional(conn).await
}

/// Seconds since the last leader renewed its row, if that has expired; `None` if there is a leader, or never was.
pub(crate) async fn absence(conn: &mut Conn) -> DbResult<Option<f64>> {
    sqlx::query_scalar!(
        r#"SELECT EXTRACT(epoch FROM clock_timestamp() - expires_at)::float8 + $1 AS "seconds!"
           FROM leader WHERE expires_at <= clock_timestamp()"#,
        timing().leader_lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await
}
