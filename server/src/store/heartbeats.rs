//! What this coordinator heard of its workers: one row, written whole every one or two seconds.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Conn, DbResult, column, integer, rows::Statement};

/// The newest heartbeat of one worker. All times are by the database's clock.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) worker: Uuid,
    pub(crate) at: DateTime<Utc>,
    pub(crate) facts: Option<Value>,
    /// The leases that it renewed, and those that an earlier one did.
    pub(crate) leases: Vec<RenewedLease>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RenewedLease {
    pub(crate) attempt: Uuid,
    pub(crate) rank: u32,
    /// By the heartbeat that came then.
    pub(crate) at: DateTime<Utc>,
    /// When its rank last made progress; `None` if its worker has not said.
    pub(crate) progress_at: Option<DateTime<Utc>>,
    /// Its slowest piece of work so far.
    pub(crate) slowest: Option<Duration>,
}

/// Replaces what this coordinator wrote before.
pub(crate) async fn put(conn: &mut Conn, coordinator: Uuid, heard: &[Heard]) -> DbResult<()> {
    let leases: Vec<RenewedLease> = heard.iter().flat_map(|heard| heard.leases.iter().copied()).collect();
    sqlx::query!(
        "INSERT INTO heartbeats (coordinator, at, workers, heard, facts, attempts, ranks, renewed, progress, slowest_ms)
         VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (coordinator) DO UPDATE SET
             at = clock_timestamp(), workers = excluded.workers, heard = excluded.heard, facts = excluded.facts,
             attempts = excluded.attempts, ranks = excluded.ranks, renewed = excluded.renewed,
             progress = excluded.progress, slowest_ms = excluded.slowest_ms",
        coordinator,
        &column(heard, |heard| heard.worker),
        &column(heard, |heard| heard.at),
        &column(heard, |heard| heard.facts.clone()) as &[Option<Value>],
        &column(&leases, |lease| lease.attempt),
        &column(&leases, |lease| integer(lease.rank)),
        &column(&leases, |lease| lease.at),
        &column(&leases, |lease| lease.progress_at) as &[Option<DateTime<Utc>>],
        &column(&leases, |lease| lease.slowest.map(super::millis)) as &[Option<i64>],
    )
    .run_any(conn)
    .await
}

/// Removes what coordinators wrote that have been silent for so long.
pub(crate) async fn forget(conn: &mut Conn, silent_for: Duration) -> DbResult<()> {
    sqlx::query!(
        "DELETE FROM heartbeats WHERE at < clock_timestamp() - make_interval(secs => $1)",
        silent_for.as_secs_f64()
    )
    .run_any(conn)
    .await
}
