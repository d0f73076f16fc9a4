//! What is asked of jobs, in columns: written when a job is submitted and when it ends, and once for those that were there before.

use serde_json::json;
use sqlx::types::Json;
use tandem_domain::{facts::Facts, spec::JobSpec};
use uuid::Uuid;

use super::{Conn, DbResult, points, rows::Statement};

/// Stores the facts of jobs that are stored already; those that have some keep them.
pub(crate) async fn put(conn: &mut Conn, facts: &[(Uuid, Facts)]) -> DbResult<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let rows = facts.iter().map(|(job, facts)| {
        let mut row = serde_json::to_value(facts).map_err(|error| sqlx::Error::Encode(error.into()))?;
        row["job_id"] = json!(job);
        Ok(row)
    });
    let rows = rows.collect::<DbResult<Vec<_>>>()?;
    let json = json!(rows);
    sqlx::query!(
        "INSERT INTO job_facts (job_id, experiment_id, experiment, job, owner, stage, dataset, dataset_sha256, encoder, optimizer,
                                attack, norm, figure, figure_of, seed, label_fraction, epochs, batch_size, temperature, lr,
                                weight_decay, lambda, created_at, started_at, hidden)
         SELECT j.id, e.id, e.name, j.name, e.owner, j.stage, left(new.dataset, 200), NULLIF(j.images, ''), new.encoder, new.optimizer,
                new.attack, new.norm, new.figure, new.figure_of, new.seed, new.label_fraction, new.epochs, new.batch_size,
                new.temperature, new.lr, new.weight_decay, new.lambda, j.submitted_at, j.started_at,
                j.hidden OR j.reproduces IS NOT NULL
         FROM jsonb_to_recordset($1) AS new (
             job_id uuid, dataset text, encoder text, optimizer text, attack text, norm text, figure text, figure_of text,
             seed bigint, label_fraction float8, epochs bigint, batch_size bigint, temperature float8, lr float8,
             weight_decay float8, lambda float8)
         JOIN jobs j ON j.id = new.job_id JOIN experiments e ON e.id = j.experiment_id
         ORDER BY j.id
         ON CONFLICT (job_id) DO NOTHING",
        json,
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO job_params (job_id, params)
         SELECT new.job_id, new.params FROM jsonb_to_recordset($1) AS new (job_id uuid, params jsonb)
         ORDER BY new.job_id ON CONFLICT (job_id) DO NOTHING",
        json,
    )
    .run_any(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = facts.iter().map(|(job, _)| *job).collect();
    follow(conn, &ids).await
}

/// Takes over when these jobs began and ended, how long they took and what came of them. Their rows are locked, or new.
pub(super) async fn follow(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    sqlx::query!(
        "UPDATE job_facts f SET started_at = j.started_at, finished_at = j.finished_at,
             ended = CASE WHEN j.finished_at IS NOT NULL THEN j.state::text END,
             value = CASE WHEN j.finished_at IS NOT NULL THEN (
                 SELECT r.value FROM results r WHERE r.job_id = j.id AND r.name = f.figure_of AND r.value < 'NaN') END,
             device = (SELECT w.device_kind FROM attempts a
                       JOIN leases l ON l.attempt_id = a.id AND l.rank = 0 JOIN workers w ON w.id = l.worker_id
                       WHERE a.job_id = j.id ORDER BY a.fence DESC LIMIT 1),
             device_seconds = CASE WHEN j.finished_at IS NULL THEN 0 ELSE COALESCE((
                 SELECT sum(a.world_size * extract(epoch FROM
                     COALESCE(a.verifying_at, a.ended_at, clock_timestamp()) - a.assigned_at))
                 FROM attempts a WHERE a.job_id = j.id), 0) END
         FROM jobs j WHERE j.id = ANY($1) AND f.job_id = j.id AND (j.finished_at IS NOT NULL OR f.finished_at IS NOT NULL
             OR f.started_at IS DISTINCT FROM j.started_at)",
        jobs
    )
    .run_any(conn)
    .await
}

/// How far the rows of older jobs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) through: Uuid,
    pub(crate) is_whole: bool,
}

