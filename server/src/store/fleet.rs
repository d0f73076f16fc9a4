//! The fleet as the scheduler sees it, and the lock of a gang's workers.

use std::sync::Arc;

use tandem_domain::{
    place::{FleetWorker, Offers, WorkerStatus},
    timing::timing,
};
use uuid::Uuid;

use super::{Conn, DbResult, small, workers::announced};

/// Every worker that has not left.
pub(crate) async fn snapshot(conn: &mut Conn) -> DbResult<Vec<FleetWorker>> {
    let rows = sqlx::query!(
        r#"SELECT w.id AS "id!", w.name AS "name!", w.device_kind AS "device_kind!", w.host AS "host!",
                  CASE WHEN w.device_uuid = '' THEN w.id::text ELSE w.device_uuid END AS "device!",
                  w.state = 'draining' AS "is_draining!", w.drained_at IS NOT NULL AS "is_drained!",
                  CASE WHEN w.held_until > clock_timestamp() THEN w.held_until END AS held_until,
                  w.state = 'lost' OR w.session_id IS NULL
                      OR GREATEST(w.last_seen, heard.at) < clock_timestamp() - make_interval(secs => $1) AS "is_lost!",
                  w.unfit <> '' AS "is_unfit!", w.withheld AS "withheld!", w.spec_version AS "spec_version!", w.datasets AS "datasets?",
                  COALESCE(w.quarantined_until > clock_timestamp(), false) AS "is_quarantined!", e.name || '/' || j.name AS "job_name?",
                  CASE WHEN p.seconds_left > 0 THEN p.updated_at + make_interval(secs => p.seconds_left)
                       -- Nothing was measured yet.
                       ELSE a.assigned_at + make_interval(secs => a.estimated_seconds) END AS until
           FROM workers w
           LEFT JOIN workers_heard() heard ON heard.worker_id = w.id
           -- Its own lease, or that of another worker on the same device.
           LEFT JOIN leases l ON l.released_at IS NULL
               AND l.device = CASE WHEN w.device_uuid = '' THEN w.id::text ELSE w.device_uuid END
           LEFT JOIN attempts a ON a.id = l.attempt_id
           LEFT JOIN jobs j ON j.id = a.job_id
           LEFT JOIN experiments e ON e.id = j.experiment_id
           LEFT JOIN progress p ON p.job_id = j.id AND p.fence = a.fence
           WHERE w.state <> 'gone'"#,
        timing().lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    let fleet = rows.into_iter().map(|row| {
        let status = match (row.held_until, row.job_name) {
            _ if row.is_draining => WorkerStatus::Draining,
            _ if row.is_lost => WorkerStatus::Lost,
            _ if row.is_drained => WorkerStatus::Drained,
            // Nobody waits for it, and nothing is stopped for it: it gets no job when this one ends.
            _ if row.is_quarantined => WorkerStatus::Quarantined,
            (Some(until), _) => WorkerStatus::Held { until },
            (None, Some(job_name)) => WorkerStatus::Busy { job_name, until: row.until },
            (None, None) if row.is_unfit => WorkerStatus::Unfit,
            (None, None) if !row.withheld.is_empty() => WorkerStatus::Withheld { why: row.withheld },
            (None, None) => WorkerStatus::Idle,
        };
        let (id, name, device_kind, host, device) = (row.id, row.name, row.device_kind, row.host, row.device);
        let images = Arc::new(announced(row.datasets).unwrap_or_default().images());
        let offers = Offers { spec_version: small(row.spec_version), images };
        FleetWorker { id, name, device_kind, host, device, offers, status }
    });
    Ok(fleet.collect())
}

/// Locks the workers of a gang in the order of ids; returns names by rank, or `None` if one of them takes no work.
pub(crate) async fn lock_gang(conn: &mut Conn, gang: &[Uuid]) -> DbResult<Option<Vec<String>>> {
    let rows = sqlx::query!(
        "SELECT id, name FROM workers WHERE id = ANY($1) AND state = 'ready' AND unfit = '' AND withheld = ''
             AND drained_at IS NULL
             AND COALESCE(quarantined_until <= clock_timestamp(), true)
             AND COALESCE(held_until <= clock_timestamp(), true)
         ORDER BY id FOR NO KEY UPDATE",
        gang
    )
    .fetch_all(conn)
    .await?;
    let name = |id: &Uuid| rows.iter().find(|row| row.id == *id).map(|row| row.name.clone());
    Ok(gang.iter().map(name).collect())
}
