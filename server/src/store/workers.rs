//! Workers: their devices, sessions, states and quarantine.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::{images::Announced, timing, timing::timing};
use uuid::Uuid;

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
};

/// What a worker sends when it registers.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) device_kind: String,
    pub(crate) device_index: i32,
    pub(crate) device_name: String,
    pub(crate) device_uuid: String,
    pub(crate) memory_bytes: i64,
    pub(crate) cores: i32,
    pub(crate) driver: String,
    pub(crate) spec_version: i32,
    /// Why it gets no jobs; empty if it does.
    pub(crate) unfit: String,
}

/// Who has this worker's name, is another and is there: its host. Until the transaction ends nobody else takes the name. One that
/// has had the name all along keeps it, so that it can come back with its rank.
pub(crate) async fn namesake(conn: &mut Conn, worker: &Registration) -> DbResult<Option<String>> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('worker ' || $1, 0))", worker.name)
        .run_any(&mut *conn)
        .await?;
    sqlx::query_scalar!(
        r#"SELECT host AS "host!" FROM workers
           WHERE name = $2 AND id <> $1 AND state IN ('ready', 'draining')
             AND NOT EXISTS (SELECT 1 FROM workers WHERE id = $1 AND name = $2 AND state IN ('ready', 'draining'))
           LIMIT 1"#,
        worker.id,
        worker.name,
    )
    .fetch_optional(conn)
    .await
}

/// Stores a worker and its session; returns whether it was new, lost or gone before.
pub(crate) async fn register(conn: &mut Conn, worker: &Registration, session: Uuid) -> DbResult<bool> {
    let before = sqlx::query_scalar!(
        r#"SELECT state::text AS "state!" FROM workers WHERE id = $1 FOR NO KEY UPDATE"#,
        worker.id
    )
    .fetch_optional(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO workers (id, name, host, version, device_kind, device_index, device_name, device_uuid,
                              memory_bytes, cores, driver, session_id, spec_version, unfit, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'ready')
         ON CONFLICT (id) DO UPDATE SET
             name = excluded.name, host = excluded.host, version = excluded.version,
             device_kind = excluded.device_kind, device_index = excluded.device_index,
             device_name = excluded.device_name, device_uuid = excluded.device_uuid,
             memory_bytes = excluded.memory_bytes, cores = excluded.cores, driver = excluded.driver,
             session_id = excluded.session_id, spec_version = excluded.spec_version, unfit = excluded.unfit,
             datasets = NULL, withheld = '', state = 'ready', last_seen = clock_timestamp()",
        worker.id,
        worker.name,
        worker.host,
        worker.version,
        worker.device_kind,
        worker.device_index,
        worker.device_name,
        worker.device_uuid,
        worker.memory_bytes,
        worker.cores,
        worker.driver,
        session,
        worker.spec_version,
        worker.unfit,
    )
    .run_any(conn)
    .await?;
    Ok(before.is_none_or(|state| state == "lost" || state == "gone"))
}

/// Stores why a worker gets no jobs, or that it does; `false` if that is not new, or the session not its worker's.
pub(crate) async fn set_unfit(conn: &mut Conn, worker: Uuid, session: Uuid, unfit: &str) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET unfit = $3 WHERE id = $1 AND session_id = $2 AND unfit <> $3",
        worker,
        session,
        unfit,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Stores why nobody is given a worker's device, or that it may be given out; `false` if that is not new, or the session not its
/// worker's.
pub(crate) async fn set_withheld(conn: &mut Conn, worker: Uuid, session: Uuid, withheld: &str) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET withheld = $3 WHERE id = $1 AND session_id = $2 AND withheld <> $3",
        worker,
        session,
        super::clean(withheld),
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Stores what a worker says of its data sets; `false` if that is not new, or the session not its worker's.
pub(crate) async fn set_datasets(conn: &mut Conn, worker: Uuid, session: Uuid, datasets: &Announced) -> DbResult<bool> {
    let datasets = serde_json::to_value(datasets).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        "UPDATE workers SET datasets = $3 WHERE id = $1 AND session_id = $2 AND datasets IS DISTINCT FROM $3",
        worker,
        session,
        datasets,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Name and data sets of each worker that is there now.
pub(crate) async fn announcements(conn: &mut Conn) -> DbResult<Vec<(String, Option<Announced>)>> {
    let rows = sqlx::query!(
        "SELECT name, datasets FROM workers WHERE state = 'ready' AND session_id IS NOT NULL ORDER BY name, id"
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, announced(row.datasets))).collect())
}

