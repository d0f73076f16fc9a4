//! What is taken back, and what nobody wants any more. The rows of jobs are locked before any of this is asked, so that a submit
//! that shares one of them is either seen or waits, and finds it gone.

use uuid::Uuid;

use super::{Conn, DbResult, column, labels, rows::Statement, wishes::Wanted};

/// A job that nobody wants any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Artifacts and checkpoints on disk, and their bytes.
    pub(crate) files: i64,
    pub(crate) bytes: i64,
}

/// Takes jobs out of experiments; returns how many there were.
pub(crate) async fn take_links(conn: &mut Conn, wanted: &[Wanted]) -> DbResult<u64> {
    let taken = sqlx::query!(
        "DELETE FROM experiment_jobs link USING UNNEST($1::uuid[], $2::text[]) AS taken (experiment_id, name)
         WHERE link.experiment_id = taken.experiment_id AND link.name = taken.name",
        &column(wanted, |one| one.experiment),
        &column(wanted, |one| one.name.clone()),
    )
    .run(conn)
    .await?;
    Ok(taken.count())
}

/// What of these experiments starts from a job, by name: three at most.
pub(crate) async fn started_within(conn: &mut Conn, experiments: &[Uuid], job: Uuid) -> DbResult<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT own.name FROM experiment_jobs own JOIN job_dependencies d ON d.job_id = own.job_id
         WHERE own.experiment_id = ANY($1) AND d.depends_on = $2 ORDER BY own.name LIMIT 3",
        experiments,
        job,
    )
    .fetch_all(conn)
    .await
}

/// Marks experiments that have no jobs any more; returns them.
pub(crate) async fn mark_experiments(conn: &mut Conn, experiments: &[Uuid]) -> DbResult<Vec<Uuid>> {
    let marked = sqlx::query_scalar!(
        "UPDATE experiments e SET deleted_at = clock_timestamp()
         WHERE e.id = ANY($1) AND e.deleted_at IS NULL
           AND NOT EXISTS (SELECT FROM experiment_jobs link WHERE link.experiment_id = e.id)
         RETURNING e.id",
        experiments
    )
    .fetch_all(&mut *conn)
    .await?;
    labels::clear(conn, &marked).await?;
    Ok(marked)
}

/// Deletes those of these jobs that have ended, that no experiment has and nothing starts from; returns them. Their content is
/// nobody's from then on.
pub(crate) async fn delete_unwanted(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Gone>> {
    sqlx::query_as!(
        Gone,
        r#"UPDATE jobs j SET deleted_at = clock_timestamp(), hidden = true, content_key = 'deleted:' || j.id
           WHERE j.id = ANY($1) AND j.deleted_at IS NULL AND j.finished_at IS NOT NULL
             AND NOT EXISTS (SELECT FROM experiment_jobs link WHERE link.job_id = j.id)
             AND NOT EXISTS (SELECT FROM job_dependencies d JOIN jobs later ON later.id = d.job_id
                             WHERE d.depends_on = j.id AND later.deleted_at IS NULL)
             AND NOT EXISTS (SELECT FROM jobs again WHERE again.reproduces = j.id AND again.finished_at IS NULL)
           RETURNING j.id, j.name,
               (SELECT count(*) FROM artifacts a WHERE a.job_id = j.id)
                   + (SELECT count(*) FROM checkpoints c WHERE c.job_id = j.id AND c.gone_at IS NULL) AS "files!",
               COALESCE((SELECT f.bytes FROM job_files f WHERE f.job_id = j.id), 0) AS "bytes!""#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// What these jobs started from, or ran anew, and no experiment has.
pub(crate) async fn unwanted_inputs(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT used.id AS "id!" FROM (
               SELECT depends_on AS id FROM job_dependencies WHERE job_id = ANY($1)
               UNION ALL
               SELECT reproduces FROM jobs WHERE id = ANY($1) AND reproduces IS NOT NULL
           ) used
           WHERE NOT EXISTS (SELECT FROM experiment_jobs link WHERE link.job_id = used.id)"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// Has what deleted jobs left removed from the store, and takes away the rows of it at once, but for curves and logs, which may be
/// long. The receipts stay.
pub(crate) async fn clear(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO removals (job_id, path, is_whole, bytes)
         SELECT id, 'jobs/' || id, true, COALESCE((SELECT bytes FROM job_files f WHERE f.job_id = id), 0)
         FROM UNNEST($1::uuid[]) AS gone (id)",
        jobs
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM removals WHERE job_id = ANY($1) AND NOT is_whole", jobs).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM checkpoints WHERE job_id = ANY($1)", jobs).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM artifacts WHERE job_id = ANY($1)", jobs).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM results WHERE job_id = ANY($1)", jobs).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM progress WHERE job_id = ANY($1)", jobs).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM receipts_due WHERE job_id = ANY($1)", jobs).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM job_files WHERE job_id = ANY($1)", jobs).run_any(&mut *conn).await?;
    labels::clear(conn, jobs).await
}

/// Why some jobs are not deleted: whose experiments have them, and what starts from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) job: Uuid,
    /// `None` where a job starts from it.
    pub(crate) owner: Option<String>,
    /// The experiment, or that job.
    pub(crate) name: String,
}

/// Three of each kind and job at most.
pub(crate) async fn reasons(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Reason>> {
    sqlx::query_as!(
        Reason,
        r#"SELECT asked.id AS "job!", why.owner AS "owner?", why.name AS "name!"
           FROM UNNEST($1::uuid[]) WITH ORDINALITY AS asked (id, place)
           CROSS JOIN LATERAL (
               (SELECT DISTINCT e.owner, e.name FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
                WHERE link.job_id = asked.id ORDER BY e.owner, e.name LIMIT 3)
               UNION ALL
               (SELECT NULL, e.name || '/' || later.name FROM job_dependencies d
                JOIN jobs later ON later.id = d.job_id JOIN experiments e ON e.id = later.experiment_id
                WHERE d.depends_on = asked.id AND later.deleted_at IS NULL
                  AND NOT EXISTS (SELECT FROM experiment_jobs link WHERE link.job_id = asked.id)
                ORDER BY later.name LIMIT 3)
               UNION ALL
               (SELECT NULL, e.name || '/' || again.name FROM jobs again JOIN experiments e ON e.id = again.experiment_id
                WHERE again.reproduces = asked.id AND again.finished_at IS NULL ORDER BY again.name LIMIT 3)
           ) why
           ORDER BY asked.place"#,
        jobs
    )
    .fetch_all(conn)
    .await
}
