//! What happened and is still to be told: written with what happened, taken by the leader.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// A job that ended, ...
    pub(crate) job: Option<Uuid>,
    /// ... or a worker that was lost, by its name now, with what its event says.
    pub(crate) worker: Option<String>,
    pub(crate) message: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: i64,
}

/// A job has ended in this transaction. Costs one look where nobody wants to be told.
pub(super) async fn job_ended(conn: &mut Conn, job: Uuid) -> DbResult<()> {
    sqlx::query!("INSERT INTO happenings (job_id) SELECT $1 WHERE EXISTS (SELECT FROM notify_targets)", job)
        .run_any(conn)
        .await
}

/// An event of a worker says in this transaction that it is not to be had.
pub(super) async fn worker_lost(conn: &mut Conn, worker: Uuid, message: &str) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO happenings (worker_id, message) SELECT $1, $2 WHERE EXISTS (SELECT FROM notify_targets WHERE device_lost)",
        worker,
        message
    )
    .run_any(conn)
    .await
}

/// Takes the oldest out, in their order.
pub(crate) async fn take(conn: &mut Conn, limit: i64) -> DbResult<Vec<Happening>> {
    sqlx::query_as!(
        Happening,
        r#"WITH taken AS (
               DELETE FROM happenings WHERE id IN (SELECT id FROM happenings ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
               RETURNING id, job_id, worker_id, message, at
           )
           SELECT t.job_id AS "job?", w.name AS "worker?", t.message AS "message!", t.at AS "at!", t.id AS "id!"
           FROM taken t LEFT JOIN workers w ON w.id = t.worker_id ORDER BY t.id"#,
        limit
    )
    .fetch_all(conn)
    .await
}
