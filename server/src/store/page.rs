//! What the pages show that no other list does. Each read is bounded, however long queue and history are.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, points::Curve};

/// A job that waits, as the queue shows it.
#[derive(Clone, Debug)]
pub(crate) struct WaitingRow {
    pub(crate) id: Uuid,
    pub(crate) experiment_id: Uuid,
    pub(crate) experiment: String,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) reason: String,
    pub(crate) priority: i32,
    pub(crate) workers_min: i32,
    pub(crate) workers_max: i32,
    pub(crate) queued_at: DateTime<Utc>,
}

/// Jobs that wait, in the order of the line: `limit` of them behind the first `skip`.
pub(crate) async fn waiting(conn: &mut Conn, skip: i64, limit: i64) -> DbResult<Vec<WaitingRow>> {
    sqlx::query_as!(
        WaitingRow,
        r#"WITH line AS MATERIALIZED (
               SELECT id, priority, queued_at, position FROM jobs WHERE state = 'queued'
               ORDER BY priority DESC, queued_at, position, id OFFSET $1 LIMIT $2)
           SELECT j.id, e.id AS experiment_id, e.name AS experiment, e.owner, j.name, j.stage, j.reason, j.priority,
                  j.workers_min, j.workers_max, j.queued_at AS "queued_at!"
           FROM line JOIN jobs j ON j.id = line.id JOIN experiments e ON e.id = j.experiment_id
           ORDER BY line.priority DESC, line.queued_at, line.position, line.id"#,
        skip,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Those of these jobs that wait, in the order that is given.
pub(crate) async fn waiting_of(conn: &mut Conn, ids: &[Uuid]) -> DbResult<Vec<WaitingRow>> {
    sqlx::query_as!(
        WaitingRow,
        r#"SELECT j.id AS "id!", e.id AS "experiment_id!", e.name AS "experiment!", e.owner AS "owner!", j.name AS "name!",
                  j.stage AS "stage!", j.reason AS "reason!", j.priority AS "priority!", j.workers_min AS "workers_min!",
                  j.workers_max AS "workers_max!", j.queued_at AS "queued_at!"
           FROM UNNEST($1::uuid[]) WITH ORDINALITY AS line (id, place)
           JOIN jobs j ON j.id = line.id AND j.state = 'queued' JOIN experiments e ON e.id = j.experiment_id
           ORDER BY line.place"#,
        ids
    )
    .fetch_all(conn)
    .await
}

/// An experiment with the number of its jobs in each state.
#[derive(Clone, Debug)]
pub(crate) struct ExperimentRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) jobs: i64,
    pub(crate) waiting: i64,
    pub(crate) running: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
}

/// Which experiments to list; an empty text is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Chosen {
    pub(crate) owner: String,
    /// A part of the name.
    pub(crate) name: String,
    /// `live`, `failed` or `done`.
    pub(crate) state: String,
    pub(crate) before: Option<DateTime<Utc>>,
}

/// With a state, so many of the newest are looked at.
pub(crate) const LOOKED_AT: i64 = 2000;
/// For a part of a name, so many of the newest are searched.
pub(crate) const SEARCHED: i64 = 20_000;

/// Newest first.
pub(crate) async fn experiments(conn: &mut Conn, chosen: &Chosen, limit: i64) -> DbResult<Vec<ExperimentRow>> {
    let window = if chosen.state.is_empty() { limit } else { LOOKED_AT };
    sqlx::query_as!(
        ExperimentRow,
        r#"SELECT e.id AS "id!", e.name AS "name!", e.owner AS "owner!", e.created_at AS "created_at!",
                  counted.jobs AS "jobs!", counted.waiting AS "waiting!", counted.running AS "running!",
                  counted.succeeded AS "succeeded!", counted.failed AS "failed!", counted.cancelled AS "cancelled!"
           FROM (SELECT recent.* FROM (
                     -- Of these two one is read, each by an index of its own.
                     (SELECT id, name, owner, created_at FROM experiments
                      WHERE $1 = '' AND archived_at IS NULL AND deleted_at IS NULL
                        AND created_at < COALESCE($3, 'infinity'::timestamptz)
                      ORDER BY created_at DESC LIMIT $7)
                     UNION ALL
                     (SELECT id, name, owner, created_at FROM experiments
                      WHERE $1 <> '' AND owner = $1 AND archived_at IS NULL AND deleted_at IS NULL
                        AND created_at < COALESCE($3, 'infinity'::timestamptz)
                      ORDER BY created_at DESC LIMIT $7)) recent
                 WHERE $2 = '' OR position(lower($2) IN lower(recent.name)) > 0
                 LIMIT $4) e
           CROSS JOIN LATERAL (
               SELECT count(*) AS jobs,
                      count(*) FILTER (WHERE j.state IN ('blocked', 'queued')) AS waiting,
                      count(*) FILTER (WHERE j.state = 'running') AS running,
                      count(*) FILTER (WHERE j.state = 'succeeded') AS succeeded,
                      count(*) FILTER (WHERE j.state = 'failed') AS failed,
                      count(*) FILTER (WHERE j.state = 'cancelled') AS cancelled
               FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id WHERE link.experiment_id = e.id) counted
           WHERE $5 = '' OR ($5 = 'live' AND counted.waiting + counted.running > 0)
              OR ($5 = 'failed' AND counted.failed > 0)
              OR ($5 = 'done' AND counted.waiting + counted.running = 0)
           ORDER BY e.created_at DESC, e.id LIMIT $6"#,
        chosen.owner,
        chosen.name,
        chosen.before,
        window,
        chosen.state,
        limit,
        SEARCHED,
    )
    .fetch_all(conn)
    .await
}

