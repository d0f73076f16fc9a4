//! The live leases of workers, with what they must be sent about the attempt.

use std::collections::HashSet;

use tandem_domain::state::AttemptState;
use uuid::Uuid;

use super::{Conn, DbResult, parse, small};

/// A live lease from its worker's point of view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkerLease {
    pub(crate) worker: Uuid,
    pub(crate) attempt: Uuid,
    pub(crate) job: Uuid,
    pub(crate) number: u32,
    pub(crate) fence: i64,
    pub(crate) rank: u32,
    pub(crate) world_size: u32,
    pub(crate) state: AttemptState,
    /// Why the attempt ended.
    pub(crate) cause: String,
    pub(crate) rendezvous: Option<(String, u32)>,
    /// The worker has reported on this rank.
    pub(crate) has_reported: bool,
    /// The worker was sent the assignment.
    pub(crate) is_dispatched: bool,
    /// Why it is to stop at a checkpoint: the scheduler asked for it, or another rank stopped.
    pub(crate) stop: Option<String>,
}

/// The live leases of some workers.
#[derive(Debug, Default)]
pub(crate) struct WorkerLeases {
    pub(crate) leases: Vec<WorkerLease>,
    /// Attempts whose leases are live, but whose state only a newer version knows. Their ranks go on.
    pub(crate) unreadable: HashSet<Uuid>,
}

pub(crate) async fn of_workers(conn: &mut Conn, workers: &[Uuid]) -> DbResult<WorkerLeases> {
    let rows = sqlx::query!(
        r#"SELECT l.worker_id, l.attempt_id, a.job_id, a.number, l.fence, l.rank, a.world_size,
                  a.state::text AS "state!", a.cause, a.rendezvous_host, a.rendezvous_port,
                  l.has_reported, l.dispatched_at IS NOT NULL AS "is_dispatched!",
                  CASE WHEN a.stop_asked_at IS NOT NULL THEN a.stop_reason
                       WHEN EXISTS (SELECT FROM leases other
                                    WHERE other.attempt_id = a.id AND other.outcome = 'preempted')
                       THEN 'another rank stops at a checkpoint' END AS stop
           FROM leases l JOIN attempts a ON a.id = l.attempt_id
           WHERE l.worker_id = ANY($1) AND l.released_at IS NULL
           ORDER BY a.fence, l.rank"#,
        workers
    )
    .fetch_all(conn)
    .await?;
    let mut found = WorkerLeases::default();
    for row in rows {
        let state = match parse(&row.state) {
            Ok(state) => state,
            Err(error) => {
                tracing::error!(attempt = %row.attempt_id, %error, "cannot instruct the ranks of this attempt");
                found.unreadable.insert(row.attempt_id);
                continue;
            }
        };
        found.leases.push(WorkerLease {
            worker: row.worker_id,
            attempt: row.attempt_id,
            job: row.job_id,
            number: small(row.number),
            fence: row.fence,
            rank: small(row.rank),
            world_size: small(row.world_size),
            state,
            cause: row.cause,
            rendezvous: row.rendezvous_host.zip(row.rendezvous_port.map(small)),
            has_reported: row.has_reported,
            is_dispatched: row.is_dispatched,
            stop: row.stop,
        });
    }
    Ok(found)
}
