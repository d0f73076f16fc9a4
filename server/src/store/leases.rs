//! Leases: the right of a worker to act as one rank of one attempt, for a limited time.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use tandem_domain::{lease::LeaseStatus, state::RankOutcome, timing, timing::timing};
use uuid::Uuid;

use super::{
    Conn, DbResult, column, integer, parse,
    rows::{RowsChanged, Statement},
    small,
};

/// A worker that claims to act as one rank of one attempt, under this fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseHolder {
    pub(crate) worker: Uuid,
    pub(crate) attempt: Uuid,
    pub(crate) fence: i64,
    pub(crate) rank: u32,
}

/// Inserts one lease per rank, with the workers in the order of ranks; `false` if a worker or its device is leased.
pub(crate) async fn insert(conn: &mut Conn, attempt: Uuid, fence: i64, workers: &[Uuid]) -> DbResult<bool> {
    let ranks: Vec<i32> = (0u32..).take(workers.len()).map(integer).collect();
    let inserted = sqlx::query!(
        "INSERT INTO leases (attempt_id, fence, rank, worker_id, device, expires_at)
         SELECT $1, $2, rank, w.id, CASE WHEN w.device_uuid = '' THEN w.id::text ELSE w.device_uuid END,
                clock_timestamp() + make_interval(secs => $5)
         FROM UNNEST($3::integer[], $4::uuid[]) AS gang (rank, worker_id) JOIN workers w ON w.id = gang.worker_id
         ON CONFLICT DO NOTHING",
        attempt,
        fence,
        &ranks,
        workers,
        timing().lease.as_secs_f64(),
    )
    .run(conn)
    .await?;
    Ok(inserted.count() == workers.len() as u64)
}

/// A row that is locked until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct LockedLease {
    pub(crate) rank: u32,
    pub(crate) worker: Uuid,
    pub(crate) worker_name: String,
    pub(crate) fence: i64,
    pub(crate) outcome: Option<RankOutcome>,
    pub(crate) is_dispatched: bool,
    pub(crate) status: LeaseStatus,
    /// The database's clock.
    pub(crate) now: DateTime<Utc>,
}

/// All leases of an attempt, by rank.
pub(crate) async fn lock(conn: &mut Conn, attempt: Uuid) -> DbResult<Vec<LockedLease>> {
    let rows = sqlx::query!(
        r#"SELECT l.rank, l.worker_id, w.name, l.fence, l.outcome::text AS outcome,
                  l.dispatched_at IS NOT NULL AS "is_dispatched!",
                  l.expires_at, w.last_seen, l.progress_at, l.slowest_ms, clock_timestamp() AS "now!"
           FROM leases l JOIN workers w ON w.id = l.worker_id
           WHERE l.attempt_id = $1 ORDER BY l.rank FOR NO KEY UPDATE OF l"#,
        attempt
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LockedLease {
                rank: small(row.rank),
                worker: row.worker_id,
                worker_name: row.name,
                fence: row.fence,
                outcome: row.outcome.as_deref().map(parse).transpose()?,
                is_dispatched: row.is_dispatched,
                status: LeaseStatus {
                    expires_at: row.expires_at,
                    worker_seen_at: row.last_seen,
                    progress_at: row.progress_at,
                    slowest: row.slowest_ms.map(millis),
                },
                now: row.now,
            })
        })
        .collect()
}

/// Locks an attempt with its job and its live leases, unless somebody else has locked any of them: then `false`. As it
/// waits for nobody, its order does not matter.
pub(crate) async fn lock_all_at_once(conn: &mut Conn, attempt: Uuid) -> DbResult<bool> {
    let locked = sqlx::query_scalar!(
        r#"SELECT 1 AS "locked!" FROM attempts a JOIN jobs j ON j.id = a.job_id
           WHERE a.id = $1 FOR NO KEY UPDATE SKIP LOCKED"#,
        attempt
    )
    .fetch_optional(&mut *conn)
    .await?;
    if locked.is_none() {
        return Ok(false);
    }
    let locked = sqlx::query_scalar!(
        "SELECT rank FROM leases WHERE attempt_id = $1 AND released_at IS NULL ORDER BY rank
         FOR NO KEY UPDATE SKIP LOCKED",
        attempt
    )
    .fetch_all(&mut *conn)
    .await?;
    let live = sqlx::query_scalar!(
        r#"SELECT count(*) AS "live!" FROM leases WHERE attempt_id = $1 AND released_at IS NULL"#,
        attempt
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(live) == Ok(locked.len() as u64))
}