/// What is stored of a worker's data sets. What cannot be read was written by another version and counts as not said.
pub(super) fn announced(stored: Option<serde_json::Value>) -> Option<Announced> {
    stored.and_then(|stored| serde_json::from_value(stored).ok())
}

/// Marks a worker that takes nothing new; `false` if it was not ready, or has opened another stream since.
pub(crate) async fn drain(conn: &mut Conn, worker: Uuid, session: Uuid) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET state = 'draining' WHERE id = $1 AND session_id = $2 AND state = 'ready'",
        worker,
        session,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Stores the end of a session, whose last heartbeat came `silent_for` ago. A draining worker without a lease is gone
/// then; returns whether it is.
pub(crate) async fn end_session(conn: &mut Conn, worker: Uuid, session: Uuid, silent_for: Duration) -> DbResult<bool> {
    let state = sqlx::query_scalar!(
        r#"UPDATE workers SET session_id = NULL,
               last_seen = GREATEST(last_seen, clock_timestamp() - make_interval(secs => $3)),
               state = CASE WHEN state = 'draining' AND NOT EXISTS (
                           SELECT FROM leases l WHERE l.worker_id = workers.id AND l.released_at IS NULL)
                       THEN 'gone' ELSE state END
           WHERE id = $1 AND session_id = $2 RETURNING state::text AS "state!""#,
        worker,
        session,
        silent_for.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(state.is_some_and(|state| state == "gone"))
}

#[derive(Clone, Debug)]
pub(crate) struct LostWorker {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) silent_seconds: f64,
}

