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
    pub(crate) tags: Vec<String>,
    pub(crate) is_archived: bool,
}

/// Which experiments to list; an empty text is any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chosen<'a> {
    pub(crate) owner: &'a str,
    /// Only those that have it, archived or not.
    pub(crate) tag: &'a str,
    /// Only those that are archived, which are left out otherwise.
    pub(crate) archived: bool,
}

/// Tags of one word that are looked at, the newest first.
const TAGGED: i64 = 2000;

/// The newest first. `figures` are names of results of which the largest is best, and
/// the first that an experiment has is shown.
pub(crate) async fn newest(
    conn: &mut Conn,
    chosen: Chosen<'_>,
    figures: &[String],
    limit: i64,
) -> DbResult<Vec<SummaryRow>> {
    let ids = pick(&mut *conn, chosen, limit).await?;
    sqlx::query_as!(
        SummaryRow,
        r#"SELECT e.id AS "id!", e.name AS "name!", e.owner AS "owner!", e.created_at AS "created_at!",
                  counted.blocked AS "blocked!", counted.queued AS "queued!", counted.running AS "running!",
                  counted.succeeded AS "succeeded!", counted.failed AS "failed!", counted.cancelled AS "cancelled!",
                  best.name AS "best_name?", best.value AS "best?", best.job AS "best_job?",
                  ARRAY(SELECT t.word FROM tags t WHERE t.target = e.id ORDER BY t.word) AS "tags!",
                  e.archived_at IS NOT NULL AS "is_archived!"
           FROM UNNEST($1::uuid[]) WITH ORDINALITY AS picked (id, place) JOIN experiments e ON e.id = picked.id
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
           ORDER BY picked.place"#,
        &ids,
        figures,
    )
    .fetch_all(conn)
    .await
}

/// The ids first: what is read of each is planned for as many as there are, and not for what a choice might be.
async fn pick(conn: &mut Conn, chosen: Chosen<'_>, limit: i64) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM (
               -- Of these one is read, each by an index of its own.
               (SELECT id, created_at FROM experiments
                WHERE $3 = '' AND NOT $4 AND $1 = '' AND archived_at IS NULL AND deleted_at IS NULL
                ORDER BY created_at DESC, id LIMIT $2)
               UNION ALL
               (SELECT id, created_at FROM experiments
                WHERE $3 = '' AND NOT $4 AND $1 <> '' AND owner = $1 AND archived_at IS NULL AND deleted_at IS NULL
                ORDER BY created_at DESC, id LIMIT $2)
               UNION ALL
               (SELECT id, created_at FROM experiments
                WHERE $3 = '' AND $4 AND $1 = '' AND archived_at IS NOT NULL AND deleted_at IS NULL
                ORDER BY created_at DESC, id LIMIT $2)
               UNION ALL
               (SELECT id, created_at FROM experiments
                WHERE $3 = '' AND $4 AND $1 <> '' AND owner = $1 AND archived_at IS NOT NULL AND deleted_at IS NULL
                ORDER BY created_at DESC, id LIMIT $2)
               UNION ALL
               (SELECT id, created_at
                FROM (SELECT target FROM tags WHERE $3 <> '' AND word = $3 AND NOT is_job ORDER BY at DESC LIMIT $5) found
                JOIN experiments ON id = found.target
                WHERE deleted_at IS NULL AND ($1 = '' OR owner = $1) AND (NOT $4 OR archived_at IS NOT NULL)
                ORDER BY created_at DESC, id LIMIT $2)
           ) e ORDER BY created_at DESC, id"#,
        chosen.owner,
        limit,
        chosen.tag,
        chosen.archived,
        TAGGED,
    )
    .fetch_all(conn)
    .await
}
