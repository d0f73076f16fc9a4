//! Measured values: final results and the progress of jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, column, rows::Statement, stages::stages};

/// Stores a final result, under the name that it has now. That of a later attempt replaces that of an earlier one.
pub(crate) async fn put_result(
    conn: &mut Conn,
    job: Uuid,
    fence: i64,
    name: &str,
    value: f64,
    at: DateTime<Utc>,
) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO results (job_id, fence, name, value, at, stage)
         SELECT j.id, $2, COALESCE(renamed.now, $3), $4, $5, j.stage
         FROM jobs j LEFT JOIN renamed_results renamed ON renamed.name = $3 AND $2 <= renamed.through_fence
         WHERE j.id = $1
         ON CONFLICT (job_id, name) DO UPDATE SET value = excluded.value, fence = excluded.fence, at = excluded.at
         WHERE results.fence <= excluded.fence",
        job,
        fence,
        name,
        value,
        at,
    )
    .run_any(conn)
    .await
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LatestProgress {
    pub(crate) step: i64,
    pub(crate) steps: i64,
    pub(crate) epoch: i32,
    pub(crate) epochs: i32,
    pub(crate) images_per_second: f64,
    pub(crate) seconds_left: f64,
}

/// Stores the phase and the latest progress of a job, each if given.
pub(crate) async fn put_progress(
    conn: &mut Conn,
    job: Uuid,
    fence: i64,
    phase: Option<&str>,
    latest: Option<&LatestProgress>,
) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO progress (job_id, fence, phase, step, steps, epoch, epochs, images_per_second, seconds_left)
         VALUES ($1, $2, COALESCE($3, ''), COALESCE($4::bigint, 0), COALESCE($5::bigint, 0), COALESCE($6::integer, 0),
                 COALESCE($7::integer, 0), COALESCE($8::float8, 0), COALESCE($9::float8, 0))
         ON CONFLICT (job_id) DO UPDATE SET
             fence = excluded.fence,
             phase = COALESCE($3, progress.phase),
             step = COALESCE($4, progress.step),
             steps = COALESCE($5, progress.steps),
             epoch = COALESCE($6, progress.epoch),
             epochs = COALESCE($7, progress.epochs),
             images_per_second = COALESCE($8, progress.images_per_second),
             seconds_left = COALESCE($9, progress.seconds_left),
             updated_at = clock_timestamp()
         WHERE progress.fence <= excluded.fence",
        job,
        fence,
        phase,
        latest.map(|latest| latest.step),
        latest.map(|latest| latest.steps),
        latest.map(|latest| latest.epoch),
        latest.map(|latest| latest.epochs),
        latest.map(|latest| latest.images_per_second),
        latest.map(|latest| latest.seconds_left),
    )
    .run_any(conn)
    .await
}

/// [`put_progress`] for many jobs, without their phases.
pub(crate) async fn put_latest(conn: &mut Conn, latest: &BTreeMap<Uuid, (i64, LatestProgress)>) -> DbResult<()> {
    if latest.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = latest.iter().collect();
    sqlx::query!(
        "INSERT INTO progress (job_id, fence, step, steps, epoch, epochs, images_per_second, seconds_left)
         SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[],
                              $7::float8[], $8::float8[])
         ON CONFLICT (job_id) DO UPDATE SET
             fence = excluded.fence, step = excluded.step, steps = excluded.steps, epoch = excluded.epoch,
             epochs = excluded.epochs, images_per_second = excluded.images_per_second,
             seconds_left = excluded.seconds_left, updated_at = clock_timestamp()
         WHERE progress.fence <= excluded.fence",
        &column(&rows, |(job, _)| **job),
        &column(&rows, |(_, (fence, _))| *fence),
        &column(&rows, |(_, (_, latest))| latest.step),
        &column(&rows, |(_, (_, latest))| latest.steps),
        &column(&rows, |(_, (_, latest))| latest.epoch),
        &column(&rows, |(_, (_, latest))| latest.epochs),
        &column(&rows, |(_, (_, latest))| latest.images_per_second),
        &column(&rows, |(_, (_, latest))| latest.seconds_left),
    )
    .run_any(conn)
    .await
}

/// Clears phase and speed of a job that does not run any more.
pub(crate) async fn stop_progress(conn: &mut Conn, job: Uuid) -> DbResult<()> {
    sqlx::query!("UPDATE progress SET phase = '', images_per_second = 0, seconds_left = 0 WHERE job_id = $1", job)
        .run_any(conn)
        .await
}

/// Work and time of an earlier job, to estimate others by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Precedent {
    /// `experiment/job`.
    pub(crate) source: String,
    pub(crate) work: String,
    pub(crate) gflop: f64,
    /// From its assignment to its end.
    pub(crate) seconds: f64,
    pub(crate) ranks: i32,
    pub(crate) threads: i32,
}

