//! Leases: the right of a worker to act as one rank of one attempt, for a limited time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::{lease::LeaseStatus, state::RankOutcome, timing, timing::timing};
use uuid::Uuid;

use super::{
    Conn, DbResult, column,
    heartbeats::RenewedLease,
    integer, parse,
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
    .run(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO received (attempt_id, rank) SELECT attempt_id, rank FROM leases WHERE attempt_id = $1",
        attempt
    )
    .run_any(conn)
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
    sqlx::query!("SELECT rank FROM leases WHERE attempt_id = $1 ORDER BY rank FOR NO KEY UPDATE", attempt)
        .fetch_all(&mut *conn)
        .await?;
    // Read once they are locked: a heartbeat that was being written until then has renewed them.
    let rows = sqlx::query!(
        r#"SELECT l.rank, l.worker_id, w.name, l.fence, l.outcome::text AS outcome,
                  l.dispatched_at IS NOT NULL AS "is_dispatched!",
                  GREATEST(l.expires_at, heard.at + make_interval(secs => $2)) AS "expires_at!",
                  GREATEST(w.last_seen, worker.at) AS "last_seen!",
                  -- Whichever was written last: the lease by itself is written a lease's time before it expires.
                  CASE WHEN heard.at > l.expires_at - make_interval(secs => $2)
                       THEN COALESCE(heard.progress_at, l.progress_at)
                       ELSE COALESCE(l.progress_at, heard.progress_at) END AS progress_at,
                  GREATEST(l.slowest_ms, heard.slowest_ms) AS slowest_ms, clock_timestamp() AS "now!"
           FROM leases l JOIN workers w ON w.id = l.worker_id
           LEFT JOIN leases_heard() heard ON heard.attempt_id = l.attempt_id AND heard.rank = l.rank
           LEFT JOIN workers_heard() worker ON worker.worker_id = l.worker_id
           WHERE l.attempt_id = $1 ORDER BY l.rank"#,
        attempt,
        timing().lease.as_secs_f64(),
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

/// Locks the leases of ranks that their workers report to run, and of those that were assigned lately and have not
/// reported: these are renewed by the heartbeats of `workers`. Returns (attempt, rank, worker); a lease that is locked
/// already is skipped.
pub(crate) async fn lock_renewable(
    conn: &mut Conn,
    reported: &[ReportedRank],
    workers: &[Uuid],
) -> DbResult<Vec<(Uuid, u32, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT l.attempt_id, l.rank, l.worker_id
         FROM leases l
         JOIN attempts a ON a.id = l.attempt_id
         LEFT JOIN UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::integer[]) AS held (worker_id, attempt_id, fence, rank)
             ON held.worker_id = l.worker_id AND held.attempt_id = l.attempt_id
            AND held.fence = l.fence AND held.rank = l.rank
         WHERE l.worker_id = ANY($5) AND l.released_at IS NULL AND (held.fence IS NOT NULL
             OR (NOT l.has_reported AND a.state IN ('assigned', 'starting', 'training')
                 AND a.assigned_at > clock_timestamp() - make_interval(secs => $6)))
         ORDER BY l.attempt_id, l.rank
         FOR NO KEY UPDATE OF l SKIP LOCKED",
        &column(reported, |rank| rank.worker),
        &column(reported, |rank| rank.attempt),
        &column(reported, |rank| rank.fence),
        &column(reported, |rank| integer(rank.rank)),
        workers,
        timing::RENDEZVOUS.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.attempt_id, small(row.rank), row.worker_id)).collect())
}

