//! Attempts: one execution of a job by a gang, and its fence.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::{
    place::{Passed, RunningGang, Stop},
    spec::Workers,
    state::{AttemptEvent, AttemptState},
};
use uuid::Uuid;

use super::{
    Conn, DbResult, integer, parse,
    queue::needs,
    rows::{RowsChanged, Statement},
    small, used,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct NewAttempt {
    pub(crate) id: Uuid,
    pub(crate) number: u32,
    pub(crate) fence: i64,
}

pub(crate) async fn insert(
    conn: &mut Conn,
    id: Uuid,
    job: Uuid,
    term: i64,
    world_size: u32,
    passed: Option<Passed>,
    estimated: Option<Duration>,
) -> DbResult<NewAttempt> {
    let row = sqlx::query!(
        "INSERT INTO attempts (id, job_id, number, leader_term, world_size, passed_job, passed_until,
                               estimated_seconds)
         SELECT $1, $2, COALESCE(max(number), 0) + 1, $3, $4, $5, $6, $7 FROM attempts WHERE job_id = $2
         RETURNING number, fence",
        id,
        job,
        term,
        integer(world_size),
        passed.map(|passed| passed.job),
        passed.map(|passed| passed.until),
        estimated.map(|time| time.as_secs_f64()),
    )
    .fetch_one(conn)
    .await?;
    Ok(NewAttempt { id, number: small(row.number), fence: row.fence })
}

/// A row that is locked until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct LockedAttempt {
    pub(crate) id: Uuid,
    pub(crate) job: Uuid,
    pub(crate) number: u32,
    pub(crate) fence: i64,
    pub(crate) state: AttemptState,
    pub(crate) world_size: u32,
    /// The scheduler asked it to stop.
    pub(crate) stop: Option<StopAsked>,
}

#[derive(Clone, Debug)]
pub(crate) struct StopAsked {
    /// Since the request, until now.
    pub(crate) seconds: f64,
    /// Device seconds at stake when it was made.
    pub(crate) at_stake: f64,
    /// A checkpoint was committed since.
    pub(crate) is_saved: bool,
    pub(crate) reason: String,
}

/// The job of an attempt. Not locked, because the job must be locked before the attempt.
pub(crate) async fn job_of(conn: &mut Conn, id: Uuid) -> DbResult<Option<Uuid>> {
    sqlx::query_scalar!("SELECT job_id FROM attempts WHERE id = $1", id).fetch_optional(conn).await
}

pub(crate) async fn lock(conn: &mut Conn, id: Uuid) -> DbResult<Option<LockedAttempt>> {
    let row = sqlx::query!(
        r#"SELECT id, job_id, number, fence, state::text AS "state!", world_size, at_stake, stop_reason,
                  EXTRACT(epoch FROM clock_timestamp() - stop_asked_at)::float8 AS stop_seconds,
                  EXISTS (SELECT FROM checkpoints c WHERE c.job_id = attempts.job_id AND c.fence = attempts.fence
                                                      AND c.stored_at >= stop_asked_at) AS "is_saved!"
           FROM attempts WHERE id = $1 FOR NO KEY UPDATE"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let (number, state) = (small(row.number), parse(&row.state)?);
        let stop = row.stop_seconds.map(|seconds| StopAsked {
            seconds,
            at_stake: row.at_stake,
            is_saved: row.is_saved,
            reason: row.stop_reason,
        });
        let world_size = small(row.world_size);
        Ok(LockedAttempt { id: row.id, job: row.job_id, number, fence: row.fence, state, world_size, stop })
    })
    .transpose()
}

pub(crate) async fn lock_live(conn: &mut Conn, job: Uuid) -> DbResult<Option<LockedAttempt>> {
    let id = sqlx::query_scalar!("SELECT id FROM attempts WHERE job_id = $1 AND ended_at IS NULL", job)
        .fetch_optional(&mut *conn)
        .await?;
    match id {
        Some(id) => lock(conn, id).await,
        None => Ok(None),
    }
}

