//! Finds jobs and experiments by the first characters of an id, or by name.

use uuid::Uuid;

use super::{Conn, DbResult};

/// Jobs and experiments whose id begins with `prefix`: three of each at most, as two are ambiguous already.
pub(crate) async fn by_prefix(conn: &mut Conn, prefix: &str) -> DbResult<Vec<Target>> {
    let rows = sqlx::query!(
        r#"(SELECT id AS "id!", true AS "is_job!" FROM jobs WHERE id::text LIKE $1 || '%' LIMIT 3)
           UNION ALL
           (SELECT id, false FROM experiments WHERE id::text LIKE $1 || '%' LIMIT 3)"#,
        prefix
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| if row.is_job { Target::Job(row.id) } else { Target::Experiment(row.id) }).collect())
}

/// The newest experiment of a name.
pub(crate) async fn by_name(conn: &mut Conn, name: &str) -> DbResult<Option<Target>> {
    let id = sqlx::query_scalar!("SELECT id FROM experiments WHERE name = $1 ORDER BY created_at DESC LIMIT 1", name)
        .fetch_optional(conn)
        .await?;
    Ok(id.map(Target::Experiment))
}

/// The job of that name in the newest experiment of a name.
pub(crate) async fn by_names(conn: &mut Conn, experiment: &str, job: &str) -> DbResult<Option<Target>> {
    let id = sqlx::query_scalar!(
        "SELECT link.job_id FROM experiments e JOIN experiment_jobs link ON link.experiment_id = e.id
         WHERE e.name = $1 AND link.name = $2 ORDER BY e.created_at DESC LIMIT 1",
        experiment,
        job,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(Target::Job))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Job(Uuid),
    Experiment(Uuid),
}