/// Stores that these ranks have reported, and renews their leases: a heartbeat that was sent before a rank started does not
/// report it, and from now on renews it no more.
pub(crate) async fn set_reported(conn: &mut Conn, ranks: &[(Uuid, u32)]) -> DbResult<()> {
    if ranks.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE leases SET has_reported = true,
             expires_at = GREATEST(expires_at, clock_timestamp() + make_interval(secs => $3))
         FROM UNNEST($1::uuid[], $2::integer[]) AS reported (attempt_id, rank)
         WHERE leases.attempt_id = reported.attempt_id AND leases.rank = reported.rank AND released_at IS NULL",
        &column(ranks, |(attempt, _)| *attempt),
        &column(ranks, |(_, rank)| integer(*rank)),
        timing().lease.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// Renews these leases as of now, with the progress of their ranks: as a worker registers.
pub(crate) async fn renew(conn: &mut Conn, leases: &[RenewedLease]) -> DbResult<()> {
    sqlx::query!(
        "UPDATE leases SET
             expires_at = GREATEST(expires_at, clock_timestamp() + make_interval(secs => $3)),
             progress_at = COALESCE(renewed.progress_at, leases.progress_at),
             slowest_ms = GREATEST(renewed.slowest_ms, leases.slowest_ms)
         FROM UNNEST($1::uuid[], $2::integer[], $4::timestamptz[], $5::bigint[])
             AS renewed (attempt_id, rank, progress_at, slowest_ms)
         WHERE leases.attempt_id = renewed.attempt_id AND leases.rank = renewed.rank AND released_at IS NULL",
        &column(leases, |lease| lease.attempt),
        &column(leases, |lease| integer(lease.rank)),
        timing().lease.as_secs_f64(),
        &column(leases, |lease| lease.progress_at) as &[Option<DateTime<Utc>>],
        &column(leases, |lease| lease.slowest.map(super::millis)) as &[Option<i64>],
    )
    .run_any(conn)
    .await
}

/// Those of these ranks whose leases are live, locked or not.
pub(crate) async fn live(conn: &mut Conn, reported: &[ReportedRank]) -> DbResult<Vec<(Uuid, u32, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT l.attempt_id, l.rank, l.worker_id FROM leases l
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
    Ok(rows.into_iter().map(|row| (row.attempt_id, small(row.rank), row.worker_id)).collect())
}

/// Renews every live lease and its progress, as no coordinator may have for a while; returns their number.
pub(crate) async fn renew_all(conn: &mut Conn) -> DbResult<u64> {
    sqlx::query!(
        "UPDATE leases SET
             expires_at = GREATEST(leases.expires_at, clock_timestamp() + make_interval(secs => $1)),
             progress_at = CASE WHEN COALESCE(leases.progress_at, heard.progress_at) IS NOT NULL THEN clock_timestamp() END,
             slowest_ms = GREATEST(leases.slowest_ms, heard.slowest_ms)
         FROM leases l LEFT JOIN leases_heard() heard ON heard.attempt_id = l.attempt_id AND heard.rank = l.rank
         WHERE l.attempt_id = leases.attempt_id AND l.rank = leases.rank AND leases.released_at IS NULL
             AND l.released_at IS NULL",
        timing().lease.as_secs_f64()
    )
    .run(conn)
    .await
    .map(RowsChanged::count)
}

/// Attempts with a lease that may have expired; [`LeaseStatus::expiry`] decides once it is locked.
pub(crate) async fn expired(conn: &mut Conn) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT l.attempt_id FROM leases l
         LEFT JOIN leases_heard() heard ON heard.attempt_id = l.attempt_id AND heard.rank = l.rank
         WHERE l.released_at IS NULL AND (
             GREATEST(l.expires_at, heard.at + make_interval(secs => $2)) <= clock_timestamp()
             OR CASE WHEN heard.at > l.expires_at - make_interval(secs => $2)
                       THEN COALESCE(heard.progress_at, l.progress_at)
                       ELSE COALESCE(l.progress_at, heard.progress_at) END <= clock_timestamp() - make_interval(secs => $1))
         ORDER BY l.attempt_id",
        timing().progress.takeover.as_secs_f64(),
        timing().lease.as_secs_f64(),
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
