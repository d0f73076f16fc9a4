//! Jobs: inserted by submits, moved by transitions. `overview` reads what people see of them.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use tandem_domain::{
    place::OVER_TIME,
    spec::{JobSpec, SPEC_VERSION},
    state::{JobEvent, JobState},
};
use uuid::Uuid;

use super::{
    Conn, DbResult, chunks, dependencies, facts, happenings, integer, parse, receipts,
    rows::{RowsChanged, Statement},
    small,
};

#[derive(Clone, Debug)]
pub(crate) struct NewJob<'a> {
    pub(crate) id: Uuid,
    pub(crate) experiment: Uuid,
    pub(crate) spec: &'a JobSpec,
    pub(crate) content_key: &'a str,
    pub(crate) priority: i32,
    /// In the order of the file.
    pub(crate) position: i32,
    /// The kind of work: see `domain::plan`.
    pub(crate) work: &'a str,
    pub(crate) gflop: f64,
    /// Checksum of its images, where that is known.
    pub(crate) images: Option<&'a str>,
    /// The longest that it may train.
    pub(crate) max_seconds: Option<f64>,
}

/// Stores a job, queued if it has no inputs, else blocked; `false` if there is one of equal content.
///
/// Waits for another transaction that inserts the same content.
pub(crate) async fn insert(conn: &mut Conn, job: &NewJob<'_>) -> DbResult<bool> {
    let spec = serde_json::to_value(job.spec).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let state = if job.spec.inputs.is_empty() { JobState::Queued } else { JobState::Blocked };
    let gang_min = job.spec.workers.world_sizes(job.spec.shards).next().unwrap_or(job.spec.workers.min);
    // `now()` is the time of the transaction: jobs that are submitted together go by their position.
    sqlx::query!(
        "INSERT INTO jobs (id, experiment_id, name, stage, spec, content_key, state, workers_min, workers_max, shards,
                           work, gflop, priority, position, gang_min, spec_version, images, max_seconds, owner, queued_at,
                           submitted_at)
         SELECT $1, e.id, $3, $4, $5, $6, $7::text::job_state, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, e.owner,
                CASE WHEN $7::text = 'queued' THEN now() END, e.created_at
         FROM experiments e WHERE e.id = $2
         ON CONFLICT (content_key) WHERE state IN ('blocked', 'queued', 'paused', 'running', 'succeeded') DO NOTHING",
        job.id,
        job.experiment,
        job.spec.name,
        job.spec.stage.name(),
        spec,
        job.content_key,
        state.label(),
        integer(job.spec.workers.min),
        integer(job.spec.workers.max),
        integer(job.spec.shards),
        job.work,
        job.gflop,
        job.priority,
        job.position,
        integer(gang_min),
        integer(SPEC_VERSION),
        job.images.unwrap_or_default(),
        job.max_seconds,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// What the job with this content does that has succeeded or still may.
pub(crate) async fn state_by_content(conn: &mut Conn, content_key: &str) -> DbResult<Option<JobState>> {
    let state = sqlx::query_scalar!(
        r#"SELECT state::text AS "state!" FROM jobs
           WHERE content_key = $1 AND state IN ('blocked', 'queued', 'paused', 'running', 'succeeded')"#,
        content_key
    )
    .fetch_optional(conn)
    .await?;
    state.map(|state| parse(&state)).transpose()
}

/// The job with this content that has succeeded or still may. It cannot change until this transaction ends. Its
/// priority becomes `priority`, unless it is higher.
///
/// Submits of the same content wait for each other here: a lock that they shared they could not raise it under.
pub(crate) async fn share(conn: &mut Conn, content_key: &str, priority: i32) -> DbResult<Option<Uuid>> {
    let job = sqlx::query!(
        "SELECT id, priority FROM jobs
         WHERE content_key = $1 AND state IN ('blocked', 'queued', 'paused', 'running', 'succeeded') FOR NO KEY UPDATE",
        content_key
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(job) = job else { return Ok(None) };
    if job.priority < priority {
        sqlx::query!("UPDATE jobs SET priority = $2 WHERE id = $1", job.id, priority).run_any(conn).await?;
    }
    Ok(Some(job.id))
}

/// A row that is locked until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct LockedJob {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) state: JobState,
}

/// Locks jobs in the order of their ids, but for those that are deleted.
pub(crate) async fn lock(conn: &mut Conn, ids: &[Uuid]) -> DbResult<Vec<LockedJob>> {
    let rows = sqlx::query!(
        r#"SELECT id, name, state::text AS "state!" FROM jobs WHERE id = ANY($1) AND deleted_at IS NULL
           ORDER BY id FOR NO KEY UPDATE"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok(LockedJob { id: row.id, name: row.name, state: parse(&row.state)? })).collect()
}

/// Locks a job, deleted or not: a rank of one that was deleted while it ran has still to end.
pub(crate) async fn lock_for_ranks(conn: &mut Conn, id: Uuid) -> DbResult<Option<LockedJob>> {
    let row = sqlx::query!(r#"SELECT id, name, state::text AS "state!" FROM jobs WHERE id = $1 FOR NO KEY UPDATE"#, id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(LockedJob { id: row.id, name: row.name, state: parse(&row.state)? })).transpose()
}

/// Moves a job to its next state and returns that; `None` if the event is not allowed or the row is not in state
/// `from`.
///
/// `delay` is the wait before it may run again.
pub(crate) async fn transition(
    conn: &mut Conn,
    id: Uuid,
    from: JobState,
    event: JobEvent,
    reason: &str,
    delay: Duration,
) -> DbResult<Option<JobState>> {
    let Ok(to) = from.after(event) else { return Ok(None) };
    let moved = sqlx::query!(
        "UPDATE jobs SET
             state = $3::text::job_state,
             reason = $4,
             -- Its place in the queue is that of its first day. Jobs that are queued together go by their position.
             queued_at = CASE WHEN $3::text = 'queued' THEN COALESCE(queued_at, now()) ELSE queued_at END,
             not_before = CASE WHEN $5::float8 > 0 THEN clock_timestamp() + make_interval(secs => $5) END,
             started_at = CASE WHEN $3::text = 'running' THEN COALESCE(started_at, clock_timestamp()) ELSE started_at END,
             finished_at = CASE WHEN $6 THEN clock_timestamp() END,
             ran_on = CASE WHEN $3::text = 'succeeded' AND gflop > 0 THEN (
                 SELECT w.device_kind FROM attempts a
                 JOIN leases l ON l.attempt_id = a.id AND l.rank = 0 JOIN workers w ON w.id = l.worker_id
                 WHERE a.job_id = $1 AND a.state = 'succeeded' AND a.first_step = 0 ORDER BY a.fence DESC LIMIT 1) END
         WHERE id = $1 AND state = $2::text::job_state AND deleted_at IS NULL",
        id,
        from.label(),
        to.label(),
        reason,
        delay.as_secs_f64(),
        to.is_ended(),
    )
    .run(&mut *conn)
    .await?;
    if !moved.is_one() {
        return Ok(None);
    }
    if to.is_ended() || from.is_ended() || to == JobState::Running {
        facts::follow(&mut *conn, &[id]).await?;
    }
    if to.is_ended() {
        facts::fill_curves(&mut *conn, &[id]).await?;
        chunks::set_due(&mut *conn, id).await?;
        // A statement of its own: only it sees who shared the job until the row could be changed.
        dependencies::set_dependants_due(&mut *conn, id).await?;
        happenings::job_ended(&mut *conn, id).await?;
    }
    if to == JobState::Succeeded {
        receipts::set_due(conn, id).await?;
    }
    Ok(Some(to))
}

/// Stores that gangs were stopped for it, with the fingerprint of the fleet.
pub(crate) async fn set_made_room(conn: &mut Conn, id: Uuid, fingerprint: &str) -> DbResult<()> {
    sqlx::query!("UPDATE jobs SET made_room_at = $2 WHERE id = $1 AND state = 'queued'", id, fingerprint)
        .run_any(conn)
        .await
}

/// The database's clock.
pub(crate) async fn now(conn: &mut Conn) -> DbResult<DateTime<Utc>> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(conn).await
}

/// Stores why queued jobs wait; returns whether any reason changed.
pub(crate) async fn set_reasons(conn: &mut Conn, waiting: &[(Uuid, String)]) -> DbResult<bool> {
    let (ids, reasons): (Vec<Uuid>, Vec<String>) = waiting.iter().cloned().unzip();
    let changed = sqlx::query!(
        "UPDATE jobs SET reason = news.reason FROM UNNEST($1::uuid[], $2::text[]) AS news (id, reason)
         WHERE jobs.id = news.id AND jobs.state = 'queued' AND jobs.reason <> news.reason",
        &ids,
        &reasons,
    )
    .run(conn)
    .await?;
    Ok(changed.count() > 0)
}

/// The spec as JSON, and the checksum of its images (empty where that is not known).
pub(crate) async fn spec_json(conn: &mut Conn, id: Uuid) -> DbResult<(String, String)> {
    let row =
        sqlx::query!(r#"SELECT spec::text AS "spec!", images FROM jobs WHERE id = $1"#, id).fetch_one(conn).await?;
    Ok((row.spec, row.images))
}

/// What these jobs do now.
pub(crate) async fn states(conn: &mut Conn, ids: &[Uuid]) -> DbResult<HashMap<Uuid, JobState>> {
    let rows =
        sqlx::query!(r#"SELECT id, state::text AS "state!" FROM jobs WHERE id = ANY($1)"#, ids).fetch_all(conn).await?;
    rows.into_iter().map(|row| Ok((row.id, parse(&row.state)?))).collect()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) blocked: u32,
    pub(crate) queued: u32,
    pub(crate) paused: u32,
    pub(crate) running: u32,
}

pub(crate) async fn counts(conn: &mut Conn) -> DbResult<Counts> {
    // Each count reads a partial index, however many jobs have ended.
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM jobs WHERE state = 'blocked')::integer AS "blocked!",
                  (SELECT count(*) FROM jobs WHERE state = 'queued')::integer AS "queued!",
                  (SELECT count(*) FROM jobs WHERE state = 'paused')::integer AS "paused!",
                  (SELECT count(*) FROM jobs WHERE state = 'running')::integer AS "running!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(Counts {
        blocked: small(row.blocked),
        queued: small(row.queued),
        paused: small(row.paused),
        running: small(row.running),
    })
}

