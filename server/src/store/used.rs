//! Who has used how much of the devices, and how people submit.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement, small, unsigned};

/// Counts the devices of an attempt that has just ended, for the job's owner, by the hours that it took.
pub(super) async fn charge(conn: &mut Conn, attempt: Uuid) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO device_use (owner, hour, device_kind, seconds)
         SELECT j.owner, hour, w.device_kind,
                sum(GREATEST(0, EXTRACT(epoch FROM LEAST(span.stop, hour + interval '1 hour') - GREATEST(span.start, hour))))
         FROM attempts a JOIN jobs j ON j.id = a.job_id
         JOIN leases l ON l.attempt_id = a.id JOIN workers w ON w.id = l.worker_id
         CROSS JOIN LATERAL (SELECT a.assigned_at AS start, COALESCE(a.verifying_at, a.ended_at) AS stop) span
         CROSS JOIN LATERAL generate_series(date_trunc('hour', span.start), span.stop, interval '1 hour') AS hour
         -- Those of no term were brought in: they took none of our devices.
         WHERE a.id = $1 AND a.leader_term <> 0 GROUP BY j.owner, hour, w.device_kind ORDER BY j.owner, hour, w.device_kind
         ON CONFLICT (owner, hour, device_kind) DO UPDATE SET seconds = device_use.seconds + excluded.seconds",
        attempt
    )
    .run_any(conn)
    .await
}

/// What each person has had of the devices, running attempts included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    /// Seconds, each by its age: after a half-life it counts half.
    pub(crate) decayed: f64,
    /// Seconds of the last seven days.
    pub(crate) this_week: f64,
    /// Devices that it runs on now.
    pub(crate) devices: u32,
}

/// What is older than so many half-lives, a thousandth, does not count.
const HALF_LIVES: f64 = 10.0;

pub(crate) async fn used(conn: &mut Conn, half_life: f64) -> DbResult<BTreeMap<String, Used>> {
    let rows = sqlx::query!(
        r#"SELECT owner AS "owner!",
                  COALESCE(sum(seconds * power(0.5, EXTRACT(epoch FROM clock_timestamp() - hour)::float8 / $1)), 0) AS "decayed!",
                  COALESCE(sum(seconds) FILTER (WHERE hour > clock_timestamp() - interval '7 days'), 0) AS "this_week!",
                  0 AS "devices!"
           FROM device_use
           WHERE hour > clock_timestamp() - GREATEST(make_interval(secs => $1 * $2), interval '7 days') GROUP BY owner
           UNION ALL
           SELECT j.owner, seconds, seconds, devices
           FROM (SELECT a.job_id, count(*)::integer AS devices,
                        sum(EXTRACT(epoch FROM clock_timestamp() - a.assigned_at))::float8 AS seconds
                 FROM attempts a JOIN leases l ON l.attempt_id = a.id
                 WHERE a.ended_at IS NULL AND a.verifying_at IS NULL GROUP BY a.job_id) running
           JOIN jobs j ON j.id = running.job_id"#,
        half_life,
        HALF_LIVES,
    )
    .fetch_all(conn)
    .await?;
    let mut used: BTreeMap<String, Used> = BTreeMap::new();
    for row in rows {
        let one = used.entry(row.owner).or_default();
        one.decayed += row.decayed;
        one.this_week += row.this_week;
        one.devices += small(row.devices);
    }
    Ok(used)
}

/// Jobs of `owner` that wait, for others, for workers or for a person.
pub(crate) async fn waiting(conn: &mut Conn, owner: &str) -> DbResult<u64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM jobs WHERE owner = $1 AND state IN ('blocked', 'queued', 'paused')"#,
        owner
    )
    .fetch_one(conn)
    .await?;
    Ok(unsigned(count))
}

/// The work that each person has submitted in the last two weeks, by the submits' hours, in 10^9 operations on the least gang.
pub(crate) async fn submits(conn: &mut Conn) -> DbResult<Vec<(String, DateTime<Utc>, f64)>> {
    let rows = sqlx::query!(
        r#"SELECT owner, date_trunc('hour', submitted_at) AS "hour!", sum(gflop) AS "gflop!"
           FROM jobs WHERE submitted_at > clock_timestamp() - interval '14 days'
           GROUP BY owner, date_trunc('hour', submitted_at) ORDER BY owner, date_trunc('hour', submitted_at)"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.owner, row.hour, row.gflop)).collect())
}
