//! What chaos asks the database. It may be away at any moment: an error means "ask again".

use anyhow::Result;
use sqlx::FromRow;
use tandem_harness::{APPLICATION_NAME, Database};

/// A job of the experiment at a moment of the database's clock.
#[derive(Clone, Debug, Default, PartialEq, FromRow)]
pub(crate) struct JobStatus {
    pub(crate) now: f64,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    /// Of the attempt that runs; its state is empty if none does.
    pub(crate) live_fence: Option<i64>,
    pub(crate) live_state: String,
    /// The newest checkpoint of the newest attempt that wrote any; the same for metrics.
    pub(crate) checkpoint_fence: Option<i64>,
    pub(crate) checkpoint_step: Option<i64>,
    pub(crate) metric_fence: Option<i64>,
    pub(crate) metric_step: Option<i64>,
    /// Attempts lost since the last committed checkpoint. After the sixth the job fails.
    pub(crate) losses: i64,
}

const JOBS: &str = "
SELECT EXTRACT(epoch FROM clock_timestamp())::float8 AS now, j.name, j.state::text AS state, j.reason,
       a.fence AS live_fence, COALESCE(a.state::text, '') AS live_state,
       c.fence AS checkpoint_fence, c.step AS checkpoint_step, m.fence AS metric_fence, m.step AS metric_step,
       (SELECT count(*) FROM attempts l
        WHERE l.job_id = j.id AND l.state = 'lost' AND l.fence > COALESCE(c.fence, 0)) AS losses
FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
LEFT JOIN attempts a ON a.job_id = j.id AND a.ended_at IS NULL
LEFT JOIN LATERAL (SELECT fence, step FROM checkpoints WHERE job_id = j.id
                   ORDER BY fence DESC, step DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT fence, step FROM metric_points WHERE job_id = j.id
                   ORDER BY fence DESC, step DESC LIMIT 1) m ON true
WHERE e.experiment_id::text = $1 ORDER BY e.position";

/// In the order of the experiment's graph.
pub(crate) fn jobs(database: &Database, experiment: &str) -> Result<Vec<JobStatus>> {
    database.rows_for(JOBS, experiment)
}

/// Leases that the experiment's jobs hold.
pub(crate) fn live_leases(database: &Database, experiment: &str) -> Result<i64> {
    const LIVE: &str = "
        SELECT count(*) FROM experiment_jobs e JOIN attempts a ON a.job_id = e.job_id
        JOIN leases l ON l.attempt_id = a.id WHERE e.experiment_id::text = $1 AND l.released_at IS NULL";
    let rows: Vec<(i64,)> = database.rows_for(LIVE, experiment)?;
    Ok(rows.iter().map(|(count,)| count).sum())
}

/// Time in seconds, kind and message of all events after the numbered one.
pub(crate) fn events_since(database: &Database, id: i64) -> Result<Vec<(f64, String, String)>> {
    database
        .rows(&format!("SELECT EXTRACT(epoch FROM at)::float8, kind, message FROM events WHERE id > {id} ORDER BY id"))
}

pub(crate) fn last_event(database: &Database) -> Result<i64> {
    database.value("SELECT COALESCE(max(id), 0) FROM events")
}

/// Workers that are connected and take jobs.
pub(crate) fn ready_workers(database: &Database) -> Result<i64> {
    database.value("SELECT count(*) FROM workers WHERE session_id IS NOT NULL AND state = 'ready'")
}

/// The database's clock, in seconds.
pub(crate) fn now(database: &Database) -> Result<f64> {
    database.value("SELECT EXTRACT(epoch FROM clock_timestamp())::float8")
}

/// Name and term of the coordinator that schedules; `None` while there is none.
pub(crate) fn leader(database: &Database) -> Result<Option<(String, i64)>> {
    Ok(database.rows("SELECT name, term FROM leader WHERE expires_at > clock_timestamp()")?.pop())
}

/// Process ids of the coordinators' connections, not of our own.
pub(crate) fn backends(database: &Database) -> Result<Vec<(i32,)>> {
    const OTHERS: &str = "SELECT pid FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name <> $1 ORDER BY pid";
    database.rows_for(OTHERS, APPLICATION_NAME)
}

/// False if there was no such connection any more.
pub(crate) fn end_backend(database: &Database, pid: i32) -> Result<bool> {
    database.value(&format!("SELECT pg_terminate_backend({pid})"))
}

/// From now on no commit is answered, although it happens: each waits for a replica that does not exist.
pub(crate) fn hold_commits(database: &Database) -> Result<()> {
    database.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")?;
    database.value::<bool>("SELECT pg_reload_conf()").map(drop)
}

/// Ends [`hold_commits`]: those that wait are answered.
pub(crate) fn answer_commits(database: &Database) -> Result<()> {
    database.execute("ALTER SYSTEM RESET synchronous_standby_names")?;
    database.value::<bool>("SELECT pg_reload_conf()").map(drop)
}

/// Whether the attempt under this fence was lost.
pub(crate) fn is_lost(database: &Database, fence: i64) -> Result<bool> {
    database.value(&format!("SELECT count(*) > 0 FROM attempts WHERE fence = {fence} AND state = 'lost'"))
}
