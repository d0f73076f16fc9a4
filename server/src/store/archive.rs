//! Experiments that are out of the lists, and the jobs that are with them.

use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

/// Takes experiments out of the lists, or back; returns those that were changed. One of which a job may still run stays.
pub(crate) async fn set(conn: &mut Conn, experiments: &[Uuid], archived: bool) -> DbResult<Vec<Uuid>> {
    let changed = sqlx::query_scalar!(
        "UPDATE experiments e SET archived_at = CASE WHEN $2 THEN clock_timestamp() END
         WHERE e.id = ANY($1) AND e.deleted_at IS NULL AND (e.archived_at IS NULL) = $2
           AND NOT ($2 AND EXISTS (SELECT FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id
                                   WHERE link.experiment_id = e.id AND j.finished_at IS NULL))
         RETURNING e.id",
        experiments,
        archived,
    )
    .fetch_all(&mut *conn)
    .await?;
    let jobs =
        sqlx::query_scalar!("SELECT DISTINCT job_id FROM experiment_jobs WHERE experiment_id = ANY($1)", &changed)
            .fetch_all(&mut *conn)
            .await?;
    settle(conn, &jobs).await?;
    Ok(changed)
}

/// Hides jobs whose experiments are all archived, and shows those of which one is not, as part of one that is not. A job that may
/// still run is shown.
pub(crate) async fn settle(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    hand_over(conn, jobs).await?;
    sqlx::query!(
        "UPDATE jobs j SET hidden = NOT j.hidden
         WHERE j.id = ANY($1) AND j.deleted_at IS NULL
           AND j.hidden IS DISTINCT FROM (j.finished_at IS NOT NULL AND NOT EXISTS (
               SELECT FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
               WHERE link.job_id = j.id AND e.archived_at IS NULL))",
        jobs
    )
    .run_any(conn)
    .await
}

/// Makes jobs whose experiment has left them, or is archived where another is not, part of the first of the others that have them.
/// Whose devices it takes is another only if the first has left it. Its receipt goes on saying who brought it.
async fn hand_over(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    sqlx::query!(
        "WITH heirs AS (
             SELECT DISTINCT ON (link.job_id) link.job_id, link.experiment_id, link.name, link.position, e.owner, e.created_at,
                    own.job_id IS NULL AS is_left
             FROM jobs j
             LEFT JOIN experiment_jobs own
                 ON own.experiment_id = j.experiment_id AND own.name = j.name AND own.job_id = j.id
             LEFT JOIN experiments was ON was.id = own.experiment_id
             JOIN experiment_jobs link ON link.job_id = j.id JOIN experiments e ON e.id = link.experiment_id
             WHERE j.id = ANY($1) AND (own.job_id IS NULL OR was.archived_at IS NOT NULL AND e.archived_at IS NULL)
             ORDER BY link.job_id, e.archived_at IS NOT NULL, link.withdrawn_at IS NOT NULL, e.created_at, e.id, link.position
         ), inherited AS (
             UPDATE experiment_jobs link SET reused = false FROM heirs
             WHERE link.experiment_id = heirs.experiment_id AND link.name = heirs.name
         ), shared AS (
             UPDATE experiment_jobs link SET reused = true FROM heirs JOIN jobs j ON j.id = heirs.job_id
             WHERE link.experiment_id = j.experiment_id AND link.name = j.name AND link.job_id = j.id
         )
         UPDATE jobs SET brought_by = COALESCE(brought_by, jobs.experiment_id), brought_as = COALESCE(brought_as, jobs.name),
             experiment_id = heirs.experiment_id, name = heirs.name, position = heirs.position,
             owner = CASE WHEN heirs.is_left THEN heirs.owner ELSE jobs.owner END, submitted_at = heirs.created_at
         FROM heirs WHERE jobs.id = heirs.job_id",
        jobs
    )
    .run_any(conn)
    .await
}

/// The first of these experiments of which a job has not ended.
pub(crate) async fn first_live(conn: &mut Conn, experiments: &[Uuid]) -> DbResult<Option<String>> {
    sqlx::query_scalar!(
        "SELECT e.name FROM experiments e JOIN experiment_jobs link ON link.experiment_id = e.id
         JOIN jobs j ON j.id = link.job_id
         WHERE e.id = ANY($1) AND j.finished_at IS NULL ORDER BY e.created_at, e.id LIMIT 1",
        experiments
    )
    .fetch_optional(conn)
    .await
}

/// Whether an experiment is archived.
pub(crate) async fn is_archived(conn: &mut Conn, experiment: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT archived_at IS NOT NULL AS "is_archived!" FROM experiments WHERE id = $1"#,
        experiment
    )
    .fetch_one(conn)
    .await
}
