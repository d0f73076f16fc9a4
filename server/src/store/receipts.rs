//! Receipts: what ranks ran in, the facts that a receipt is made of, and what was signed.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use tandem_domain::receipt::{
    Artifact, Attempt, CHECKPOINTS_MAX, Checkpoint, Environment, FORMAT, Input, Job, Key, PublicKey, Rank, Receipt,
    Replayed, Times, derived, figure, sha256, thinned,
};
use uuid::Uuid;

use super::{
    Conn, DbResult, files, integer,
    rows::{RowsChanged, Statement},
    small, unsigned,
};

/// Stores what a rank runs in. What it has said once stays.
pub(crate) async fn put_environment(
    conn: &mut Conn,
    attempt: Uuid,
    rank: u32,
    environment: &Environment,
) -> DbResult<()> {
    let facts = serde_json::to_value(environment).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let sha256 = sha256(facts.to_string().as_bytes());
    sqlx::query!("INSERT INTO environments (sha256, facts) VALUES ($1, $2) ON CONFLICT DO NOTHING", sha256, facts)
        .run_any(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO rank_environments (attempt_id, rank, environment) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        attempt,
        integer(rank),
        sha256,
    )
    .run_any(conn)
    .await
}

/// A job has succeeded in this transaction.
pub(super) async fn set_due(conn: &mut Conn, job: Uuid) -> DbResult<()> {
    sqlx::query!("INSERT INTO receipts_due (job_id) VALUES ($1) ON CONFLICT DO NOTHING", job).run_any(conn).await
}

/// Takes jobs whose receipt can be made: all of their ranks have ended, and their inputs have theirs. Those that another
/// coordinator has taken are its own.
pub(crate) async fn take_due(conn: &mut Conn, limit: i64) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT due.job_id FROM receipts_due due
         WHERE NOT EXISTS (SELECT FROM job_dependencies d JOIN receipts_due before ON before.job_id = d.depends_on
                           WHERE d.job_id = due.job_id)
           AND NOT EXISTS (SELECT FROM attempts a JOIN leases l ON l.attempt_id = a.id
                           WHERE a.job_id = due.job_id AND l.released_at IS NULL)
         ORDER BY due.since, due.job_id LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn is_due(conn: &mut Conn, job: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM receipts_due WHERE job_id = $1) AS "due!""#, job)
        .fetch_one(conn)
        .await
}

/// A receipt as it was signed.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) statement: String,
    pub(crate) key_id: String,
    pub(crate) signature: Vec<u8>,
}

/// Stores a receipt; `false` if the job has one, which stays.
pub(crate) async fn put(conn: &mut Conn, job: Uuid, signed: &Signed) -> DbResult<bool> {
    let sha256 = sha256(signed.statement.as_bytes());
    let stored = sqlx::query!(
        "INSERT INTO receipts (job_id, statement, sha256, key_id, signature) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        job,
        signed.statement,
        sha256,
        signed.key_id,
        signed.signature,
    )
    .run(&mut *conn)
    .await
    .map(RowsChanged::is_one)?;
    sqlx::query!("DELETE FROM receipts_due WHERE job_id = $1", job).run_any(conn).await?;
    Ok(stored)
}

pub(crate) async fn get(conn: &mut Conn, job: Uuid) -> DbResult<Option<Signed>> {
    sqlx::query_as!(Signed, "SELECT statement, key_id, signature FROM receipts WHERE job_id = $1", job)
        .fetch_optional(conn)
        .await
}

/// A key that receipts of this house verify with.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) pem: String,
    pub(crate) coordinator: String,
    pub(crate) since: DateTime<Utc>,
}

/// The newest first.
pub(crate) async fn keys(conn: &mut Conn) -> DbResult<Vec<KeyRow>> {
    sqlx::query_as!(KeyRow, "SELECT id, pem, coordinator, since FROM receipt_keys ORDER BY since DESC, id")
        .fetch_all(conn)
        .await
}

/// Of one coordinator at a time.
const KEYS_LOCK: i64 = 0x7461_6e64_6b65;

/// Makes the key one of the house's, if that has none yet or is to have another; whether it is one now.
pub(crate) async fn put_key(conn: &mut Conn, key: &PublicKey, coordinator: &str, another: bool) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock($1)::text AS "locked""#, KEYS_LOCK)
        .fetch_one(&mut *conn)
        .await?;
    let id = key.id();
    sqlx::query!(
        "INSERT INTO receipt_keys (id, pem, coordinator) SELECT $1, $2, $3
         WHERE $4 OR NOT EXISTS (SELECT FROM receipt_keys) ON CONFLICT DO NOTHING",
        id,
        key.to_pem(),
        coordinator,
        another,
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM receipt_keys WHERE id = $1) AS "known!""#, id)
        .fetch_one(conn)
        .await
}

