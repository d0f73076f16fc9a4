//! Finds jobs and experiments by the first characters of an id, or by name.

use uuid::Uuid;

use super::{Conn, DbResult, experiments::Submission};

/// Jobs and experiments whose id begins with `prefix`: three of each at most, as two are ambiguous already.
pub(crate) async fn by_prefix(conn: &mut Conn, prefix: &str) -> DbResult<Vec<Target>> {
    let rows = sqlx::query!(
        r#"(SELECT id AS "id!", true AS "is_job!" FROM jobs WHERE id::text LIKE $1 || '%' AND deleted_at IS NULL LIMIT 3)
           UNION ALL
           (SELECT id, false FROM experiments WHERE id::text LIKE $1 || '%' AND deleted_at IS NULL LIMIT 3)"#,
        prefix
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| if row.is_job { Target::Job(row.id) } else { Target::Experiment(row.id) }).collect())
}

/// The newest experiment of a name.
pub(crate) async fn by_name(conn: &mut Conn, name: &str) -> DbResult<Option<Target>> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM experiments WHERE name = $1 AND deleted_at IS NULL ORDER BY created_at DESC LIMIT 1",
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(Target::Experiment))
}

/// The job of that name in the newest experiment of a name: of one owner, or of all.
pub(crate) async fn by_names(
    conn: &mut Conn,
    owner: Option<&str>,
    experiment: &str,
    job: &str,
) -> DbResult<Option<Target>> {
    let id = match owner {
        Some(owner) => {
            sqlx::query_scalar!(
                "SELECT link.job_id FROM experiments e JOIN experiment_jobs link ON link.experiment_id = e.id
                 WHERE e.owner = $3 AND e.name = $1 AND link.name = $2 ORDER BY e.created_at DESC LIMIT 1",
                experiment,
                job,
                owner,
            )
            .fetch_optional(conn)
            .await?
        }
        None => {
            sqlx::query_scalar!(
                "SELECT link.job_id FROM experiments e JOIN experiment_jobs link ON link.experiment_id = e.id
                 WHERE e.name = $1 AND link.name = $2 ORDER BY e.created_at DESC LIMIT 1",
                experiment,
                job,
            )
            .fetch_optional(conn)
            .await?
        }
    };
    Ok(id.map(Target::Job))
}

/// The newest experiment of a name that somebody submitted.
pub(crate) async fn by_owner(conn: &mut Conn, owner: &str, name: &str) -> DbResult<Option<Target>> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM experiments WHERE name = $1 AND owner = $2 AND deleted_at IS NULL ORDER BY created_at DESC LIMIT 1",
        name,
        owner,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(Target::Experiment))
}

/// One of the experiments of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namesake {
    pub(crate) id: Uuid,
    pub(crate) owner: String,
    /// It wants a job that has not ended.
    pub(crate) live: bool,
}

/// The experiments of a name, newest first: all that are live, and the newest of each owner.
pub(crate) async fn namesakes(conn: &mut Conn, name: &str) -> DbResult<Vec<Namesake>> {
    sqlx::query_as!(
        Namesake,
        r#"WITH named AS (
               SELECT e.id, e.owner, e.created_at,
                      row_number() OVER (PARTITION BY e.owner ORDER BY e.created_at DESC) AS age,
                      EXISTS (SELECT FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id
                              WHERE link.experiment_id = e.id AND link.withdrawn_at IS NULL
                                AND j.finished_at IS NULL) AS live
               FROM experiments e WHERE e.name = $1 AND e.deleted_at IS NULL
           )
           SELECT id, owner, live AS "live!" FROM named WHERE live OR age = 1 ORDER BY created_at DESC"#,
        name
    )
    .fetch_all(conn)
    .await
}

/// The job of that name in an experiment of a name, and whose experiment that is: the owner's first, and one that has not
/// ended first.
pub(crate) async fn job_of(
    conn: &mut Conn,
    owner: &str,
    experiment: &str,
    job: &str,
) -> DbResult<Option<(Uuid, String)>> {
    let row = sqlx::query!(
        "SELECT link.job_id, e.owner FROM experiments e
         JOIN experiment_jobs link ON link.experiment_id = e.id JOIN jobs j ON j.id = link.job_id
         WHERE e.name = $1 AND link.name = $2
         ORDER BY (e.owner = $3) DESC, (j.finished_at IS NULL) DESC, e.created_at DESC LIMIT 1",
        experiment,
        job,
        owner,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.job_id, row.owner)))
}

/// The newest experiment of the same name, older than this one, that has a result.
pub(crate) async fn older_with_results(conn: &mut Conn, experiment: Uuid) -> DbResult<Option<Submission>> {
    sqlx::query_as!(
        Submission,
        "SELECT older.id, older.name, older.owner
         FROM experiments newest JOIN experiments older
           ON older.name = newest.name AND older.created_at < newest.created_at
         WHERE newest.id = $1 AND older.deleted_at IS NULL AND EXISTS (
             SELECT FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id
             WHERE link.experiment_id = older.id AND j.finished_at IS NOT NULL
               AND (j.state = 'succeeded' OR EXISTS (SELECT FROM results r WHERE r.job_id = j.id)))
         ORDER BY older.created_at DESC LIMIT 1",
        experiment
    )
    .fetch_optional(conn)
    .await
}

/// Other experiments that are called as this one, the newest first.
pub(crate) async fn called_the_same(conn: &mut Conn, experiment: Uuid, limit: i64) -> DbResult<Vec<Submission>> {
    sqlx::query_as!(
        Submission,
        "SELECT other.id, other.name, other.owner
         FROM experiments own JOIN experiments other ON other.name = own.name AND other.id <> own.id
         WHERE own.id = $1 AND other.deleted_at IS NULL AND other.archived_at IS NULL
         ORDER BY other.created_at DESC LIMIT $2",
        experiment,
        limit
    )
    .fetch_all(conn)
    .await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Job(Uuid),
    Experiment(Uuid),
}
