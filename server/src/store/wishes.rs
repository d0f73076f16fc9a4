//! What people want of jobs beside that they run: paused for now, at a priority of their own, or wanted again.

use uuid::Uuid;

use super::{Conn, DbResult, column, rows::Statement};

/// One job of one experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) experiment: Uuid,
    pub(crate) name: String,
    pub(crate) job: Uuid,
}

/// All that an experiment has asked for.
pub(crate) async fn of_experiment(conn: &mut Conn, experiment: Uuid) -> DbResult<Vec<Wanted>> {
    sqlx::query_as!(
        Wanted,
        "SELECT experiment_id AS experiment, name, job_id AS job FROM experiment_jobs WHERE experiment_id = $1 ORDER BY position",
        experiment
    )
    .fetch_all(conn)
    .await
}

/// What experiments have asked for of some jobs: those of `owner`, or all.
pub(crate) async fn of_jobs(conn: &mut Conn, jobs: &[Uuid], owner: Option<&str>) -> DbResult<Vec<Wanted>> {
    sqlx::query_as!(
        Wanted,
        "SELECT link.experiment_id AS experiment, link.name, link.job_id AS job
         FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
         WHERE link.job_id = ANY($1) AND ($2::text IS NULL OR e.owner = $2) ORDER BY e.created_at, e.id, link.position",
        jobs,
        owner,
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn set_paused(conn: &mut Conn, wanted: &[Wanted], paused: bool) -> DbResult<()> {
    sqlx::query!(
        "UPDATE experiment_jobs link SET paused_at = CASE WHEN $3 THEN clock_timestamp() END
         FROM UNNEST($1::uuid[], $2::text[]) AS wanted (experiment_id, name)
         WHERE link.experiment_id = wanted.experiment_id AND link.name = wanted.name
           AND link.withdrawn_at IS NULL AND (link.paused_at IS NULL) = $3",
        &column(wanted, |one| one.experiment),
        &column(wanted, |one| one.name.clone()),
        paused,
    )
    .run_any(conn)
    .await
}

pub(crate) async fn set_priority(conn: &mut Conn, wanted: &[Wanted], priority: i32) -> DbResult<()> {
    sqlx::query!(
        "UPDATE experiment_jobs link SET priority = $3
         FROM UNNEST($1::uuid[], $2::text[]) AS wanted (experiment_id, name)
         WHERE link.experiment_id = wanted.experiment_id AND link.name = wanted.name",
        &column(wanted, |one| one.experiment),
        &column(wanted, |one| one.name.clone()),
        priority,
    )
    .run_any(conn)
    .await
}

/// What was withdrawn or paused is wanted again.
pub(crate) async fn set_wanted_again(conn: &mut Conn, wanted: &[Wanted]) -> DbResult<()> {
    sqlx::query!(
        "UPDATE experiment_jobs link SET withdrawn_at = NULL, paused_at = NULL
         FROM UNNEST($1::uuid[], $2::text[]) AS wanted (experiment_id, name)
         WHERE link.experiment_id = wanted.experiment_id AND link.name = wanted.name",
        &column(wanted, |one| one.experiment),
        &column(wanted, |one| one.name.clone()),
    )
    .run_any(conn)
    .await
}

/// Those of these jobs that are wanted, and paused by all that want them, with the names of these people.
pub(crate) async fn paused_by_all(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<(Uuid, String)>> {
    // Most are not, and that is known without a look at whose they are.
    let paused = sqlx::query_scalar!(
        "SELECT job_id FROM experiment_jobs WHERE job_id = ANY($1) AND withdrawn_at IS NULL
         GROUP BY job_id HAVING bool_and(paused_at IS NOT NULL)",
        jobs
    )
    .fetch_all(&mut *conn)
    .await?;
    if paused.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"SELECT link.job_id, string_agg(DISTINCT e.owner, ', ' ORDER BY e.owner) AS "by!"
           FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
           WHERE link.job_id = ANY($1) AND link.withdrawn_at IS NULL
           GROUP BY link.job_id ORDER BY link.job_id"#,
        &paused
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id, row.by)).collect())
}

/// Gives jobs the highest priority among those that want them, and as owner who asked first. The jobs must be locked.
pub(crate) async fn settle(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    sqlx::query!(
        "UPDATE jobs SET priority = wanted.priority, owner = wanted.owner
         FROM (SELECT link.job_id, max(COALESCE(link.priority, e.priority)) AS priority,
                      (array_agg(e.owner ORDER BY e.created_at, e.id))[1] AS owner
               FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
               WHERE link.job_id = ANY($1) AND link.withdrawn_at IS NULL GROUP BY link.job_id) wanted
         WHERE jobs.id = wanted.job_id AND jobs.finished_at IS NULL
           AND (jobs.priority, jobs.owner) IS DISTINCT FROM (wanted.priority, wanted.owner)",
        jobs
    )
    .run_any(conn)
    .await
}
