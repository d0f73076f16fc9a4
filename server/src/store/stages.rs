//! The stages that the history knows.

use super::{Conn, DbResult};

/// The stages of jobs that ended: one look into the index for each, however many jobs there are.
pub(super) async fn stages(conn: &mut Conn) -> DbResult<Vec<String>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE stages AS (
               (SELECT stage FROM jobs
                WHERE finished_at IS NOT NULL AND (state = 'succeeded' OR started_at IS NOT NULL) AND NOT hidden
                ORDER BY stage LIMIT 1)
               UNION ALL
               SELECT next.stage FROM stages CROSS JOIN LATERAL (
                   SELECT j.stage FROM jobs j
                   WHERE j.stage > stages.stage AND NOT j.hidden
                     AND j.finished_at IS NOT NULL AND (j.state = 'succeeded' OR j.started_at IS NOT NULL)
                   ORDER BY j.stage LIMIT 1
               ) next
           )
           SELECT stage AS "stage!" FROM stages"#
    )
    .fetch_all(conn)
    .await
}
