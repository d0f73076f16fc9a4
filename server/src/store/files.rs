//! Files that jobs leave in the store's folder: checkpoints to resume from, artifacts to keep.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, integer, rows::Statement, stored};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) step: i64,
    pub(crate) path: String,
    pub(crate) sha256: String,
    /// Of the state alone; empty if its worker did not say.
    pub(crate) state_sha256: String,
    pub(crate) bytes: i64,
    pub(crate) at: DateTime<Utc>,
}

/// What ranks keep of a job: see `learn::checkpoint`.
const KEPT: i64 = 3;

/// Stores a checkpoint. That of a later attempt replaces an earlier one of the same step. Those before the newest three are not
/// on disk from then on.
pub(crate) async fn put_checkpoint(conn: &mut Conn, job: Uuid, fence: i64, checkpoint: &Checkpoint) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO checkpoints (job_id, fence, step, path, sha256, bytes, at, state_sha256)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (job_id, step) DO UPDATE SET fence = excluded.fence, path = excluded.path,
             sha256 = excluded.sha256, bytes = excluded.bytes, at = excluded.at, stored_at = clock_timestamp(),
             state_sha256 = excluded.state_sha256, gone_at = NULL
         WHERE checkpoints.fence <= excluded.fence",
        job,
        fence,
        checkpoint.step,
        checkpoint.path,
        checkpoint.sha256,
        checkpoint.bytes,
        checkpoint.at,
        checkpoint.state_sha256,
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE checkpoints SET gone_at = clock_timestamp() WHERE job_id = $1 AND gone_at IS NULL AND step < (
             SELECT step FROM checkpoints WHERE job_id = $1 AND gone_at IS NULL ORDER BY step DESC OFFSET $2::bigint - 1 LIMIT 1)",
        job,
        KEPT,
    )
    .run_any(&mut *conn)
    .await?;
    stored::recount(conn, job).await
}

pub(crate) async fn checkpoints(conn: &mut Conn, job: Uuid, limit: i64) -> DbResult<Vec<Checkpoint>> {
    sqlx::query_as!(
        Checkpoint,
        "SELECT step, path, sha256, state_sha256, bytes, at FROM checkpoints WHERE job_id = $1 ORDER BY step DESC LIMIT $2",
        job,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn checkpoint(conn: &mut Conn, job: Uuid, step: i64) -> DbResult<Option<Checkpoint>> {
    sqlx::query_as!(
        Checkpoint,
        "SELECT step, path, sha256, state_sha256, bytes, at FROM checkpoints WHERE job_id = $1 AND step = $2",
        job,
        step,
    )
    .fetch_optional(conn)
    .await
}

/// The steps of the checkpoints that are on disk.
pub(crate) async fn kept_steps(conn: &mut Conn, job: Uuid) -> DbResult<Vec<i64>> {
    sqlx::query_scalar!("SELECT step FROM checkpoints WHERE job_id = $1 AND gone_at IS NULL ORDER BY step DESC", job)
        .fetch_all(conn)
        .await
}

/// The step of the newest checkpoint that is on disk.
pub(crate) async fn newest_step(conn: &mut Conn, job: Uuid) -> DbResult<Option<i64>> {
    sqlx::query_scalar!("SELECT max(step) FROM checkpoints WHERE job_id = $1 AND gone_at IS NULL", job)
        .fetch_one(conn)
        .await
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Artifact {
    pub(crate) id: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uri: String,
    pub(crate) sha256: String,
    pub(crate) bytes: i64,
    pub(crate) at: DateTime<Utc>,
}

/// Stores an artifact that a rank wrote. One of the same job, kind and name is replaced and keeps its id.
pub(crate) async fn put_artifact(conn: &mut Conn, fence: i64, rank: u32, artifact: &Artifact) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO artifacts (id, job_id, fence, kind, name, uri, sha256, bytes, at, rank)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (job_id, kind, name) DO UPDATE SET fence = excluded.fence, uri = excluded.uri,
             sha256 = excluded.sha256, bytes = excluded.bytes, at = excluded.at, rank = excluded.rank
         WHERE artifacts.fence <= excluded.fence",
        artifact.id,
        artifact.job_id,
        fence,
        artifact.kind,
        artifact.name,
        artifact.uri,
        artifact.sha256,
        artifact.bytes,
        artifact.at,
        integer(rank),
    )
    .run_any(&mut *conn)
    .await?;
    stored::recount(conn, artifact.job_id).await
}

pub(crate) async fn artifacts(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Artifact>> {
    sqlx::query_as!(
        Artifact,
        "SELECT id, job_id, kind, name, uri, sha256, bytes, at FROM artifacts
         WHERE job_id = ANY($1) ORDER BY array_position($1, job_id), at, kind, name",
        jobs
    )
    .fetch_all(conn)
    .await
}

/// Artifacts whose id begins with `prefix`: two at most, which is enough to see that it is ambiguous.
pub(crate) async fn artifacts_by_prefix(conn: &mut Conn, prefix: &str) -> DbResult<Vec<Artifact>> {
    sqlx::query_as!(
        Artifact,
        "SELECT id, job_id, kind, name, uri, sha256, bytes, at FROM artifacts
         WHERE id::text LIKE $1 || '%' ORDER BY id LIMIT 2",
        prefix
    )
    .fetch_all(conn)
    .await
}

/// Artifacts of the jobs that a job starts from, in the order of its inputs.
pub(crate) async fn inputs(conn: &mut Conn, job: Uuid) -> DbResult<Vec<Artifact>> {
    sqlx::query_as!(
        Artifact,
        "SELECT a.id, a.job_id, a.kind, a.name, a.uri, a.sha256, a.bytes, a.at
         FROM job_dependencies d JOIN artifacts a ON a.job_id = d.depends_on
         WHERE d.job_id = $1 ORDER BY d.position, a.kind, a.name",
        job
    )
    .fetch_all(conn)
    .await
}