/// Moves an attempt to its next state and returns that; `None` if the event changes nothing or is not allowed.
pub(crate) async fn transition(
    conn: &mut Conn,
    attempt: &LockedAttempt,
    event: AttemptEvent,
    cause: &str,
) -> DbResult<Option<AttemptState>> {
    let Ok(to) = attempt.state.after(event) else { return Ok(None) };
    if to == attempt.state {
        return Ok(None);
    }
    let moved = sqlx::query!(
        "UPDATE attempts SET
             state = $4::text::attempt_state,
             cause = $5,
             starting_at = COALESCE(starting_at, CASE WHEN $4::text = 'starting' THEN clock_timestamp() END),
             training_at = COALESCE(training_at, CASE WHEN $4::text = 'training' THEN clock_timestamp() END),
             verifying_at = COALESCE(verifying_at, CASE WHEN $4::text = 'verifying' THEN clock_timestamp() END),
             ended_at = CASE WHEN $6 THEN clock_timestamp() END
         WHERE id = $1 AND fence = $2 AND state = $3::text::attempt_state",
        attempt.id,
        attempt.fence,
        attempt.state.label(),
        to.label(),
        cause,
        to.is_ended(),
    )
    .run(&mut *conn)
    .await?;
    if moved.is_one() && to.is_ended() {
        used::charge(conn, attempt.id).await?;
    }
    Ok(moved.is_one().then_some(to))
}

/// Stores that an attempt was asked to stop at a checkpoint and ended without one.
pub(crate) async fn set_saved_nothing(conn: &mut Conn, attempt: &LockedAttempt) -> DbResult<()> {
    sqlx::query!("UPDATE attempts SET saved_nothing = true WHERE id = $1 AND fence = $2", attempt.id, attempt.fence)
        .run_any(conn)
        .await
}

/// Stores the step that training began at.
pub(crate) async fn set_first_step(conn: &mut Conn, attempt: &LockedAttempt, step: i64) -> DbResult<()> {
    sqlx::query!("UPDATE attempts SET first_step = $3 WHERE id = $1 AND fence = $2", attempt.id, attempt.fence, step)
        .run_any(conn)
        .await
}

/// Stores where the ranks meet, from the worker of rank 0; `false` if that holds no lease any more.
pub(crate) async fn set_rendezvous(
    conn: &mut Conn,
    id: Uuid,
    fence: i64,
    worker: Uuid,
    host: &str,
    port: u16,
) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE attempts SET rendezvous_host = $4, rendezvous_port = $5
         WHERE id = $1 AND fence = $2 AND state IN ('assigned', 'starting', 'training')
           AND EXISTS (SELECT FROM leases l WHERE l.attempt_id = attempts.id AND l.rank = 0 AND l.worker_id = $3
                                              AND l.released_at IS NULL)",
        id,
        fence,
        worker,
        host,
        i32::from(port),
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

#[derive(Clone, Debug)]
pub(crate) struct AttemptRow {
    pub(crate) id: Uuid,
    pub(crate) number: i32,
    pub(crate) fence: i64,
    pub(crate) state: String,
    pub(crate) cause: String,
    pub(crate) assigned_at: DateTime<Utc>,
    pub(crate) training_at: Option<DateTime<Utc>>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) first_step: i64,
    /// Names by rank.
    pub(crate) workers: Vec<String>,
}

pub(crate) async fn of_job(conn: &mut Conn, job: Uuid) -> DbResult<Vec<AttemptRow>> {
    sqlx::query_as!(
        AttemptRow,
        r#"SELECT a.id, a.number, a.fence, a.state::text AS "state!", a.cause, a.assigned_at, a.training_at, a.ended_at,
                  a.first_step,
                  ARRAY(SELECT w.name FROM leases l JOIN workers w ON w.id = l.worker_id
                        WHERE l.attempt_id = a.id ORDER BY l.rank) AS "workers!"
           FROM attempts a WHERE a.job_id = $1 ORDER BY a.number"#,
        job
    )
    .fetch_all(conn)
    .await
}

