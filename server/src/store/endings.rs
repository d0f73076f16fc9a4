//! What is told of experiments: those that have ended, those that wait, and the jobs that failed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult};

/// An experiment, by all that it still wants.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    pub(crate) ended_at: DateTime<Utc>,
}

/// The experiments that want one of these jobs, and of which nothing is open.
pub(crate) async fn ended(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Ending>> {
    sqlx::query_as!(
        Ending,
        r#"SELECT e.id, e.name, e.owner, e.created_at,
                  count(*) FILTER (WHERE j.state = 'succeeded') AS "succeeded!",
                  count(*) FILTER (WHERE j.state = 'failed') AS "failed!",
                  count(*) FILTER (WHERE j.state = 'cancelled') AS "cancelled!",
                  max(j.finished_at) AS "ended_at!"
           FROM experiments e
           JOIN experiment_jobs link ON link.experiment_id = e.id AND link.withdrawn_at IS NULL
           JOIN jobs j ON j.id = link.job_id
           WHERE e.id IN (SELECT experiment_id FROM experiment_jobs WHERE job_id = ANY($1) AND withdrawn_at IS NULL)
           GROUP BY e.id HAVING count(*) FILTER (WHERE j.finished_at IS NULL) = 0 ORDER BY e.id"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// The best figure of an experiment, by the first of these names that it has: job, name, value.
pub(crate) async fn best(conn: &mut Conn, experiment: Uuid, names: &[&str]) -> DbResult<Option<(String, String, f64)>> {
    let row = sqlx::query!(
        "SELECT link.name AS job, r.name, r.value
         FROM experiment_jobs link JOIN results r ON r.job_id = link.job_id
         WHERE link.experiment_id = $1 AND link.withdrawn_at IS NULL AND r.name = ANY($2::text[]) AND r.value = r.value
         ORDER BY array_position($2::text[], r.name), r.value DESC, link.position LIMIT 1",
        experiment,
        names as &[&str]
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.job, row.name, row.value)))
}

/// Jobs that failed: id, name in the experiment, reason.
pub(crate) async fn failures(conn: &mut Conn, experiment: Uuid, limit: i64) -> DbResult<Vec<(Uuid, String, String)>> {
    let rows = sqlx::query!(
        "SELECT j.id, link.name, j.reason FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id
         WHERE link.experiment_id = $1 AND link.withdrawn_at IS NULL AND j.state = 'failed'
         ORDER BY link.position LIMIT $2",
        experiment,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name, row.reason)).collect())
}

/// A job that failed, in one of the experiments that want it.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) experiment: Uuid,
    pub(crate) experiment_name: String,
    pub(crate) owner: String,
    pub(crate) ended_at: DateTime<Utc>,
}

/// Those of these jobs that failed, for each experiment that wants them.
pub(crate) async fn failed(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Failed>> {
    sqlx::query_as!(
        Failed,
        r#"SELECT j.id, link.name, j.reason, e.id AS experiment, e.name AS experiment_name, e.owner,
                  j.finished_at AS "ended_at!"
           FROM jobs j JOIN experiment_jobs link ON link.job_id = j.id AND link.withdrawn_at IS NULL
           JOIN experiments e ON e.id = link.experiment_id
           WHERE j.id = ANY($1) AND j.state = 'failed' ORDER BY e.id, link.position"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// An experiment of which jobs are queued and none runs.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) queued: i64,
    /// Of the first of them.
    pub(crate) reason: String,
    /// When something of it last moved.
    pub(crate) since: DateTime<Utc>,
}

/// Those in which nothing has moved since `before`; of these owners, or of all (`None`).
pub(crate) async fn waiting(
    conn: &mut Conn,
    owners: Option<&[String]>,
    before: DateTime<Utc>,
    limit: i64,
) -> DbResult<Vec<Waiting>> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT e.id, e.name, e.owner,
                  count(*) FILTER (WHERE j.state = 'queued') AS "queued!",
                  COALESCE((array_agg(j.reason ORDER BY j.queued_at, link.position) FILTER (WHERE j.state = 'queued'))[1], '')
                      AS "reason!",
                  max(GREATEST(j.queued_at, j.finished_at, last.ended_at)) AS "since!"
           FROM experiments e
           JOIN experiment_jobs link ON link.experiment_id = e.id AND link.withdrawn_at IS NULL
           JOIN jobs j ON j.id = link.job_id
           LEFT JOIN LATERAL (SELECT max(a.ended_at) AS ended_at FROM attempts a WHERE a.job_id = j.id) last
               ON j.state = 'queued' AND j.started_at IS NOT NULL
           WHERE ($1::text[] IS NULL OR e.owner = ANY($1))
             AND e.id IN (SELECT l.experiment_id FROM jobs q JOIN experiment_jobs l ON l.job_id = q.id
                          WHERE q.state = 'queued' AND l.withdrawn_at IS NULL AND q.queued_at <= $2)
           GROUP BY e.id
           HAVING count(*) FILTER (WHERE j.state = 'running') = 0 AND count(*) FILTER (WHERE j.state = 'queued') > 0
              AND max(GREATEST(j.queued_at, j.finished_at, last.ended_at)) <= $2
           ORDER BY e.id LIMIT $3"#,
        owners as Option<&[String]>,
        before,
        limit
    )
    .fetch_all(conn)
    .await
}