/// All that the database knows of how a job came to its result; `None` if it has not succeeded. Equal for equal rows.
pub(crate) async fn facts(conn: &mut Conn, job: Uuid) -> DbResult<Option<Receipt>> {
    let row = sqlx::query!(
        r#"SELECT COALESCE(j.brought_as, j.name) AS "name!", j.stage, j.spec, j.content_key, j.shards, j.images, j.reproduces, j.replay_from, j.replay_until, j.created_at, j.started_at,
                  j.finished_at, e.name AS experiment, e.id AS experiment_id, e.fresh, e.learn_version
           FROM jobs j JOIN experiments e ON e.id = COALESCE(j.brought_by, j.experiment_id)
           WHERE j.id = $1 AND j.state = 'succeeded'"#,
        job
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (checkpoints_stored, checkpoints) = checkpoints(conn, job).await?;
    let artifacts = files::artifacts(conn, &[job]).await?.iter().map(artifact).collect();
    let mut receipt = Receipt {
        format: FORMAT,
        job: Job {
            id: job.to_string(),
            name: row.name,
            experiment: row.experiment,
            stage: row.stage,
            seed: row.spec["seed"].as_u64().unwrap_or_default(),
            shards: small(row.shards),
            reproduces: row.reproduces.map(|of| of.to_string()),
            replayed: row
                .replay_from
                .zip(row.replay_until)
                .map(|(from, until)| Replayed { from_step: unsigned(from), until_step: unsigned(until) }),
        },
        key: Key {
            content_key: row.content_key,
            learn_version: row.learn_version,
            salt: row.fresh.then(|| row.experiment_id.to_string()),
            derived: None,
        },
        spec: row.spec,
        images: Some(row.images).filter(|images| !images.is_empty()),
        inputs: inputs(conn, job).await?,
        attempts: attempts(conn, job).await?,
        checkpoints_stored,
        checkpoints,
        artifacts,
        results: results(conn, job).await?,
        times: Times { created_at: row.created_at, started_at: row.started_at, finished_at: row.finished_at },
    };
    receipt.key.derived = derived(&receipt);
    Ok(Some(receipt))
}

fn artifact(file: &files::Artifact) -> Artifact {
    Artifact {
        kind: file.kind.clone(),
        name: file.name.clone(),
        bytes: unsigned(file.bytes),
        sha256: file.sha256.clone(),
    }
}

async fn inputs(conn: &mut Conn, job: Uuid) -> DbResult<Vec<Input>> {
    let rows = sqlx::query!(
        r#"SELECT i.id, i.content_key, r.sha256 AS "receipt?"
           FROM job_dependencies d JOIN jobs i ON i.id = d.depends_on LEFT JOIN receipts r ON r.job_id = i.id
           WHERE d.job_id = $1 ORDER BY d.position"#,
        job
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let files = files::artifacts(conn, &ids).await?;
    let input = |id: Uuid, content_key, receipt_sha256| Input {
        job: id.to_string(),
        content_key,
        receipt_sha256,
        artifacts: files.iter().filter(|file| file.job_id == id).map(artifact).collect(),
    };
    Ok(rows.into_iter().map(|row| input(row.id, row.content_key, row.receipt)).collect())
}

async fn attempts(conn: &mut Conn, job: Uuid) -> DbResult<Vec<Attempt>> {
    let ranks = sqlx::query!(
        r#"SELECT l.attempt_id, l.rank, l.outcome::text AS outcome, l.cause, e.facts AS "facts?"
           FROM attempts a JOIN leases l ON l.attempt_id = a.id
           LEFT JOIN rank_environments r ON r.attempt_id = l.attempt_id AND r.rank = l.rank
           LEFT JOIN environments e ON e.sha256 = r.environment
           WHERE a.job_id = $1 ORDER BY l.attempt_id, l.rank"#,
        job
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut of_attempt: HashMap<Uuid, Vec<Rank>> = HashMap::new();
    for row in ranks {
        let environment = row.facts.map(serde_json::from_value).transpose();
        of_attempt.entry(row.attempt_id).or_default().push(Rank {
            rank: small(row.rank),
            outcome: row.outcome.unwrap_or_default(),
            cause: row.cause,
            environment: environment.map_err(|error| sqlx::Error::Decode(error.into()))?,
        });
    }
    let rows = sqlx::query!(
        r#"SELECT id, number, fence, state::text AS "state!", cause, world_size, first_step, assigned_at, training_at, ended_at
           FROM attempts WHERE job_id = $1 ORDER BY number"#,
        job
    )
    .fetch_all(conn)
    .await?;
    let attempts = rows.into_iter().map(|row| Attempt {
        number: small(row.number),
        fence: row.fence,
        state: row.state,
        cause: row.cause,
        world_size: small(row.world_size),
        first_step: unsigned(row.first_step),
        assigned_at: row.assigned_at,
        training_at: row.training_at,
        ended_at: row.ended_at,
        ranks: of_attempt.remove(&row.id).unwrap_or_default(),
    });
    Ok(attempts.collect())
}

/// How many there are, and those that a receipt lists.
async fn checkpoints(conn: &mut Conn, job: Uuid) -> DbResult<(u64, Vec<Checkpoint>)> {
    let rows =
        sqlx::query!("SELECT step, fence, sha256, state_sha256 FROM checkpoints WHERE job_id = $1 ORDER BY step", job)
            .fetch_all(conn)
            .await?;
    let listed = thinned(rows.len(), CHECKPOINTS_MAX).into_iter().map(|at| &rows[at]).map(|row| Checkpoint {
        step: unsigned(row.step),
        fence: row.fence,
        sha256: row.sha256.clone(),
        state_sha256: row.state_sha256.clone(),
    });
    Ok((rows.len() as u64, listed.collect()))
}

async fn results(conn: &mut Conn, job: Uuid) -> DbResult<BTreeMap<String, serde_json::Value>> {
    let rows = sqlx::query!("SELECT name, value FROM results WHERE job_id = $1", job).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.name, figure(row.value))).collect())
}