/// Renews the leases of ranks whose reports have just been stored: the last statement of a report's transaction, because
/// they could not be renewed while it ran.
pub(crate) async fn renew_reported(conn: &mut Conn, ranks: &[(Uuid, u32)]) -> DbResult<()> {
    sqlx::query!(
        "UPDATE leases SET expires_at = GREATEST(expires_at, clock_timestamp() + make_interval(secs => $3))
         FROM UNNEST($1::uuid[], $2::integer[]) AS reported (attempt_id, rank)
         WHERE leases.attempt_id = reported.attempt_id AND leases.rank = reported.rank AND released_at IS NULL",
        &column(ranks, |(attempt, _)| *attempt),
        &column(ranks, |(_, rank)| integer(*rank)),
        timing().lease.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// Releases the lease of a rank that has ended; `false` if it was released before.
pub(crate) async fn release(
    conn: &mut Conn,
    attempt: Uuid,
    fence: i64,
    rank: u32,
    outcome: RankOutcome,
    cause: &str,
) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE leases SET released_at = clock_timestamp(), outcome = $4::text::rank_outcome, cause = $5
         WHERE attempt_id = $1 AND fence = $2 AND rank = $3 AND released_at IS NULL",
        attempt,
        fence,
        integer(rank),
        outcome.label(),
        cause,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Advances the number of the last stored event to `sequence`; returns the number before, or `None` if the worker is
/// stale. A report renews the lease, like a heartbeat.
pub(crate) async fn advance(
    conn: &mut Conn,
    attempt: Uuid,
    fence: i64,
    rank: u32,
    worker: Uuid,
    sequence: i64,
) -> DbResult<Option<i64>> {
    sqlx::query_scalar!(
        "WITH before AS (
             SELECT attempt_id, rank, last_sequence FROM leases
             WHERE attempt_id = $1 AND fence = $2 AND rank = $3 AND worker_id = $4 AND released_at IS NULL
             FOR NO KEY UPDATE
         )
         UPDATE leases SET
             last_sequence = GREATEST(before.last_sequence, $5),
             expires_at = GREATEST(leases.expires_at, clock_timestamp() + make_interval(secs => $6))
         FROM before WHERE leases.attempt_id = before.attempt_id AND leases.rank = before.rank
         RETURNING before.last_sequence",
        attempt,
        fence,
        integer(rank),
        worker,
        sequence,
        timing().lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await
}

#[derive(Clone, Debug)]
pub(crate) struct Advanced {
    pub(crate) attempt: Uuid,
    pub(crate) rank: u32,
    pub(crate) job: Uuid,
    /// Number of the last event that was stored before.
    pub(crate) before: i64,
}

/// [`advance`] for many reports at once, of attempts in training. Each (attempt, rank) may occur once.
pub(crate) async fn advance_training(conn: &mut Conn, reports: &[(LeaseHolder, i64)]) -> DbResult<Vec<Advanced>> {
    let rows = sqlx::query!(
        "WITH before AS (
             SELECT l.attempt_id, l.rank, l.last_sequence, report.sequence, a.job_id
             FROM UNNEST($1::uuid[], $2::bigint[], $3::integer[], $4::uuid[], $5::bigint[])
                 AS report (attempt_id, fence, rank, worker_id, sequence)
             JOIN leases l ON l.attempt_id = report.attempt_id AND l.rank = report.rank AND l.fence = report.fence
                          AND l.worker_id = report.worker_id AND l.released_at IS NULL
             JOIN attempts a ON a.id = l.attempt_id AND a.state = 'training'
             ORDER BY l.attempt_id, l.rank FOR NO KEY UPDATE OF l
         )
         UPDATE leases SET
             last_sequence = GREATEST(before.last_sequence, before.sequence),
             expires_at = GREATEST(leases.expires_at, clock_timestamp() + make_interval(secs => $6))
         FROM before WHERE leases.attempt_id = before.attempt_id AND leases.rank = before.rank
         RETURNING before.attempt_id, before.rank, before.job_id, before.last_sequence",
        &column(reports, |(holder, _)| holder.attempt),
        &column(reports, |(holder, _)| holder.fence),
        &column(reports, |(holder, _)| integer(holder.rank)),
        &column(reports, |(holder, _)| holder.worker),
        &column(reports, |(_, sequence)| *sequence),
        timing().lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    let advanced = rows.into_iter().map(|row| Advanced {
        attempt: row.attempt_id,
        rank: small(row.rank),
        job: row.job_id,
        before: row.last_sequence,
    });
    Ok(advanced.collect())
}

/// A rank that a worker reports to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportedRank {
    pub(crate) worker: Uuid,
    pub(crate) attempt: Uuid,
    pub(crate) fence: i64,
    pub(crate) rank: u32,
    /// Since it last made progress.
    pub(crate) idle: Duration,
    /// Its slowest piece of work so far.
    pub(crate) slowest: Option<Duration>,
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(super::unsigned(ms))
}

/// Renews the leases of ranks that their workers report to run, and of those that were assigned lately and have not
/// reported. `heartbeats` are workers and the seconds since their last heartbeat: a lease counts from there. Returns
/// the renewed (attempt, rank) pairs; a lease that is locked is skipped.
pub(crate) async fn renew(
    conn: &mut Conn,
    reported: &[ReportedRank],
    heartbeats: &[(Uuid, f64)],
) -> DbResult<HashSet<(Uuid, u32)>> {
    let (seen, ages): (Vec<Uuid>, Vec<f64>) = heartbeats.iter().copied().unzip();
    let rows = sqlx::query!(
        "WITH renewable AS (
             SELECT l.attempt_id, l.rank, heartbeat.age, held.idle, held.slowest
             FROM leases l
             JOIN attempts a ON a.id = l.attempt_id
             JOIN UNNEST($5::uuid[], $6::float8[]) AS heartbeat (worker_id, age) ON heartbeat.worker_id = l.worker_id
             LEFT JOIN UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::integer[], $9::float8[], $10::bigint[])
                     AS held (worker_id, attempt_id, fence, rank, idle, slowest)
                 ON held.worker_id = l.worker_id AND held.attempt_id = l.attempt_id
                AND held.fence = l.fence AND held.rank = l.rank
             WHERE l.released_at IS NULL AND (held.fence IS NOT NULL
                 OR (l.last_sequence = 0 AND a.state IN ('assigned', 'starting', 'training')
                     AND a.assigned_at > clock_timestamp() - make_interval(secs => $7)))
             ORDER BY l.attempt_id, l.rank
             FOR NO KEY UPDATE OF l SKIP LOCKED
         )
         UPDATE leases SET
             expires_at = GREATEST(expires_at, clock_timestamp() + make_interval(secs => $8 - renewable.age)),
             progress_at = COALESCE(
                 clock_timestamp() - make_interval(secs => renewable.age + renewable.idle), leases.progress_at),
             slowest_ms = GREATEST(renewable.slowest, leases.slowest_ms)
         FROM renewable WHERE leases.attempt_id = renewable.attempt_id AND leases.rank = renewable.rank
         RETURNING leases.attempt_id, leases.rank",
        &column(reported, |rank| rank.worker),
        &column(reported, |rank| rank.attempt),
        &column(reported, |rank| rank.fence),
        &column(reported, |rank| integer(rank.rank)),
        &seen,
        &ages,
        timing::RENDEZVOUS.as_secs_f64(),
        timing().lease.as_secs_f64(),
        &column(reported, |rank| rank.idle.as_secs_f64()),
        &column(reported, |rank| rank.slowest.and_then(|slowest| i64::try_from(slowest.as_millis()).ok()))
            as &[Option<i64>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.attempt_id, small(row.rank))).collect())
}

