//! What goes by age: what there is to be judged, a bounded part at a time, and what is done with it. Each change asks again, in the
//! statement that makes it, for what must not be: what was decided may be seconds old.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

/// A job as part of an experiment, with what it is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// `None` for one that no experiment has.
    pub(crate) experiment: Option<Uuid>,
    pub(crate) job: Uuid,
    pub(crate) stage: String,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) is_tagged: bool,
    pub(crate) is_needed: bool,
    pub(crate) result_names: Vec<String>,
    pub(crate) result_values: Vec<f64>,
}

/// All jobs of all experiments that have one of these.
pub(crate) async fn members(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"SELECT part.experiment_id AS "experiment?", j.id AS "job!", j.stage AS "stage!", j.finished_at AS "finished_at?",
                  (EXISTS (SELECT FROM tags t WHERE t.target = j.id) OR EXISTS (
                      SELECT FROM experiment_jobs of JOIN tags t ON t.target = of.experiment_id
                      WHERE of.job_id = j.id)) AS "is_tagged!",
                  EXISTS (SELECT FROM jobs again WHERE again.reproduces = j.id AND again.finished_at IS NULL) AS "is_needed!",
                  figures.names AS "result_names!", figures.values AS "result_values!"
           FROM (
               SELECT DISTINCT link.experiment_id, link.job_id FROM experiment_jobs link
               WHERE link.experiment_id IN (SELECT experiment_id FROM experiment_jobs WHERE job_id = ANY($1))
               UNION ALL
               SELECT NULL, asked.id FROM UNNEST($1::uuid[]) AS asked (id)
               WHERE NOT EXISTS (SELECT FROM experiment_jobs link WHERE link.job_id = asked.id)
           ) part
           JOIN jobs j ON j.id = part.job_id
           CROSS JOIN LATERAL (
               SELECT COALESCE(array_agg(r.name), '{}') AS names, COALESCE(array_agg(r.value), '{}') AS values
               FROM results r WHERE r.job_id = j.id
           ) figures
           ORDER BY part.experiment_id, j.finished_at, j.id"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// A job that has something which may go, and how much: checkpoints, or points.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) job: Uuid,
    pub(crate) items: i64,
    pub(crate) bytes: i64,
}

/// Jobs with checkpoints on disk, in the order of their ids from the one behind `after`.
pub(crate) async fn with_checkpoints(conn: &mut Conn, after: Uuid, limit: i64) -> DbResult<Vec<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"SELECT f.job_id AS "job!", f.checkpoints AS "bytes!",
                  (SELECT count(*) FROM checkpoints c WHERE c.job_id = f.job_id AND c.gone_at IS NULL) AS "items!"
           FROM (SELECT job_id, checkpoints FROM job_files WHERE checkpoints > 0 AND job_id > $1 ORDER BY job_id LIMIT $2) f
           ORDER BY f.job_id"#,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// A checkpoint that is to be removed.
#[derive(Clone, Debug)]
pub(crate) struct GoneCheckpoint {
    pub(crate) job: Uuid,
    pub(crate) bytes: i64,
}

/// Has checkpoints of these jobs removed, unless one of them runs again, is needed, or was tagged meanwhile. The rows stay: receipts
/// list them.
pub(crate) async fn drop_checkpoints(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<GoneCheckpoint>> {
    sqlx::query_as!(
        GoneCheckpoint,
        r#"WITH gone AS (
               UPDATE checkpoints c SET gone_at = clock_timestamp() FROM jobs j
               WHERE c.job_id = ANY($1) AND c.gone_at IS NULL AND j.id = c.job_id
                 AND j.finished_at IS NOT NULL AND j.deleted_at IS NULL
                 AND NOT EXISTS (SELECT FROM jobs again WHERE again.reproduces = j.id AND again.finished_at IS NULL)
                 AND NOT EXISTS (SELECT FROM tags t WHERE t.target = j.id)
                 AND NOT EXISTS (SELECT FROM experiment_jobs of JOIN tags t ON t.target = of.experiment_id
                                 WHERE of.job_id = j.id)
               RETURNING c.job_id, c.path, GREATEST(c.bytes, 0) AS bytes
           ), listed AS (
               INSERT INTO removals (job_id, path, is_whole, bytes) SELECT job_id, path, false, bytes FROM gone
           )
           SELECT job_id AS "job!", bytes AS "bytes!" FROM gone"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// Ended jobs, all of whose points are in chunks, whose curves have not been thinned to `points` yet, from the one behind `after`: the number that they were thinned to,
/// and the id.
pub(crate) async fn unthinned(
    conn: &mut Conn,
    points: i32,
    after: (i32, Uuid),
    limit: i64,
) -> DbResult<Vec<(i32, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT thinned_to, id FROM jobs
         WHERE finished_at IS NOT NULL AND deleted_at IS NULL AND thinned_to > $1 AND (thinned_to, id) > ($2, $3)
           AND NOT EXISTS (SELECT FROM folds WHERE folds.job_id = jobs.id)
         ORDER BY thinned_to, id LIMIT $4",
        points,
        after.0,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.thinned_to, row.id)).collect())
}