/// The gangs at work, without those whose ranks have succeeded, and without what is known of their jobs' lost attempts and times.
pub(crate) async fn running(conn: &mut Conn) -> DbResult<Vec<RunningGang>> {
    let rows = sqlx::query!(
        r#"SELECT a.id, a.job_id, e.name || '/' || j.name AS "name!", j.owner, j.priority,
                  j.queued_at AS "queued_at!", j.position, a.passed_job, a.passed_until,
                  j.workers_min, j.workers_max, j.shards, a.training_at,
                  j.spec_version, j.images, j.spec ->> 'dataset' AS dataset,
                  (a.stop_asked_at IS NOT NULL OR EXISTS (
                      SELECT FROM leases l WHERE l.attempt_id = a.id AND l.outcome = 'preempted')) AS "is_stopping!",
                  ARRAY(SELECT l.worker_id FROM leases l WHERE l.attempt_id = a.id ORDER BY l.rank) AS "workers!",
                  GREATEST(heard.slowest_ms, (SELECT max(l.slowest_ms) FROM leases l WHERE l.attempt_id = a.id)) AS slowest_ms,
                  (SELECT count(*) FROM attempts other
                   WHERE other.job_id = a.job_id AND other.saved_nothing)::integer AS "wasted_stops!",
                  (SELECT max(c.stored_at) FROM checkpoints c WHERE c.job_id = a.job_id AND c.fence = a.fence) AS saved_at,
                  CASE WHEN p.fence = a.fence AND p.seconds_left > 0 THEN p.seconds_left
                       WHEN a.estimated_seconds > EXTRACT(epoch FROM clock_timestamp() - a.assigned_at)
                       THEN a.estimated_seconds - EXTRACT(epoch FROM clock_timestamp() - a.assigned_at)::float8
                  END AS seconds_left
           FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN experiments e ON e.id = j.experiment_id
           LEFT JOIN progress p ON p.job_id = a.job_id
           LEFT JOIN (SELECT attempt_id, max(slowest_ms) AS slowest_ms FROM leases_heard() GROUP BY attempt_id) heard
             ON heard.attempt_id = a.id
           WHERE a.ended_at IS NULL AND a.verifying_at IS NULL ORDER BY a.fence"#
    )
    .fetch_all(conn)
    .await?;
    let gangs = rows.into_iter().map(|row| RunningGang {
        attempt: row.id,
        job: row.job_id,
        name: row.name,
        owner: row.owner,
        passed: row.passed_job.zip(row.passed_until).map(|(job, until)| Passed { job, until }),
        time_left: None,
        priority: row.priority,
        queued_at: row.queued_at,
        position: row.position,
        avoid: Vec::new(),
        missing: Vec::new(),
        needs: needs(row.spec_version, row.images, row.dataset),
        workers: row.workers,
        wanted: Workers { min: small(row.workers_min), max: small(row.workers_max) },
        shards: small(row.shards),
        training_since: row.training_at,
        saved_at: row.saved_at,
        seconds_left: row.seconds_left,
        slowest: row.slowest_ms.map(|ms| Duration::from_millis(super::unsigned(ms))),
        wasted_stops: small(row.wasted_stops),
        is_stopping: row.is_stopping,
    });
    Ok(gangs.collect())
}

/// Stores the request to stop at a checkpoint; `false` if the attempt has ended or was asked before.
pub(crate) async fn ask_stop(conn: &mut Conn, stop: &Stop) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE attempts SET stop_asked_at = clock_timestamp(), stop_reason = $2, at_stake = $3
         WHERE id = $1 AND state = 'training' AND stop_asked_at IS NULL",
        stop.attempt,
        stop.reason,
        stop.at_stake,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

pub(crate) async fn is_asked_to_stop(conn: &mut Conn, attempt: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT stop_asked_at IS NOT NULL AND ended_at IS NULL AS "asked!" FROM attempts WHERE id = $1"#,
        attempt
    )
    .fetch_one(conn)
    .await
}

/// Replaces the cause that the peers of a lost rank gave, once the rank's own is known; in the job's reason too.
pub(crate) async fn set_cause(conn: &mut Conn, attempt: &LockedAttempt, cause: &str) -> DbResult<()> {
    sqlx::query!(
        "UPDATE jobs SET reason = $3 || substr(jobs.reason, length(a.cause) + 1)
         FROM attempts a
         WHERE a.id = $1 AND a.fence = $2 AND a.state = 'lost' AND a.cause <> '' AND jobs.id = a.job_id
           AND starts_with(jobs.reason, a.cause)",
        attempt.id,
        attempt.fence,
        cause,
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE attempts SET cause = $3 WHERE id = $1 AND fence = $2 AND state = 'lost'",
        attempt.id,
        attempt.fence,
        cause,
    )
    .run_any(conn)
    .await
}

/// Whether all of them are in training. Stays true while their leases are locked, as an end locks these first.
pub(crate) async fn all_train(conn: &mut Conn, attempts: &[Uuid]) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM attempts WHERE id = ANY($1) AND state <> 'training') AS "all!""#,
        attempts
    )
    .fetch_one(conn)
    .await
}
