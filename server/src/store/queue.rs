//! The queue, as far as a pass of the scheduler reads it.

use std::collections::BTreeMap;

use tandem_domain::{
    images::Images,
    place::{Needs, QueuedJob},
    spec::Workers,
};

use super::{Conn, DbResult, integer, rows::Statement, small};

/// The most jobs that a pass reads of each person, size of gang and set of images, so that a longer queue costs no more and hides
/// no job of another kind.
const LINE_MAX: i64 = 300;
/// The most jobs that wait after a lost attempt: they take no place in these lines.
const BACKOFF_MAX: i64 = 200;
/// The most reasons of jobs too large for the fleet that one pass writes.
const REASONS_MAX: i64 = 2000;

/// A queued job, without what is known of its lost attempts, and what its time is estimated by.
#[derive(Clone, Debug)]
pub(crate) struct QueueRow {
    pub(crate) job: QueuedJob,
    /// It had an attempt before.
    pub(crate) has_started: bool,
    pub(crate) work: String,
    pub(crate) stage: String,
    pub(crate) gflop: f64,
    /// What is left of it, from 1 to 0, as it was last heard.
    pub(crate) left: f64,
    pub(crate) threads: u32,
}

/// The jobs that a fleet could hold whose largest gang has `largest` workers.
pub(crate) async fn read(conn: &mut Conn, largest: u32) -> DbResult<Vec<QueueRow>> {
    let rows = sqlx::query!(
        r#"WITH line AS (
               SELECT ready.id FROM (
                   SELECT DISTINCT gang_min, images, owner FROM jobs WHERE state = 'queued' AND gang_min <= $1) AS line
               CROSS JOIN LATERAL (
                   SELECT id FROM jobs WHERE state = 'queued' AND gang_min = line.gang_min AND images = line.images AND owner = line.owner
                       AND COALESCE(not_before <= clock_timestamp(), true)
                   ORDER BY priority DESC, queued_at, position, id LIMIT $2) AS ready
               UNION ALL
               (SELECT id FROM jobs WHERE state = 'queued' AND gang_min <= $1 AND not_before > clock_timestamp()
                ORDER BY not_before, id LIMIT $3)
           )
           SELECT j.id, e.name || '/' || j.name AS "name!", j.owner, j.priority, j.queued_at AS "queued_at!", j.position,
                  j.workers_min, j.workers_max, j.shards, j.not_before, j.made_room_at,
                  j.spec_version, j.images, j.spec ->> 'dataset' AS dataset,
                  j.started_at IS NOT NULL AS "has_started!", j.work, j.stage, j.gflop,
                  COALESCE((j.spec ->> 'threads')::integer, 1) AS "threads!",
                  CASE WHEN j.started_at IS NOT NULL AND p.steps > 0
                       THEN 1 - LEAST(p.step, p.steps)::float8 / p.steps ELSE 1 END AS "left!"
           FROM line JOIN jobs j ON j.id = line.id JOIN experiments e ON e.id = j.experiment_id
           LEFT JOIN progress p ON p.job_id = j.id"#,
        integer(largest),
        LINE_MAX,
        BACKOFF_MAX,
    )
    .fetch_all(conn)
    .await?;
    let queue = rows.into_iter().map(|row| QueueRow {
        job: QueuedJob {
            id: row.id,
            name: row.name,
            owner: row.owner,
            priority: row.priority,
            turn: 0,
            queued_at: row.queued_at,
            position: row.position,
            workers: Workers { min: small(row.workers_min), max: small(row.workers_max) },
            shards: small(row.shards),
            not_before: row.not_before,
            avoid: Vec::new(),
            any_kind: false,
            missing: Vec::new(),
            needs: needs(row.spec_version, row.images, row.dataset),
            estimates: BTreeMap::new(),
            assumed: BTreeMap::new(),
            time_left: None,
            made_room_at: Some(row.made_room_at).filter(|tried| !tried.is_empty()),
        },
        has_started: row.has_started,
        work: row.work,
        stage: row.stage,
        gflop: row.gflop,
        left: row.left,
        threads: small(row.threads),
    });
    Ok(queue.collect())
}

/// What a job needs of a worker, as it is stored.
pub(super) fn needs(spec_version: i32, sha256: String, dataset: Option<String>) -> Needs {
    let images = dataset.filter(|_| !sha256.is_empty()).map(|dataset| Images { dataset, sha256 });
    Needs { spec_version: small(spec_version), images }
}

/// The sizes of gang that queued jobs need at least and that are larger than `largest`.
pub(crate) async fn sizes_above(conn: &mut Conn, largest: u32) -> DbResult<Vec<u32>> {
    let sizes = sqlx::query_scalar!(
        "SELECT DISTINCT gang_min FROM jobs WHERE state = 'queued' AND gang_min > $1 ORDER BY gang_min",
        integer(largest)
    )
    .fetch_all(conn)
    .await?;
    Ok(sizes.into_iter().map(small).collect())
}

/// Stores why jobs wait that need a gang of these sizes; returns whether any reason changed.
pub(crate) async fn set_reasons_of_sizes(conn: &mut Conn, reasons: &[(u32, String)]) -> DbResult<bool> {
    if reasons.is_empty() {
        return Ok(false);
    }
    let (sizes, reasons): (Vec<i32>, Vec<String>) =
        reasons.iter().map(|(size, reason)| (integer(*size), reason.clone())).unzip();
    let changed = sqlx::query!(
        "UPDATE jobs SET reason = news.reason FROM (
             SELECT j.id, size.reason FROM UNNEST($1::integer[], $2::text[]) AS size (gang_min, reason)
             JOIN jobs j ON j.gang_min = size.gang_min AND j.state = 'queued' AND j.reason <> size.reason
             LIMIT $3
         ) AS news
         WHERE jobs.id = news.id AND jobs.state = 'queued'",
        &sizes,
        &reasons,
        REASONS_MAX,
    )
    .run(conn)
    .await?;
    Ok(changed.count() > 0)
}
