//! Counts for `/metrics`.

use uuid::Uuid;

use super::{Conn, DbResult, leader, workers};

/// What is stored, in numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    /// By state, of what has not ended.
    pub(crate) jobs: Vec<(String, i64)>,
    /// By stage and kind of device.
    pub(crate) running: Vec<(String, String, i64)>,
    /// State and kind of each.
    pub(crate) devices: Vec<(String, String)>,
    /// By state, without what was sent.
    pub(crate) tells: Vec<(String, i64)>,
    pub(crate) is_leader: bool,
    pub(crate) has_leader: bool,
    /// Seconds.
    pub(crate) longest_wait: f64,
}

/// By `holder`, this coordinator holds the leader row.
pub(crate) async fn read(conn: &mut Conn, holder: Uuid) -> DbResult<Stored> {
    // Each by a partial index, however many have ended.
    let jobs = sqlx::query!(
        r#"SELECT state::text AS "state!", count(*) AS "count!" FROM jobs
           WHERE state IN ('blocked', 'queued', 'running') GROUP BY state"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let running = sqlx::query!(
        r#"SELECT j.stage, COALESCE(w.device_kind, 'none') AS "device_kind!", count(*) AS "count!"
           FROM jobs j
           LEFT JOIN attempts a ON a.job_id = j.id AND a.ended_at IS NULL
           LEFT JOIN leases l ON l.attempt_id = a.id AND l.rank = 0
           LEFT JOIN workers w ON w.id = l.worker_id
           WHERE j.state = 'running' GROUP BY 1, 2 ORDER BY 1, 2"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let tells = sqlx::query!(
        r#"SELECT state, count(*) AS "count!" FROM tells WHERE state = 'pending' OR (ended_at IS NOT NULL AND state = 'given up')
           GROUP BY state"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let longest_wait = sqlx::query_scalar!(
        r#"SELECT COALESCE(extract(epoch FROM clock_timestamp() - min(queued_at)), 0)::float8 AS "seconds!"
           FROM jobs WHERE state = 'queued'"#
    )
    .fetch_one(&mut *conn)
    .await?;
    let devices = workers::list(&mut *conn).await?;
    let has_leader = leader::name(&mut *conn).await?.is_some();
    let is_leader = leader::term_of(conn, holder).await?.is_some();
    Ok(Stored {
        jobs: jobs.into_iter().map(|row| (row.state, row.count)).collect(),
        running: running.into_iter().map(|row| (row.stage, row.device_kind, row.count)).collect(),
        devices: devices.into_iter().map(|worker| (worker.state, worker.device_kind)).collect(),
        tells: tells.into_iter().map(|row| (row.state, row.count)).collect(),
        is_leader,
        has_leader,
        longest_wait,
    })
}
