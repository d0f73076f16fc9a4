//! What this coordinator heard of its workers: one row, written whole every one or two seconds.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{Conn, DbResult, column, integer, rows::Statement, signed};

/// The newest heartbeat of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) worker: Uuid,
    /// Since it came.
    pub(crate) age: Duration,
    pub(crate) facts: Option<Value>,
    /// The leases that it renewed.
    pub(crate) leases: Vec<RenewedLease>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RenewedLease {
    pub(crate) attempt: Uuid,
    pub(crate) rank: u32,
    /// Since it last made progress; `None` if its worker has not said.
    pub(crate) idle: Option<Duration>,
    /// Its slowest piece of work so far.
    pub(crate) slowest: Option<Duration>,
}

/// Replaces what this coordinator wrote before.
pub(crate) async fn put(conn: &mut Conn, coordinator: Uuid, heard: &[Heard]) -> DbResult<()> {
    let leases: Vec<(f64, RenewedLease)> =
        heard.iter().flat_map(|heard| heard.leases.iter().map(|lease| (heard.age.as_secs_f64(), *lease))).collect();
    let millis = |span: Duration| signed(span.as_millis().try_into().unwrap_or(u64::MAX));
    sqlx::query!(
        "INSERT INTO heartbeats (coordinator, at, workers, ages, facts, attempts, ranks, lease_ages, idle, slowest_ms)
         VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (coordinator) DO UPDATE SET
             at = clock_timestamp(), workers = excluded.workers, ages = excluded.ages, facts = excluded.facts,
             attempts = excluded.attempts, ranks = excluded.ranks, lease_ages = excluded.lease_ages,
             idle = excluded.idle, slowest_ms = excluded.slowest_ms",
        coordinator,
        &column(heard, |heard| heard.worker),
        &column(heard, |heard| heard.age.as_secs_f64()),
        &column(heard, |heard| heard.facts.clone()) as &[Option<Value>],
        &column(&leases, |(_, lease)| lease.attempt),
        &column(&leases, |(_, lease)| integer(lease.rank)),
        &column(&leases, |(age, _)| *age),
        &column(&leases, |(_, lease)| lease.idle.map(|idle| idle.as_secs_f64())) as &[Option<f64>],
        &column(&leases, |(_, lease)| lease.slowest.map(millis)) as &[Option<i64>],
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
