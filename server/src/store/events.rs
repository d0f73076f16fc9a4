//! Events: what happened, in words. They are only appended.

use chrono::{DateTime, Utc};
use tandem_domain::telling::is_of_device;
use uuid::Uuid;

use super::{Conn, DbResult, happenings, rows::Statement};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    pub(crate) job: Option<Uuid>,
    pub(crate) attempt: Option<Uuid>,
    pub(crate) worker: Option<Uuid>,
}

impl About {
    pub(crate) fn job(job: Uuid) -> Self {
        Self { job: Some(job), ..Self::default() }
    }

    pub(crate) fn attempt(job: Uuid, attempt: Uuid) -> Self {
        Self { attempt: Some(attempt), ..Self::job(job) }
    }

    pub(crate) fn worker(worker: Uuid) -> Self {
        Self { worker: Some(worker), ..Self::default() }
    }
}

pub(crate) async fn append(conn: &mut Conn, about: About, kind: &str, message: &str) -> DbResult<()> {
    append_at(conn, about, kind, message, None).await
}

/// Appends an event; `at` is when it happened, if not now.
pub(crate) async fn append_at(
    conn: &mut Conn,
    about: About,
    kind: &str,
    message: &str,
    at: Option<DateTime<Utc>>,
) -> DbResult<()> {
    if let Some(worker) = about.worker.filter(|_| is_of_device(kind)) {
        happenings::worker_lost(&mut *conn, worker, message).await?;
    }
    sqlx::query!(
        "INSERT INTO events (job_id, attempt_id, worker_id, kind, message, at)
         VALUES ($1, $2, $3, $4, $5, COALESCE($6, clock_timestamp()))",
        about.job,
        about.attempt,
        about.worker,
        kind,
        message,
        at,
    )
    .run_any(conn)
    .await
}

/// Appends the same event for every live attempt that holds workers.
pub(crate) async fn append_to_live(conn: &mut Conn, kind: &str, message: &str) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO events (job_id, attempt_id, kind, message)
         SELECT job_id, id, $1, $2 FROM attempts WHERE ended_at IS NULL AND verifying_at IS NULL",
        kind,
        message,
    )
    .run_any(conn)
    .await
}

/// Appends the same event for those of these attempts in which the worker's rank was lost.
pub(crate) async fn append_to_lost(
    conn: &mut Conn,
    attempts: &[Uuid],
    worker: Uuid,
    kind: &str,
    message: &str,
) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO events (job_id, attempt_id, worker_id, kind, message)
         SELECT a.job_id, a.id, $2, $3, $4 FROM attempts a
         JOIN leases l ON l.attempt_id = a.id AND l.worker_id = $2 AND l.outcome = 'lost'
         WHERE a.id = ANY($1)",
        attempts,
        worker,
        kind,
        message,
    )
    .run_any(conn)
    .await
}

/// The most events of a job that are shown: they must fit into one answer.
const SHOWN_MAX: i64 = 2000;

#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) at: DateTime<Utc>,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) attempt: Option<i32>,
    pub(crate) worker: Option<String>,
}

/// The newest events of a job, in their order.
pub(crate) async fn of_job(conn: &mut Conn, job: Uuid) -> DbResult<Vec<EventRow>> {
    sqlx::query_as!(
        EventRow,
        r#"SELECT e.at, e.kind, e.message, a.number AS "attempt?", w.name AS "worker?"
           FROM (SELECT * FROM events WHERE job_id = $1 ORDER BY at DESC, id DESC LIMIT $2) e
           LEFT JOIN attempts a ON a.id = e.attempt_id LEFT JOIN workers w ON w.id = e.worker_id
           ORDER BY e.at, e.id"#,
        job,
        SHOWN_MAX,
    )
    .fetch_all(conn)
    .await
}