pub(crate) async fn filled(conn: &mut Conn) -> DbResult<Filled> {
    let row = sqlx::query!(r#"SELECT through, whole_at IS NOT NULL AS "is_whole!" FROM facts_filled"#)
        .fetch_one(conn)
        .await?;
    Ok(Filled { through: row.through, is_whole: row.is_whole })
}

/// Stores how far it is: up to a job, or through all of them.
pub(crate) async fn set_filled(conn: &mut Conn, through: Option<Uuid>) -> DbResult<()> {
    sqlx::query!(
        "UPDATE facts_filled SET through = COALESCE($1, through), whole_at = CASE WHEN $1::uuid IS NULL THEN clock_timestamp() END
         WHERE whole_at IS NULL",
        through
    )
    .run_any(conn)
    .await
}

/// Some jobs, and which of them lack facts.
pub(crate) struct Window {
    /// Locked: nobody ends them meanwhile, and what ends later finds the row.
    pub(crate) without: Vec<Uuid>,
    /// `None` behind the last job.
    pub(crate) last: Option<Uuid>,
    /// Some lack facts and are another transaction's just now.
    pub(crate) is_partly_locked: bool,
}

/// The next jobs by id, `size` of them.
pub(crate) async fn window(conn: &mut Conn, after: Uuid, size: i64) -> DbResult<Window> {
    let ids = sqlx::query_scalar!("SELECT id FROM jobs WHERE id > $1 ORDER BY id LIMIT $2", after, size)
        .fetch_all(&mut *conn)
        .await?;
    let lacking = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM jobs j
           WHERE j.id = ANY($1) AND j.deleted_at IS NULL
             AND NOT EXISTS (SELECT FROM job_facts f WHERE f.job_id = j.id)"#,
        &ids
    )
    .fetch_one(&mut *conn)
    .await?;
    let without = sqlx::query_scalar!(
        "SELECT j.id FROM jobs j WHERE j.id = ANY($1) AND j.deleted_at IS NULL
           AND NOT EXISTS (SELECT FROM job_facts f WHERE f.job_id = j.id)
         ORDER BY j.id FOR SHARE OF j SKIP LOCKED",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let is_partly_locked = i64::try_from(without.len()).is_ok_and(|locked| locked < lacking);
    Ok(Window { without, last: ids.last().copied(), is_partly_locked })
}

/// A job and what it starts from: its spec, and those of its inputs, the nearest first.
pub(crate) struct Chain {
    pub(crate) job: Uuid,
    pub(crate) stage: String,
    /// As far as this version can read them.
    pub(crate) specs: Vec<JobSpec>,
    /// As stored, where the job's own cannot be read.
    pub(crate) unread: Option<serde_json::Value>,
}

pub(crate) async fn chains(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<Chain>> {
    // Stages start from each other three deep at most.
    let rows = sqlx::query!(
        r#"WITH RECURSIVE chain (job_id, id, depth) AS (
               SELECT id, id, 0 FROM UNNEST($1::uuid[]) AS id
               UNION
               SELECT chain.job_id, d.depends_on, chain.depth + 1
               FROM chain JOIN job_dependencies d ON d.job_id = chain.id WHERE chain.depth < 4
           )
           SELECT chain.job_id AS "job_id!", chain.depth AS "depth!", j.stage, j.spec AS "spec: Json<serde_json::Value>"
           FROM chain JOIN jobs j ON j.id = chain.id ORDER BY chain.job_id, chain.depth, j.id"#,
        jobs
    )
    .fetch_all(conn)
    .await?;
    let mut chains: Vec<Chain> = Vec::new();
    for row in rows {
        if row.depth == 0 {
            chains.push(Chain { job: row.job_id, stage: row.stage, specs: Vec::new(), unread: None });
        }
        let Some(chain) = chains.last_mut().filter(|chain| chain.job == row.job_id) else { continue };
        match serde_json::from_value(row.spec.0.clone()) {
            Ok(spec) => chain.specs.push(spec),
            Err(_) if row.depth == 0 => chain.unread = Some(row.spec.0),
            Err(_) => {}
        }
    }
    Ok(chains)
}

/// Jobs that cannot be asked for yet: so many, `most` at most.
pub(crate) async fn missing(conn: &mut Conn, filled: Filled, most: i64) -> DbResult<i64> {
    if filled.is_whole {
        return Ok(0);
    }
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (SELECT FROM jobs j WHERE j.id > $1 AND j.deleted_at IS NULL
               AND NOT EXISTS (SELECT FROM job_facts f WHERE f.job_id = j.id) LIMIT $2) found"#,
        filled.through,
        most
    )
    .fetch_one(conn)
    .await
}

/// Makes the rows of curves that these jobs lack, of the points that are stored; not of jobs that run, whose next points do.
pub(crate) async fn fill_curves(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    let missing = sqlx::query!(
        r#"SELECT j.id, newest.name AS "name!" FROM jobs j CROSS JOIN LATERAL newest_metrics(j.id) newest
           WHERE j.id = ANY($1) AND j.state <> 'running'
             AND NOT EXISTS (SELECT FROM curves c WHERE c.job_id = j.id AND c.name = newest.name)
           ORDER BY j.id, newest.name"#,
        jobs
    )
    .fetch_all(&mut *conn)
    .await?;
    let missing: Vec<(Uuid, String)> = missing.into_iter().map(|row| (row.id, row.name)).collect();
    points::sum_up(conn, &missing.iter().collect::<Vec<_>>()).await
}