/// Marks workers as lost that were silent for longer than a lease.
pub(crate) async fn mark_lost(conn: &mut Conn) -> DbResult<Vec<LostWorker>> {
    sqlx::query_as!(
        LostWorker,
        r#"UPDATE workers SET state = 'lost', session_id = NULL, last_seen = silent.since
           FROM (SELECT w.id, GREATEST(w.last_seen, heard.at) AS since
                 FROM workers w LEFT JOIN workers_heard() heard ON heard.worker_id = w.id
                 WHERE w.state IN ('ready', 'draining')) silent
           WHERE silent.id = workers.id AND silent.since < clock_timestamp() - make_interval(secs => $1)
             -- It may have registered since that was read.
             AND workers.state IN ('ready', 'draining') AND workers.last_seen <= silent.since
           RETURNING workers.id, workers.name,
                     EXTRACT(epoch FROM clock_timestamp() - silent.since)::float8 AS "silent_seconds!""#,
        timing().lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// Marks workers as gone that were lost long ago.
pub(crate) async fn forget_lost(conn: &mut Conn) -> DbResult<()> {
    sqlx::query!(
        "UPDATE workers SET state = 'gone'
         WHERE state = 'lost' AND last_seen < clock_timestamp() - make_interval(secs => $1)",
        timing::LOST_WORKER_KEPT.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// Those of these sessions that are still their worker's.
pub(crate) async fn valid_sessions(conn: &mut Conn, sessions: &[Uuid]) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(r#"SELECT session_id AS "session_id!" FROM workers WHERE session_id = ANY($1)"#, sessions)
        .fetch_all(conn)
        .await
}

/// Quarantines a worker for a while; `false` if it is quarantined already.
pub(crate) async fn quarantine(conn: &mut Conn, worker: Uuid, reason: &str) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET quarantined_until = clock_timestamp() + make_interval(secs => $2), quarantine_reason = $3,
                            quarantined_by = 'losses'
         WHERE id = $1 AND (quarantined_until IS NULL OR quarantined_until <= clock_timestamp())",
        worker,
        timing::QUARANTINE.as_secs_f64(),
        reason,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Quarantines a worker because of its device, which was seen to ail so long ago; `false` if it is quarantined already, or the
/// session not its worker's. Whoever released it since has seen that, unless it `lasts`.
pub(crate) async fn quarantine_device(
    conn: &mut Conn,
    worker: Uuid,
    session: Uuid,
    reason: &str,
    age: Duration,
    lasts: bool,
) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET quarantined_until = clock_timestamp() + make_interval(secs => $3), quarantine_reason = $4,
                            quarantined_by = 'device'
         WHERE id = $1 AND session_id = $2 AND (quarantined_until IS NULL OR quarantined_until <= clock_timestamp())
             AND ($6 OR released_at IS NULL OR released_at < clock_timestamp() - make_interval(secs => $5))",
        worker,
        session,
        timing::QUARANTINE.as_secs_f64(),
        super::clean(reason),
        age.min(timing::MINUTES_KEPT).as_secs_f64(),
        lasts,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// When the quarantine began that a worker is in.
pub(crate) async fn quarantined_since(conn: &mut Conn, worker: Uuid) -> DbResult<Option<DateTime<Utc>>> {
    let since = sqlx::query_scalar!(
        "SELECT quarantined_until - make_interval(secs => $2) FROM workers
         WHERE id = $1 AND quarantined_until > clock_timestamp()",
        worker,
        timing::QUARANTINE.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(since.flatten())
}

/// Ends the quarantine that a worker is in because of losses, which still count; `false` if it is in none.
pub(crate) async fn lift_quarantine(conn: &mut Conn, worker: Uuid) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE workers SET quarantined_until = NULL, quarantine_reason = ''
         WHERE id = $1 AND quarantined_until > clock_timestamp() AND quarantined_by = 'losses'",
        worker
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Ends the quarantine of a worker and forgets its losses; `false` if it was not quarantined.
pub(crate) async fn release(conn: &mut Conn, worker: Uuid) -> DbResult<bool> {
    let was_quarantined = sqlx::query_scalar!(
        r#"WITH before AS (SELECT id, quarantined_until FROM workers WHERE id = $1 FOR NO KEY UPDATE)
           UPDATE workers SET quarantined_until = NULL, quarantine_reason = '', released_at = clock_timestamp()
           FROM before WHERE workers.id = before.id
           RETURNING COALESCE(before.quarantined_until > clock_timestamp(), false) AS "was_quarantined!""#,
        worker
    )
    .fetch_optional(conn)
    .await?;
    Ok(was_quarantined.unwrap_or(false))
}

/// The number of workers of each kind that have not left.
pub(crate) async fn counts_by_kind(conn: &mut Conn) -> DbResult<Vec<(String, u32)>> {
    let rows = sqlx::query!(
        r#"SELECT device_kind, count(*)::integer AS "count!" FROM workers WHERE state <> 'gone'
           GROUP BY device_kind ORDER BY device_kind"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.device_kind, super::small(row.count))).collect())
}

/// Of each kind the memory of the largest device, for those of which it is known.
pub(crate) async fn largest_memory(conn: &mut Conn) -> DbResult<Vec<(String, u64)>> {
    let rows = sqlx::query!(
        r#"SELECT device_kind, max(memory_bytes) AS "bytes!" FROM workers WHERE state <> 'gone' AND memory_bytes > 0
           GROUP BY device_kind ORDER BY device_kind"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.device_kind, super::unsigned(row.bytes))).collect())
}

#[derive(Clone, Debug)]
pub(crate) struct WorkerRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) state: String,
    pub(crate) device_kind: String,
    pub(crate) device_index: i32,
    pub(crate) device_name: String,
    pub(crate) device_uuid: String,
    pub(crate) memory_bytes: i64,
    pub(crate) cores: i32,
    pub(crate) driver: String,
    pub(crate) facts: Option<serde_json::Value>,
    pub(crate) last_seen: DateTime<Utc>,
    pub(crate) job_id: Option<Uuid>,
    pub(crate) job_name: Option<String>,
    pub(crate) rank: Option<i32>,
    /// Of its job.
    pub(crate) experiment: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) busy_since: Option<DateTime<Utc>>,
    pub(crate) seconds_left: Option<f64>,
    /// Set while it is quarantined.
    pub(crate) quarantined_until: Option<DateTime<Utc>>,
    pub(crate) quarantine_reason: String,
    pub(crate) unfit: String,
    pub(crate) withheld: String,
    pub(crate) datasets: Option<serde_json::Value>,
    /// Set while somebody has it for itself.
    pub(crate) held_until: Option<DateTime<Utc>>,
    pub(crate) held_by: String,
    pub(crate) hold_reason: String,
    pub(crate) drained_at: Option<DateTime<Utc>>,
    pub(crate) drained_by: String,
    pub(crate) drain_reason: String,
}

impl WorkerRow {
    pub(crate) fn announced(&self) -> Announced {
        announced(self.datasets.clone()).unwrap_or_default()
    }
}

/// All workers that have not left, by name.
pub(crate) async fn list(conn: &mut Conn) -> DbResult<Vec<WorkerRow>> {
    with(conn, &[]).await
}

/// The same and these, which may have left.
pub(crate) async fn with(conn: &mut Conn, these: &[Uuid]) -> DbResult<Vec<WorkerRow>> {
    let mut rows = sqlx::query_as!(
        WorkerRow,
        r#"SELECT w.id AS "id!", w.name AS "name!", w.host AS "host!", w.state::text AS "state!",
                  w.device_kind AS "device_kind!", w.device_index AS "device_index!", w.device_name AS "device_name!",
                  w.device_uuid AS "device_uuid!", w.memory_bytes AS "memory_bytes!", w.cores AS "cores!",
                  w.driver AS "driver!", heard.facts AS "facts?",
                  GREATEST(w.last_seen, heard.at) AS "last_seen!",
                  j.id AS "job_id?", j.name AS "job_name?", l.rank AS "rank?", e.name AS "experiment?",
                  j.owner AS "owner?", a.assigned_at AS "busy_since?", p.seconds_left AS "seconds_left?",
                  CASE WHEN w.quarantined_until > clock_timestamp() THEN w.quarantined_until END AS quarantined_until,
                  w.quarantine_reason AS "quarantine_reason!", w.unfit AS "unfit!", w.withheld AS "withheld!",
                  w.datasets AS "datasets?",
                  CASE WHEN w.held_until > clock_timestamp() THEN w.held_until END AS held_until,
                  w.held_by AS "held_by!", w.hold_reason AS "hold_reason!", w.drained_at AS "drained_at?",
                  w.drained_by AS "drained_by!", w.drain_reason AS "drain_reason!"
           FROM workers w
           LEFT JOIN workers_heard() heard ON heard.worker_id = w.id
           LEFT JOIN leases l ON l.worker_id = w.id AND l.released_at IS NULL
           LEFT JOIN attempts a ON a.id = l.attempt_id
           LEFT JOIN jobs j ON j.id = a.job_id
           LEFT JOIN experiments e ON e.id = j.experiment_id
           LEFT JOIN progress p ON p.job_id = j.id
           -- By an index each: many have left after a while.
           WHERE w.id = ANY(ARRAY(SELECT id FROM workers WHERE state <> 'gone' UNION SELECT UNNEST($1::uuid[])))
           ORDER BY w.name, w.id"#,
        these
    )
    .fetch_all(&mut *conn)
    .await?;
    let busy: Vec<Uuid> = rows.iter().filter(|row| row.seconds_left.is_some()).filter_map(|row| row.job_id).collect();
    let times = super::times::now(conn, &busy).await?;
    for row in &mut rows {
        if let Some(time) = row.job_id.and_then(|job| times.get(&job)) {
            row.seconds_left = time.ends_by(row.seconds_left);
        }
    }
    Ok(rows)
}
