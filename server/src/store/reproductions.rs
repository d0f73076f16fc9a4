//! Jobs that run another one anew, whole or a part of it, to see whether its bits come again.

use uuid::Uuid;

use super::{
    Conn, DbResult, files,
    files::{Artifact, Checkpoint},
    rows::{RowsChanged, Statement},
};

/// What is run anew, and as what.
#[derive(Clone, Debug)]
pub(crate) struct NewReproduction<'a> {
    pub(crate) id: Uuid,
    pub(crate) experiment: Uuid,
    /// A job that has succeeded.
    pub(crate) of: Uuid,
    /// That no other job has.
    pub(crate) content_key: &'a str,
    pub(crate) priority: i32,
    /// The steps from and until which it is replayed; all of it if `None`.
    pub(crate) replay: Option<(i64, i64)>,
}

/// Stores it, queued: what the other starts from is there. `false` if the other has not succeeded.
pub(crate) async fn insert(conn: &mut Conn, new: &NewReproduction<'_>) -> DbResult<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO jobs (id, experiment_id, name, stage, spec, content_key, state, workers_min, workers_max, shards, work,
                           gflop, priority, position, gang_min, spec_version, images, owner, queued_at, submitted_at,
                           reproduces, replay_from, replay_until)
         SELECT $1, e.id, o.name, o.stage, o.spec, $4, 'queued', o.workers_min, o.workers_max, o.shards, o.work,
                -- How long a part takes says nothing of the whole.
                CASE WHEN $6::bigint IS NULL THEN o.gflop ELSE 0 END, $5, 0, o.gang_min, o.spec_version, o.images, e.owner,
                now(), e.created_at, o.id, $6, $7
         FROM jobs o, experiments e WHERE o.id = $3 AND o.state = 'succeeded' AND e.id = $2",
        new.id,
        new.experiment,
        new.of,
        new.content_key,
        new.priority,
        new.replay.map(|(from, _)| from),
        new.replay.map(|(_, until)| until),
    )
    .run(&mut *conn)
    .await
    .map(RowsChanged::is_one)?;
    sqlx::query!(
        "INSERT INTO job_dependencies (job_id, depends_on, position)
         SELECT $1, depends_on, position FROM job_dependencies WHERE job_id = $2",
        new.id,
        new.of,
    )
    .run_any(conn)
    .await?;
    Ok(inserted)
}

/// The job that does the same with this one and has not ended, if there is one.
pub(crate) async fn under_way(conn: &mut Conn, of: Uuid, is_replay: bool) -> DbResult<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM jobs
         WHERE reproduces = $1 AND (replay_until IS NOT NULL) = $2 AND finished_at IS NULL
         ORDER BY created_at LIMIT 1",
        of,
        is_replay,
    )
    .fetch_optional(conn)
    .await
}

/// What a rank needs beside its own job to replay another.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    pub(crate) until: i64,
    /// The other job's, to begin from; `None` from the beginning.
    pub(crate) from: Option<Checkpoint>,
    /// What the other exported: its encoder, or its classifier.
    pub(crate) model: Option<Artifact>,
}

/// `None` if the job is no replay.
pub(crate) async fn replay(conn: &mut Conn, job: Uuid) -> DbResult<Option<Replay>> {
    let row = sqlx::query!(
        r#"SELECT reproduces AS "of!", replay_from AS "from!", replay_until AS "until!" FROM jobs
           WHERE id = $1 AND replay_until IS NOT NULL"#,
        job
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let from = sqlx::query_as!(
        Checkpoint,
        "SELECT step, path, sha256, state_sha256, bytes, at FROM checkpoints WHERE job_id = $1 AND step = $2",
        row.of,
        row.from,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let files = files::artifacts(conn, &[row.of]).await?;
    let model = files.into_iter().find(|file| matches!(file.kind.as_str(), "encoder" | "classifier"));
    Ok(Some(Replay { until: row.until, from, model }))
}