/// The curves of these jobs that have more than so many points: job, name and how many.
pub(crate) async fn long_curves(conn: &mut Conn, jobs: &[Uuid], points: i64) -> DbResult<Vec<(Uuid, String, i64)>> {
    let rows = sqlx::query!(
        "SELECT job_id, name, points FROM curves WHERE job_id = ANY($1) AND points > $2 ORDER BY array_position($1, job_id), name",
        jobs,
        points,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id, row.name, row.points)).collect())
}

/// No curve of this job has more points any more; nothing is stored if it runs again.
pub(crate) async fn set_thinned(conn: &mut Conn, job: Uuid, points: i32) -> DbResult<()> {
    sqlx::query!("UPDATE jobs SET thinned_to = $2 WHERE id = $1 AND finished_at IS NOT NULL", job, points)
        .run_any(conn)
        .await
}

/// An experiment that was submitted long ago.
#[derive(Clone, Debug)]
pub(crate) struct OldExperiment {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) created_at: DateTime<Utc>,
    /// When its last job ended; `None` while one may still run.
    pub(crate) ended: Option<DateTime<Utc>>,
    pub(crate) is_tagged: bool,
    pub(crate) bytes: i64,
    pub(crate) jobs: i64,
}

/// Experiments that were submitted before `cutoff`, archived or not, oldest first, from the one behind `after`.
pub(crate) async fn old_experiments(
    conn: &mut Conn,
    archived: bool,
    after: (DateTime<Utc>, Uuid),
    cutoff: DateTime<Utc>,
    limit: i64,
) -> DbResult<Vec<OldExperiment>> {
    sqlx::query_as!(
        OldExperiment,
        r#"SELECT e.id AS "id!", e.name AS "name!", e.owner AS "owner!", e.created_at AS "created_at!", was.ended AS "ended?",
                  was.is_tagged OR EXISTS (SELECT FROM tags t WHERE t.target = e.id) AS "is_tagged!",
                  was.bytes AS "bytes!", was.jobs AS "jobs!"
           FROM (
               -- Of these two one is read, each by an index of its own.
               (SELECT id, name, owner, created_at FROM experiments
                WHERE NOT $1 AND archived_at IS NULL AND deleted_at IS NULL AND (created_at, id) > ($2, $3) AND created_at < $4
                ORDER BY created_at, id LIMIT $5)
               UNION ALL
               (SELECT id, name, owner, created_at FROM experiments
                WHERE $1 AND archived_at IS NOT NULL AND deleted_at IS NULL AND (created_at, id) > ($2, $3) AND created_at < $4
                ORDER BY created_at, id LIMIT $5)
           ) e
           CROSS JOIN LATERAL (
               SELECT CASE WHEN count(j.id) = 0 THEN e.created_at
                           WHEN bool_and(j.finished_at IS NOT NULL) THEN max(j.finished_at) END AS ended,
                      COALESCE(bool_or(EXISTS (SELECT FROM tags t WHERE t.target = j.id)), false) AS is_tagged,
                      COALESCE(sum(f.bytes), 0)::bigint AS bytes, count(j.id) AS jobs
               FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id LEFT JOIN job_files f ON f.job_id = j.id
               WHERE link.experiment_id = e.id
           ) was
           ORDER BY e.created_at, e.id"#,
        archived,
        after.0,
        after.1,
        cutoff,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Of these experiments, those that have no tag and of which no job has one, and none may run.
pub(crate) async fn still_old(conn: &mut Conn, experiments: &[Uuid]) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT e.id FROM experiments e
         WHERE e.id = ANY($1) AND e.deleted_at IS NULL AND NOT EXISTS (SELECT FROM tags t WHERE t.target = e.id)
           AND NOT EXISTS (SELECT FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id
                           WHERE link.experiment_id = e.id AND (
                               j.finished_at IS NULL OR EXISTS (SELECT FROM tags t WHERE t.target = j.id)))
         ORDER BY e.created_at, e.id FOR NO KEY UPDATE",
        experiments
    )
    .fetch_all(conn)
    .await
}

/// Whether the house was cleaned less than a day ago.
pub(crate) async fn is_clean(conn: &mut Conn) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM cleaned WHERE at > clock_timestamp() - interval '1 day') AS "is_clean!""#
    )
    .fetch_one(conn)
    .await
}

pub(crate) async fn set_clean(conn: &mut Conn) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO cleaned (at) VALUES (clock_timestamp()) ON CONFLICT (only_row) DO UPDATE SET at = excluded.at"
    )
    .run_any(conn)
    .await
}
