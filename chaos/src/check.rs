//! What must hold in the database after a run, and what the run left there.

use anyhow::Result;
use tandem_harness::Database;

use crate::{experiment::is_deterministic, record::Record};

/// Each query finds violations of one rule, a row for each; `$1` is the experiment.
const RULES: [&str; 7] = [
    // Every job succeeds, by exactly one attempt.
    "SELECT j.name || ' is ' || j.state::text || ': ' || j.reason FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
     WHERE e.experiment_id::text = $1 AND j.state <> 'succeeded'",
    "SELECT j.name || ' has ' || count(a.id) || ' attempts that succeeded'
     FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
     LEFT JOIN attempts a ON a.job_id = j.id AND a.state = 'succeeded'
     WHERE e.experiment_id::text = $1 GROUP BY j.id, j.name HAVING count(a.id) <> 1",
    "SELECT j.name || ' has succeeded ' || count(v.id) || ' times by its events'
     FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
     LEFT JOIN events v ON v.job_id = j.id AND v.kind = 'succeeded'
     WHERE e.experiment_id::text = $1 GROUP BY j.id, j.name HAVING count(v.id) <> 1",
    // Nothing is accepted from an attempt after its end, or under the fence of no attempt.
    "WITH written AS (
         SELECT job_id, fence, at, 'points of ' || name AS what FROM metric_points
         UNION ALL SELECT job_id, fence, at, 'checkpoints' FROM checkpoints
         UNION ALL SELECT job_id, fence, at, 'artifact ' || name FROM artifacts
         UNION ALL SELECT job_id, fence, at, 'result ' || name FROM results)
     SELECT j.name || ': ' || count(*) || ' ' || w.what || CASE
                WHEN a.id IS NULL THEN ' under fence ' || w.fence || ', which is no attempt of it'
                ELSE ' came up to ' || round(EXTRACT(epoch FROM max(w.at) - a.ended_at), 1) || ' s after attempt '
                     || a.number || ' had ended' END
     FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id JOIN written w ON w.job_id = j.id
     LEFT JOIN attempts a ON a.job_id = j.id AND a.fence = w.fence
     WHERE e.experiment_id::text = $1 AND (a.id IS NULL OR w.at > a.ended_at + interval '0.25 s')
     GROUP BY j.name, w.what, w.fence, a.id",
    // No two attempts train a job at the same time.
    "SELECT j.name || ': attempts ' || a.number || ' and ' || b.number || ' trained at the same time'
     FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
     JOIN attempts a ON a.job_id = j.id JOIN attempts b ON b.job_id = j.id AND b.number > a.number
     WHERE e.experiment_id::text = $1 AND a.training_at IS NOT NULL AND b.training_at IS NOT NULL
       AND b.training_at < COALESCE(a.ended_at, 'infinity') AND a.training_at < COALESCE(b.ended_at, 'infinity')",
    // A worker holds at most one lease at a time.
    "SELECT w.name || ' held two leases at a time, under fences ' || l.fence || ' and ' || m.fence
     FROM leases l JOIN attempts a ON a.id = l.attempt_id
     JOIN leases m ON m.worker_id = l.worker_id AND m.fence > l.fence JOIN attempts b ON b.id = m.attempt_id
     JOIN workers w ON w.id = l.worker_id
     WHERE EXISTS (SELECT FROM experiment_jobs e WHERE e.experiment_id::text = $1 AND e.job_id IN (a.job_id, b.job_id))
       AND b.assigned_at < COALESCE(l.released_at, 'infinity')",
    // All leases are released when the jobs have ended.
    "SELECT j.name || ': rank ' || l.rank || ' under fence ' || l.fence || ' was never released'
     FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id JOIN attempts a ON a.job_id = j.id
     JOIN leases l ON l.attempt_id = a.id WHERE e.experiment_id::text = $1 AND l.released_at IS NULL",
];

/// What does not hold, one line for each violation.
pub(crate) fn violations(database: &Database, experiment: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for rule in RULES {
        let rows: Vec<(String,)> = database.rows_for(rule, experiment)?;
        found.extend(rows.into_iter().map(|(description,)| description));
    }
    Ok(found)
}

/// What the experiment left behind, without the metrics and results that differ from run to run.
pub(crate) fn record(database: &Database, experiment: &str) -> Result<Record> {
    let artifacts: Vec<(String, String, String, String)> = database.rows_for(
        "SELECT j.name, x.kind, x.name, x.sha256 FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
         JOIN artifacts x ON x.job_id = j.id WHERE e.experiment_id::text = $1",
        experiment,
    )?;
    let points: Vec<(String, String, i64, f64)> = database.rows_for(
        "SELECT j.name, x.name, x.step, x.value FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
         JOIN metric_points x ON x.job_id = j.id WHERE e.experiment_id::text = $1",
        experiment,
    )?;
    let results: Vec<(String, String, f64)> = database.rows_for(
        "SELECT j.name, x.name, x.value FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
         JOIN results x ON x.job_id = j.id WHERE e.experiment_id::text = $1",
        experiment,
    )?;
    Ok(Record {
        artifacts: artifacts.into_iter().map(|(job, kind, name, sha256)| ((job, kind, name), sha256)).collect(),
        points: points
            .into_iter()
            .filter(|(_, name, _, _)| is_deterministic(name))
            .map(|(job, name, step, value)| ((job, name, step), value.to_bits()))
            .collect(),
        results: results
            .into_iter()
            .filter(|(_, name, _)| is_deterministic(name))
            .map(|(job, name, value)| ((job, name), value.to_bits()))
            .collect(),
    })
}