/// What somebody has in the house now.
#[derive(Clone, Debug)]
pub(crate) struct LoadRow {
    pub(crate) owner: String,
    pub(crate) running: i64,
    pub(crate) devices: i64,
    pub(crate) queued: i64,
    pub(crate) blocked: i64,
}

/// Everybody who has something running or waiting, the most devices first.
pub(crate) async fn loads(conn: &mut Conn) -> DbResult<Vec<LoadRow>> {
    sqlx::query_as!(
        LoadRow,
        r#"SELECT e.owner, count(*) FILTER (WHERE j.state = 'running') AS "running!",
                  COALESCE(sum(held.devices), 0)::bigint AS "devices!",
                  count(*) FILTER (WHERE j.state = 'queued') AS "queued!",
                  count(*) FILTER (WHERE j.state = 'blocked') AS "blocked!"
           FROM jobs j JOIN experiments e ON e.id = j.experiment_id
           LEFT JOIN LATERAL (
               SELECT count(*) AS devices FROM attempts a JOIN leases l ON l.attempt_id = a.id
               WHERE j.state = 'running' AND a.job_id = j.id AND a.ended_at IS NULL AND l.released_at IS NULL) held ON true
           WHERE j.state IN ('running', 'queued', 'blocked') AND NOT j.hidden
           GROUP BY e.owner ORDER BY 3 DESC, 2 DESC, 4 DESC, 1 LIMIT 500"#
    )
    .fetch_all(conn)
    .await
}

/// The curves of a job, each by about `points` of its values, evenly spaced. Chunks without one of these are not read.
pub(crate) async fn curves(conn: &mut Conn, job: Uuid, points: i64) -> DbResult<Vec<Curve>> {
    sqlx::query_as!(
        Curve,
        r#"WITH asked AS (
               SELECT name, last_step, GREATEST(1, points / $2) AS every FROM curves WHERE job_id = $1
               UNION ALL
               -- Of a house that is older than the rows of curves.
               SELECT m.name, max(m.step), GREATEST(1, count(*) / $2) FROM metrics m
               WHERE m.job_id = $1 AND NOT EXISTS (SELECT FROM curves c WHERE c.job_id = $1 AND c.name = m.name)
               GROUP BY m.name
           ), laid AS (
               SELECT c.name, c.first_step, c.points, c.last_step = a.last_step AS is_last, a.every,
                      sum(c.points) OVER (PARTITION BY c.name ORDER BY c.first_step) - c.points AS before
               FROM asked a JOIN metric_chunks c ON c.job_id = $1 AND c.name = a.name
           ), taken AS (
               SELECT l.name, p.step, p.value
               FROM laid l JOIN metric_chunks c ON c.job_id = $1 AND c.name = l.name AND c.first_step = l.first_step
               CROSS JOIN LATERAL chunk_points(c) p
               WHERE (l.is_last OR (l.before + l.every - 1) / l.every * l.every < l.before + l.points)
                 AND ((l.before + p.place - 1) % l.every = 0 OR l.is_last AND p.place = l.points)
               UNION ALL
               SELECT a.name, m.step, m.value
               FROM asked a CROSS JOIN LATERAL (
                   SELECT step, value, row_number() OVER (ORDER BY step) - 1 AS place
                   FROM metrics WHERE job_id = $1 AND name = a.name) m
               WHERE m.place % a.every = 0 OR m.step = a.last_step
           )
           SELECT $1::uuid AS "job!", name AS "name!", array_agg(step ORDER BY step) AS "steps!",
                  array_agg(value ORDER BY step) AS "values!"
           FROM taken GROUP BY name ORDER BY name"#,
        job,
        points,
    )
    .fetch_all(conn)
    .await
}