/// How many of these have not ended.
pub(crate) async fn live_among(conn: &mut Conn, ids: &[Uuid]) -> DbResult<u32> {
    let live = sqlx::query_scalar!(
        r#"SELECT count(*)::integer AS "live!" FROM jobs WHERE id = ANY($1) AND finished_at IS NULL"#,
        ids
    )
    .fetch_one(conn)
    .await?;
    Ok(small(live))
}

/// Whether an ended job may be taken up again: no other of its content may still succeed or has.
pub(crate) async fn may_revive(conn: &mut Conn, id: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (
               SELECT FROM jobs other JOIN jobs own ON own.content_key = other.content_key
               WHERE own.id = $1 AND other.state IN ('blocked', 'queued', 'paused', 'running', 'succeeded')) AS "may!""#,
        id
    )
    .fetch_one(conn)
    .await
}

/// What it has lost so far does not count against it any more, its place in the line is that of now, and it is seen again.
pub(crate) async fn forgive(conn: &mut Conn, id: Uuid) -> DbResult<()> {
    sqlx::query!(
        "UPDATE jobs SET queued_at = NULL, not_before = NULL, made_room_at = '', hidden = false, thinned_to = DEFAULT,
             forgiven_fence = COALESCE((SELECT max(fence) FROM attempts WHERE job_id = $1), 0)
         WHERE id = $1",
        id
    )
    .run_any(conn)
    .await
}

/// The newest job of this content that was cancelled, or whose time was over, and has a checkpoint.
pub(crate) async fn left_with_checkpoint(conn: &mut Conn, content_key: &str) -> DbResult<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT j.id FROM jobs j
         WHERE j.content_key = $1 AND (j.state = 'cancelled' OR j.state = 'failed' AND starts_with(j.reason, $2))
           AND EXISTS (SELECT FROM checkpoints c WHERE c.job_id = j.id AND c.gone_at IS NULL)
         ORDER BY j.finished_at DESC LIMIT 1",
        content_key,
        OVER_TIME,
    )
    .fetch_optional(conn)
    .await
}

/// Makes a job that was taken up part of the experiment that asked for it.
pub(crate) async fn adopt(conn: &mut Conn, id: Uuid, new: &NewJob<'_>) -> DbResult<()> {
    sqlx::query!(
        "UPDATE jobs SET experiment_id = e.id, owner = e.owner, name = $3, priority = $4, position = $5, max_seconds = $6,
             submitted_at = e.created_at
         FROM experiments e WHERE e.id = $2 AND jobs.id = $1",
        id,
        new.experiment,
        new.spec.name,
        new.priority,
        new.position,
        new.max_seconds,
    )
    .run_any(conn)
    .await
}