/// Those of these ranks whose leases are live, locked or not.
pub(crate) async fn live(conn: &mut Conn, reported: &[ReportedRank]) -> DbResult<Vec<(Uuid, u32)>> {
    let rows = sqlx::query!(
        "SELECT l.attempt_id, l.rank FROM leases l
         JOIN UNNEST($1::uuid[], $2::bigint[], $3::integer[], $4::uuid[]) AS held (attempt_id, fence, rank, worker_id)
           ON held.attempt_id = l.attempt_id AND held.fence = l.fence AND held.rank = l.rank
          AND held.worker_id = l.worker_id
         WHERE l.released_at IS NULL",
        &column(reported, |rank| rank.attempt),
        &column(reported, |rank| rank.fence),
        &column(reported, |rank| integer(rank.rank)),
        &column(reported, |rank| rank.worker),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.attempt_id, small(row.rank))).collect())
}

/// Renews every live lease and its progress, as no coordinator may have for a while; returns their number.
pub(crate) async fn renew_all(conn: &mut Conn) -> DbResult<u64> {
    sqlx::query!(
        "UPDATE leases SET expires_at = GREATEST(expires_at, clock_timestamp() + make_interval(secs => $1)),
                            progress_at = CASE WHEN progress_at IS NOT NULL THEN clock_timestamp() END
         WHERE released_at IS NULL",
        timing().lease.as_secs_f64()
    )
    .run(conn)
    .await
    .map(RowsChanged::count)
}

/// Attempts with a lease that may have expired; [`LeaseStatus::expiry`] decides once it is locked.
pub(crate) async fn expired(conn: &mut Conn) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT attempt_id FROM leases
         WHERE released_at IS NULL AND (
             expires_at <= clock_timestamp() OR progress_at <= clock_timestamp() - make_interval(secs => $1))
         ORDER BY attempt_id",
        timing().progress.takeover.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// Stores that the assignment is about to be sent; `false` if the lease was released.
pub(crate) async fn mark_dispatched(conn: &mut Conn, attempt: Uuid, rank: u32, worker: Uuid) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE leases SET dispatched_at = COALESCE(dispatched_at, clock_timestamp())
         WHERE attempt_id = $1 AND rank = $2 AND worker_id = $3 AND released_at IS NULL",
        attempt,
        integer(rank),
        worker,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}
