//! Experiments, and the jobs that they consist of.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
};

#[derive(Clone, Debug)]
pub(crate) struct Experiment {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) toml: String,
    pub(crate) file_name: String,
    pub(crate) fresh: bool,
    pub(crate) priority: i32,
    /// `None` if the client sent none.
    pub(crate) idempotency_key: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Stores an experiment; `false` if its idempotency key is known. The database sets `created_at`.
pub(crate) async fn insert(conn: &mut Conn, experiment: &Experiment) -> DbResult<bool> {
    sqlx::query!(
        "INSERT INTO experiments (id, name, owner, toml, file_name, fresh, priority, idempotency_key, learn_version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (idempotency_key) DO NOTHING",
        experiment.id,
        experiment.name,
        experiment.owner,
        experiment.toml,
        experiment.file_name,
        experiment.fresh,
        experiment.priority,
        experiment.idempotency_key,
        tandem_domain::LEARN_VERSION,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

pub(crate) async fn by_idempotency_key(conn: &mut Conn, key: &str) -> DbResult<Option<Experiment>> {
    sqlx::query_as!(
        Experiment,
        "SELECT id, name, owner, toml, file_name, fresh, priority, idempotency_key, created_at
         FROM experiments WHERE idempotency_key = $1",
        key
    )
    .fetch_optional(conn)
    .await
}

/// `None` if it is deleted, too.
pub(crate) async fn get(conn: &mut Conn, id: Uuid) -> DbResult<Option<Experiment>> {
    sqlx::query_as!(
        Experiment,
        "SELECT id, name, owner, toml, file_name, fresh, priority, idempotency_key, created_at
         FROM experiments WHERE id = $1 AND deleted_at IS NULL",
        id
    )
    .fetch_optional(conn)
    .await
}

/// An experiment, by what is needed to name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
}

/// A job of an experiment, by its name in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) job_id: Uuid,
    pub(crate) content_key: String,
    pub(crate) reused: bool,
}

pub(crate) async fn link(conn: &mut Conn, experiment: Uuid, position: i32, link: &Link) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO experiment_jobs (experiment_id, name, job_id, position, reused) VALUES ($1, $2, $3, $4, $5)",
        experiment,
        link.name,
        link.job_id,
        position,
        link.reused,
    )
    .run_any(conn)
    .await
}

/// In the order of the graph.
pub(crate) async fn links(conn: &mut Conn, experiment: Uuid) -> DbResult<Vec<Link>> {
    sqlx::query_as!(
        Link,
        "SELECT link.name, link.job_id, j.content_key, link.reused
         FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id
         WHERE link.experiment_id = $1 ORDER BY link.position",
        experiment
    )
    .fetch_all(conn)
    .await
}

/// Withdraws experiments from their jobs; returns those that no other experiment wants.
pub(crate) async fn withdraw(conn: &mut Conn, experiments: &[Uuid]) -> DbResult<Vec<Uuid>> {
    sqlx::query!(
        "UPDATE experiment_jobs SET withdrawn_at = clock_timestamp()
         WHERE experiment_id = ANY($1) AND withdrawn_at IS NULL",
        experiments
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query_scalar!(
        "SELECT DISTINCT mine.job_id FROM experiment_jobs mine WHERE mine.experiment_id = ANY($1)
         AND NOT EXISTS (SELECT FROM experiment_jobs other
                         WHERE other.job_id = mine.job_id AND other.withdrawn_at IS NULL)",
        experiments
    )
    .fetch_all(conn)
    .await
}

/// Withdraws what the experiments of `owner` want of these jobs; returns those that no other experiment wants.
pub(crate) async fn withdraw_own(conn: &mut Conn, owner: &str, jobs: &[Uuid]) -> DbResult<Vec<Uuid>> {
    sqlx::query!(
        "UPDATE experiment_jobs SET withdrawn_at = clock_timestamp() FROM experiments e
         WHERE e.id = experiment_id AND e.owner = $1 AND job_id = ANY($2) AND withdrawn_at IS NULL",
        owner,
        jobs
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query_scalar!(
        r#"SELECT wanted.id AS "id!" FROM UNNEST($1::uuid[]) AS wanted (id)
           WHERE NOT EXISTS (SELECT FROM experiment_jobs other
                             WHERE other.job_id = wanted.id AND other.withdrawn_at IS NULL)"#,
        jobs
    )
    .fetch_all(conn)
    .await
}

/// The experiments of an owner that want a job which has not ended.
pub(crate) async fn live_of(conn: &mut Conn, owner: &str) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT e.id FROM experiments e
         JOIN experiment_jobs link ON link.experiment_id = e.id JOIN jobs j ON j.id = link.job_id
         WHERE e.owner = $1 AND link.withdrawn_at IS NULL AND j.finished_at IS NULL",
        owner
    )
    .fetch_all(conn)
    .await
}

/// Whether an experiment has been deleted.
pub(crate) async fn is_deleted(conn: &mut Conn, id: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT deleted_at IS NOT NULL AS "is_deleted!" FROM experiments WHERE id = $1"#, id)
        .fetch_one(conn)
        .await
}

/// Experiments by what names them, oldest first.
pub(crate) async fn named(conn: &mut Conn, ids: &[Uuid]) -> DbResult<Vec<Submission>> {
    sqlx::query_as!(
        Submission,
        "SELECT id, name, owner FROM experiments WHERE id = ANY($1) ORDER BY created_at, id",
        ids
    )
    .fetch_all(conn)
    .await
}

/// Whether an experiment of `owner` wants the job, or did.
pub(crate) async fn has_wanted(conn: &mut Conn, owner: &str, job: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
                          WHERE link.job_id = $2 AND e.owner = $1) AS "has_wanted!""#,
        owner,
        job
    )
    .fetch_one(conn)
    .await
}

/// Whether an experiment wants the job.
pub(crate) async fn is_wanted(conn: &mut Conn, job: Uuid) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM experiment_jobs WHERE job_id = $1 AND withdrawn_at IS NULL) AS "is_wanted!""#,
        job
    )
    .fetch_one(conn)
    .await
}

/// The experiments that want these jobs, oldest first, with the job that each wants.
pub(crate) async fn wanting(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<Vec<(Uuid, Submission)>> {
    let rows = sqlx::query!(
        "SELECT link.job_id, e.id, e.name, e.owner
         FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
         WHERE link.job_id = ANY($1) AND link.withdrawn_at IS NULL ORDER BY e.created_at, e.id",
        jobs
    )
    .fetch_all(conn)
    .await?;
    let wanting = rows.into_iter().map(|row| {
        let submission = Submission { id: row.id, name: row.name, owner: row.owner };
        (row.job_id, submission)
    });
    Ok(wanting.collect())
}
