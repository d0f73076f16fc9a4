//! Which job starts from which, and which blocked jobs are decided.

use uuid::Uuid;

use super::{Conn, DbResult, integer, rows::Statement};

/// Stores the inputs of a job, in the order of its spec.
pub(crate) async fn insert(conn: &mut Conn, job: Uuid, inputs: &[Uuid]) -> DbResult<()> {
    let positions: Vec<i32> = (0u32..).take(inputs.len()).map(integer).collect();
    // Two inputs of equal content are one job.
    sqlx::query!(
        "INSERT INTO job_dependencies (job_id, depends_on, position)
         SELECT $1, input, position FROM UNNEST($2::uuid[], $3::integer[]) AS inputs (input, position)
         ON CONFLICT (job_id, depends_on) DO NOTHING",
        job,
        inputs,
        &positions,
    )
    .run_any(conn)
    .await
}

/// Has the next scheduling pass decide about a job that was stored just now: its inputs may have ended before.
pub(crate) async fn set_due(conn: &mut Conn, job: Uuid) -> DbResult<()> {
    sqlx::query!("INSERT INTO inputs_ended (job_id) VALUES ($1)", job).run_any(conn).await
}

/// The same for all that start from a job that has ended in this transaction. Its row is locked since, so a submit that
/// shares it is seen here or sees the end.
pub(super) async fn set_dependants_due(conn: &mut Conn, input: Uuid) -> DbResult<()> {
    sqlx::query!("INSERT INTO inputs_ended (job_id) SELECT job_id FROM job_dependencies WHERE depends_on = $1", input)
        .run_any(conn)
        .await
}

/// A job and all that start from it, straight or around a corner.
pub(crate) async fn all_from(conn: &mut Conn, job: Uuid) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE following (id) AS (
               SELECT $1::uuid
               UNION SELECT d.job_id FROM job_dependencies d JOIN following ON d.depends_on = following.id
           )
           SELECT id AS "id!" FROM following"#,
        job
    )
    .fetch_all(conn)
    .await
}

/// Takes jobs that are to be decided about, `limit` rows at most; those that another transaction has taken are its own.
pub(crate) async fn take_due(conn: &mut Conn, limit: i64) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"WITH due AS (
               DELETE FROM inputs_ended
               WHERE ctid = ANY(ARRAY(SELECT ctid FROM inputs_ended LIMIT $1 FOR UPDATE SKIP LOCKED))
               RETURNING job_id
           )
           SELECT DISTINCT job_id AS "job_id!" FROM due"#,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Blocked jobs in the order of their ids, from the one after `after`.
pub(crate) async fn blocked_after(conn: &mut Conn, after: Uuid, limit: i64) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!("SELECT id FROM jobs WHERE state = 'blocked' AND id > $1 ORDER BY id LIMIT $2", after, limit)
        .fetch_all(conn)
        .await
}

/// A blocked job whose inputs have all succeeded, or one of whose inputs never will.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decided {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// The failed or cancelled input and what became of it; `None` if the job may run.
    pub(crate) lost_input: Option<String>,
}

/// Those of these jobs that are blocked and need not wait any longer.
pub(crate) async fn decided(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Decided>> {
    sqlx::query_as!(
        Decided,
        r#"SELECT j.id, j.name, lost.input AS "lost_input?"
           FROM jobs j
           LEFT JOIN LATERAL (
               SELECT format('`%s` %s', input.name,
                             CASE WHEN input.deleted_at IS NOT NULL THEN 'was deleted'
                                  WHEN input.state = 'failed' THEN 'failed' ELSE 'was cancelled' END) AS input
               FROM job_dependencies d JOIN jobs input ON input.id = d.depends_on
               WHERE d.job_id = j.id AND (input.state IN ('failed', 'cancelled') OR input.deleted_at IS NOT NULL)
               ORDER BY d.position LIMIT 1
           ) lost ON true
           WHERE j.id = ANY($1) AND j.state = 'blocked' AND (lost.input IS NOT NULL OR NOT EXISTS (
               SELECT FROM job_dependencies d JOIN jobs input ON input.id = d.depends_on
               WHERE d.job_id = j.id AND input.state <> 'succeeded'))
           ORDER BY j.id"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// Replaces the inputs of a job by others of equal content.
pub(crate) async fn replace(conn: &mut Conn, job: Uuid, inputs: &[Uuid]) -> DbResult<()> {
    sqlx::query!("DELETE FROM job_dependencies WHERE job_id = $1", job).run_any(&mut *conn).await?;
    insert(conn, job, inputs).await
}

/// What blocked jobs wait for: the job, the name of an input and its state.
pub(crate) async fn waited_for(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<(Uuid, String, String)>> {
    let rows = sqlx::query!(
        r#"SELECT d.job_id, input.name, input.state::text AS "state!"
           FROM job_dependencies d JOIN jobs input ON input.id = d.depends_on
           WHERE d.job_id = ANY($1) AND input.state <> 'succeeded' ORDER BY d.job_id, d.position"#,
        jobs
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id, row.name, row.state)).collect())
}
