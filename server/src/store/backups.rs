//! Backups that are being taken: while one is, nobody removes files that rows name.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
};

/// From now on files are kept, for `keep` at first.
pub(crate) async fn begin(conn: &mut Conn, id: Uuid, who: &str, keep: Duration) -> DbResult<()> {
    sqlx::query!("DELETE FROM backups WHERE expires_at < clock_timestamp()").run_any(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO backups (id, who, expires_at) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))",
        id,
        who,
        keep.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// Goes on, for `keep` more but never for more than `longest` from its beginning; `false` if it has expired: then files may be gone.
pub(crate) async fn renew(conn: &mut Conn, id: Uuid, keep: Duration, longest: Duration) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE backups SET expires_at = LEAST(clock_timestamp() + make_interval(secs => $2),
                                               began_at + make_interval(secs => $3))
         WHERE id = $1 AND expires_at > clock_timestamp()",
        id,
        keep.as_secs_f64(),
        longest.as_secs_f64(),
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

pub(crate) async fn end(conn: &mut Conn, id: Uuid) -> DbResult<()> {
    sqlx::query!("DELETE FROM backups WHERE id = $1", id).run_any(conn).await
}

/// Whether one is being taken: whoever removes files that rows name asks this first, and waits.
pub(crate) async fn is_taken(conn: &mut Conn) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM backups WHERE expires_at > clock_timestamp()) AS "taken!""#)
        .fetch_one(conn)
        .await
}