/// Which earlier jobs are similar enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Similar<'a> {
    Work(&'a str),
    Stage(&'a str),
    Any,
}

/// The newest similar job that devices of this kind finished in one attempt.
pub(crate) async fn precedent(conn: &mut Conn, similar: Similar<'_>, device_kind: &str) -> DbResult<Option<Precedent>> {
    let newest = match similar {
        Similar::Work(work) => {
            sqlx::query_scalar!(
                "SELECT id FROM jobs WHERE work = $2 AND ran_on = $1 ORDER BY finished_at DESC LIMIT 1",
                device_kind,
                work
            )
            .fetch_optional(&mut *conn)
            .await?
        }
        Similar::Stage(stage) => newest_of(conn, &[stage.to_owned()], device_kind).await?,
        Similar::Any => {
            let stages = stages(conn).await?;
            newest_of(conn, &stages, device_kind).await?
        }
    };
    let Some(job) = newest else { return Ok(None) };
    sqlx::query_as!(
        Precedent,
        r#"SELECT e.name || '/' || j.name AS "source!", j.work, j.gflop,
                  extract(epoch FROM COALESCE(a.verifying_at, a.ended_at) - a.assigned_at)::float8 AS "seconds!", a.world_size AS ranks,
                  COALESCE((j.spec ->> 'threads')::integer, 1) AS "threads!"
           FROM jobs j
           JOIN experiments e ON e.id = j.experiment_id
           JOIN attempts a ON a.job_id = j.id AND a.state = 'succeeded' AND a.first_step = 0
           WHERE j.id = $1 ORDER BY a.fence DESC LIMIT 1"#,
        job,
    )
    .fetch_optional(conn)
    .await
}

/// The newest job of these stages that devices of this kind finished in one attempt.
async fn newest_of(conn: &mut Conn, stages: &[String], device_kind: &str) -> DbResult<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT newest.id FROM UNNEST($2::text[]) AS wanted (stage)
         CROSS JOIN LATERAL (
             SELECT j.id, j.finished_at FROM jobs j
             WHERE j.stage = wanted.stage AND j.ran_on = $1 ORDER BY j.finished_at DESC LIMIT 1
         ) newest
         ORDER BY newest.finished_at DESC LIMIT 1",
        device_kind,
        stages,
    )
    .fetch_optional(conn)
    .await
}

/// For each kind of work and of device, the newest job that was finished in one attempt: the kind of device with it.
pub(crate) async fn precedents(
    conn: &mut Conn,
    works: &[String],
    device_kinds: &[String],
) -> DbResult<Vec<(String, Precedent)>> {
    let rows = sqlx::query!(
        r#"SELECT kind.name AS "kind!", newest.source AS "source!", newest.work AS "work!", newest.gflop AS "gflop!",
                  newest.seconds AS "seconds!", newest.ranks AS "ranks!", newest.threads AS "threads!"
           FROM UNNEST($1::text[]) AS wanted (work) CROSS JOIN UNNEST($2::text[]) AS kind (name)
           -- One look into an index for each, however long the history is.
           CROSS JOIN LATERAL (
               SELECT id FROM jobs WHERE jobs.work = wanted.work AND jobs.ran_on = kind.name
               ORDER BY finished_at DESC LIMIT 1
           ) AS latest
           CROSS JOIN LATERAL (
               SELECT e.name || '/' || j.name AS source, j.work, j.gflop,
                      extract(epoch FROM COALESCE(a.verifying_at, a.ended_at) - a.assigned_at)::float8 AS seconds, a.world_size AS ranks,
                      COALESCE((j.spec ->> 'threads')::integer, 1) AS threads
               FROM jobs j
               JOIN experiments e ON e.id = j.experiment_id
               JOIN attempts a ON a.job_id = j.id AND a.state = 'succeeded' AND a.first_step = 0
               WHERE j.id = latest.id ORDER BY a.fence DESC LIMIT 1
           ) AS newest"#,
        works,
        device_kinds,
    )
    .fetch_all(conn)
    .await?;
    let precedents = rows.into_iter().map(|row| {
        let (source, work, gflop, seconds) = (row.source, row.work, row.gflop, row.seconds);
        (row.kind, Precedent { source, work, gflop, seconds, ranks: row.ranks, threads: row.threads })
    });
    Ok(precedents.collect())
}

/// The standard deviation of ln(time taken / time estimated) of the attempts that went from beginning to end lately, and their
/// number.
pub(crate) async fn wrong_by(conn: &mut Conn) -> DbResult<(f64, i64)> {
    let row = sqlx::query!(
        r#"SELECT COALESCE(sqrt(avg(power(ln(took / estimated), 2))), 0)::float8 AS "wrong_by!", count(*) AS "count!"
           FROM (SELECT EXTRACT(epoch FROM COALESCE(verifying_at, ended_at) - assigned_at)::float8 AS took,
                        estimated_seconds AS estimated
                 FROM attempts WHERE state = 'succeeded' AND estimated_seconds > 0
                 ORDER BY ended_at DESC LIMIT 100) AS lately
           WHERE took > 0"#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.wrong_by, row.count))
}
