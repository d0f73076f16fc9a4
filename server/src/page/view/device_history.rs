//! The last hour of each device, as a line.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::timing::SAMPLES_KEPT;
use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        Conn,
        samples::{self, Span},
    },
};

/// Points of one line.
const POINTS: u32 = 30;

/// The load of workers' devices in percent, oldest first, evenly spaced. A worker that is not in it was not measured.
pub(super) async fn last_hour(
    conn: &mut Conn,
    workers: &[(Uuid, i32)],
    now: DateTime<Utc>,
) -> Result<HashMap<Uuid, Vec<f64>>> {
    let from = now - TimeDelta::from_std(SAMPLES_KEPT).unwrap_or_default();
    let spans: Vec<Span> = workers.iter().map(|(worker, _)| Span { worker: *worker, from, until: now }).collect();
    let points = samples::points(conn, &spans, POINTS).await?;
    let lines = workers.iter().zip(points).map(|((worker, cores), points)| {
        // Of a CPU slot the load of the host is known, as the number of processes that want a core.
        let of_cores = |load: f64| 100.0 * load / f64::from((*cores).max(1));
        let percent = |point: &samples::Point| point.utilization.or_else(|| point.load.map(of_cores));
        (*worker, points.iter().filter_map(percent).map(|percent| percent.clamp(0.0, 100.0)).collect())
    });
    Ok(lines.filter(|(_, line): &(Uuid, Vec<f64>)| line.len() > 1).collect())
}
