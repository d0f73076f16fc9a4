//! How much of the store each person's jobs take.

use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement};

/// Counts the bytes of a job anew. Called where rows of its files change, in the same transaction.
pub(crate) async fn recount(conn: &mut Conn, job: Uuid) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO job_files (job_id, owner, artifacts, checkpoints)
         SELECT j.id, j.owner,
                COALESCE((SELECT sum(GREATEST(a.bytes, 0)) FROM artifacts a WHERE a.job_id = j.id), 0)::bigint,
                COALESCE((SELECT sum(GREATEST(c.bytes, 0)) FROM checkpoints c
                          WHERE c.job_id = j.id AND c.gone_at IS NULL), 0)::bigint
         FROM jobs j WHERE j.id = $1 AND j.deleted_at IS NULL
         ON CONFLICT (job_id) DO UPDATE SET artifacts = excluded.artifacts, checkpoints = excluded.checkpoints",
        job
    )
    .run_any(conn)
    .await
}

/// Bytes that the jobs of a person take.
pub(crate) async fn of(conn: &mut Conn, owner: &str) -> DbResult<i64> {
    sqlx::query_scalar!(
        r#"SELECT (COALESCE((SELECT bytes FROM stored_bytes WHERE owner = $1), 0)
                   + COALESCE((SELECT sum(bytes) FROM stored_changes WHERE owner = $1), 0))::bigint AS "bytes!""#,
        owner
    )
    .fetch_one(conn)
    .await
}

/// Of everybody whose jobs take some, who has most first.
pub(crate) async fn of_all(conn: &mut Conn, limit: i64) -> DbResult<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT owner AS "owner!", sum(bytes)::bigint AS "bytes!"
           FROM (SELECT owner, bytes FROM stored_bytes UNION ALL SELECT owner, bytes FROM stored_changes) counted
           GROUP BY owner HAVING sum(bytes) > 0 ORDER BY sum(bytes) DESC, owner LIMIT $1"#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.owner, row.bytes)).collect())
}

/// Adds up changes, `limit` at most; returns how many.
pub(crate) async fn add_up(conn: &mut Conn, limit: i64) -> DbResult<i64> {
    sqlx::query_scalar!(
        r#"WITH taken AS (
               DELETE FROM stored_changes
               WHERE ctid = ANY(ARRAY(SELECT ctid FROM stored_changes LIMIT $1 FOR UPDATE SKIP LOCKED))
               RETURNING owner, bytes
           ), added AS (
               INSERT INTO stored_bytes (owner, bytes) SELECT owner, sum(bytes) FROM taken GROUP BY owner
               ON CONFLICT (owner) DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes
           )
           SELECT count(*) AS "count!" FROM taken"#,
        limit
    )
    .fetch_one(conn)
    .await
}

/// A job that takes much.
#[derive(Clone, Debug)]
pub(crate) struct LargeJob {
    pub(crate) id: Uuid,
    pub(crate) experiment_id: Uuid,
    pub(crate) experiment: String,
    pub(crate) name: String,
    pub(crate) artifacts: i64,
    pub(crate) checkpoints: i64,
    pub(crate) tags: Vec<String>,
}

/// The twenty jobs of a person that take most. The number stands in the query: a plan for any number would read all of them.
pub(crate) async fn largest(conn: &mut Conn, owner: &str) -> DbResult<Vec<LargeJob>> {
    sqlx::query_as!(
        LargeJob,
        r#"SELECT j.id AS "id!", e.id AS "experiment_id!", e.name AS "experiment!", j.name AS "name!",
                  f.artifacts AS "artifacts!", f.checkpoints AS "checkpoints!",
                  ARRAY(SELECT DISTINCT t.word FROM tags t WHERE t.target IN (j.id, e.id) ORDER BY t.word) AS "tags!"
           FROM (SELECT * FROM job_files WHERE owner = $1 AND bytes > 0 ORDER BY bytes DESC LIMIT 20) f
           JOIN jobs j ON j.id = f.job_id JOIN experiments e ON e.id = j.experiment_id
           ORDER BY f.bytes DESC, j.id"#,
        owner,
    )
    .fetch_all(conn)
    .await
}
