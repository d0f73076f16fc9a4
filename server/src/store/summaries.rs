//! Experiments at a glance: how far each is, and its best figure.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SummaryRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) blocked: i64,
    pub(crate) queued: i64,
    pub(crate) running: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    /// Name and value of the best figure, and the job that has it.
    pub(crate) best_name: Option<String>,
    pub(crate) best: Option<f64>,
    pub(crate) best_job: Option<String>,
}

/// The newest first; only those of `owner`, unless that is empty. `figures` are names of results of which the largest is best, and
/// the first that an experiment has is shown.
pub(crate) async fn newest(conn: &mut Conn, owner: &str, figures: &[String], limit: i64) -> DbResult<Vec<SummaryRow>> {
    sqlx::query_as!(
        SummaryRow,
        r#"SELECT e.id AS "id!", e.name AS "name!", e.owner AS "owner!", e.created_at AS "created_at!",
                  counted.blocked AS "blocked!", counted.queued AS "queued!", counted.running AS "running!",
                  counted.succeeded AS "succeeded!", counted.failed AS "failed!", counted.cancelled AS "cancelled!",
                  best.name AS "best_name?", best.value AS "best?", best.job AS "best_job?"
           FROM (
               SELECT id, name, owner, created_at FROM experiments WHERE $1 = '' OR owner = $1
               ORDER BY created_at DESC, id LIMIT $3
           ) e
           CROSS JOIN LATERAL (
               SELECT count(*) FILTER (WHERE j.state = 'blocked') AS blocked,
                      count(*) FILTER (WHERE j.state = 'queued') AS queued,
                      count(*) FILTER (WHERE j.state = 'running') AS running,
                      count(*) FILTER (WHERE j.state = 'succeeded') AS succeeded,
                      count(*) FILTER (WHERE j.state = 'failed') AS failed,
                      count(*) FILTER (WHERE j.state = 'cancelled') AS cancelled
               FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id WHERE link.experiment_id = e.id
           ) counted
           LEFT JOIN LATERAL (
               SELECT r.name, r.value, link.name AS job
               FROM experiment_jobs link JOIN results r ON r.job_id = link.job_id
               WHERE link.experiment_id = e.id AND r.name = ANY($2::text[]) AND r.value < 'NaN'
               ORDER BY array_position($2::text[], r.name), r.value DESC, link.position LIMIT 1
           ) best ON true
           ORDER BY e.created_at DESC, e.id"#,
        owner,
        figures,
        limit,
    )
    .fetch_all(conn)
    .await
}
