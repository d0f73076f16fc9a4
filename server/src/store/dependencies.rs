//! Which job starts from which, and which blocked jobs are decided.

use uuid::Uuid;

use super::{Conn, DbResult, integer, rows::Statement};

/// Stores the inputs of a job, in the order of its spec.
pub(crate) async fn insert(conn: &mut Conn, job: Uuid, inputs: &[Uuid]) -> DbResult<()> {
    let positions: Vec<i32> = (0u32..).take(inputs.len()).map(integer).collect();
    // Two inputs of equal content are one job.
    sqlx::query!(
        "INSERT INTO job_dependencies (job_id, depends_on, position)
         SELECT $1, input, position FROM UNNEST($2::uuid[], $3::integer[]) AS inputs (input, position)
         ON CONFLICT (job_id, depends_on) DO NOTHING",
        job,
        inputs,
        &positions,
    )
    .run_any(conn)
    .await
}

/// A blocked job whose inputs have all succeeded, or one of whose inputs never will.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decided {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// The failed or cancelled input and what became of it; `None` if the job may run.
    pub(crate) lost_input: Option<String>,
}

/// All blocked jobs that need not wait any longer.
pub(crate) async fn decided(conn: &mut Conn) -> DbResult<Vec<Decided>> {
    sqlx::query_as!(
        Decided,
        r#"SELECT j.id, j.name, lost.input AS "lost_input?"
           FROM jobs j
           LEFT JOIN LATERAL (
               SELECT format('`%s` %s', input.name,
                             CASE input.state WHEN 'failed' THEN 'failed' ELSE 'was cancelled' END) AS input
               FROM job_dependencies d JOIN jobs input ON input.id = d.depends_on
               WHERE d.job_id = j.id AND input.state IN ('failed', 'cancelled')
               ORDER BY d.position LIMIT 1
           ) lost ON true
           WHERE j.state = 'blocked' AND (lost.input IS NOT NULL OR NOT EXISTS (
               SELECT FROM job_dependencies d JOIN jobs input ON input.id = d.depends_on
               WHERE d.job_id = j.id AND input.state <> 'succeeded'))
           ORDER BY j.id"#
    )
    .fetch_all(conn)
    .await
}
