//! Who had how much of the devices: from leases, which are the right to them.
//!
//! [`used`](super::used) has nearly the same sums, for another end. A pass of the scheduler reads that once a second, so it is a row
//! for each person and hour that is written when an attempt ends, and whom it is charged to does not change any more. This is read
//! when somebody asks: it has what runs now, by the day in UTC, counts jobs, and goes by whose a job is today. Neither can be had from the
//! other without its jobs or its cost.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, small};

/// More than a year of a large house.
const ROWS_MAX: i64 = 20_000;

/// What a person's jobs had of one kind of device on a day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UsageRow {
    /// In UTC: 2026-11-30.
    pub(crate) day: String,
    pub(crate) owner: String,
    pub(crate) kind: String,
    pub(crate) device_seconds: f64,
    pub(crate) jobs: u32,
}

/// By day, the newest first, then by person and kind. A job that several want counts for who asked for it first and still wants it.
pub(crate) async fn since(conn: &mut Conn, since: DateTime<Utc>) -> DbResult<Vec<UsageRow>> {
    let rows = sqlx::query!(
        r#"SELECT to_char(part.day, 'YYYY-MM-DD') AS "day!", held.owner AS "owner!", held.kind AS "kind!",
                  sum(EXTRACT(epoch FROM LEAST(held.ends, part.day + interval '1 day') - GREATEST(held.begins, part.day)))::float8
                      AS "device_seconds!",
                  count(DISTINCT held.job_id)::integer AS "jobs!"
           FROM (SELECT j.owner, w.device_kind AS kind, a.job_id,
                        GREATEST(a.assigned_at, $1) AT TIME ZONE 'UTC' AS begins,
                        COALESCE(l.released_at, clock_timestamp()) AT TIME ZONE 'UTC' AS ends
                 FROM leases l JOIN attempts a ON a.id = l.attempt_id JOIN jobs j ON j.id = a.job_id
                 JOIN workers w ON w.id = l.worker_id
                 WHERE l.released_at IS NULL OR l.released_at > $1) held
           CROSS JOIN LATERAL generate_series(date_trunc('day', held.begins), held.ends, interval '1 day') AS part (day)
           WHERE held.ends > held.begins
           GROUP BY part.day, held.owner, held.kind
           ORDER BY part.day DESC, held.owner, held.kind LIMIT $2"#,
        since,
        ROWS_MAX,
    )
    .fetch_all(conn)
    .await?;
    let usage = rows.into_iter().map(|row| UsageRow {
        day: row.day,
        owner: row.owner,
        kind: row.kind,
        device_seconds: row.device_seconds,
        jobs: small(row.jobs),
    });
    Ok(usage.collect())
}

/// A rank of an attempt, and from when to when it held its worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldRow {
    pub(crate) attempt: i32,
    pub(crate) rank: i32,
    pub(crate) worker: Uuid,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// The newest of these of a job, in their order.
pub(crate) async fn held_by(conn: &mut Conn, job: Uuid, most: i64) -> DbResult<Vec<HeldRow>> {
    sqlx::query_as!(
        HeldRow,
        r#"SELECT attempt AS "attempt!", rank AS "rank!", worker AS "worker!", "from" AS "from!", until AS "until!"
           FROM (SELECT a.number AS attempt, l.rank, l.worker_id AS worker, a.assigned_at AS "from",
                        COALESCE(l.released_at, clock_timestamp()) AS until
                 FROM attempts a JOIN leases l ON l.attempt_id = a.id
                 WHERE a.job_id = $1 ORDER BY a.number DESC, l.rank LIMIT $2) newest
           ORDER BY attempt, rank"#,
        job,
        most,
    )
    .fetch_all(conn)
    .await
}
