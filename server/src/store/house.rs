//! Which house this is, and whether it was restored from a backup.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) id: Uuid,
    /// Set together, of one that was restored.
    pub(crate) restored_from: Option<Uuid>,
    pub(crate) backup_at: Option<DateTime<Utc>>,
    pub(crate) restored_at: Option<DateTime<Utc>>,
}

pub(crate) async fn read(conn: &mut Conn) -> DbResult<House> {
    sqlx::query_as!(House, "SELECT id, restored_from, backup_at, restored_at FROM house").fetch_one(conn).await
}

/// Whether it knows the worker from before it was restored.
pub(crate) async fn knew_before(conn: &mut Conn, worker: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM workers w CROSS JOIN house h WHERE w.id = $1 AND w.registered_at < h.restored_at)
               AS "knew!""#,
        worker
    )
    .fetch_one(conn)
    .await
}

/// Makes it another house than the one that a backup was taken of.
pub(crate) async fn become_another(conn: &mut Conn, backup_at: DateTime<Utc>) -> DbResult<House> {
    sqlx::query!(
        "UPDATE house SET restored_from = id, id = gen_random_uuid(), backup_at = $1, restored_at = clock_timestamp()",
        backup_at
    )
    .run_any(&mut *conn)
    .await?;
    read(conn).await
}
