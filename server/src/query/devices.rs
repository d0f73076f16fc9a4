//! The devices as they are and were.

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::timing::SAMPLES_KEPT;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Conn, jobs,
        samples::{self, Facts, Point, Span},
        small,
        usage::{self, HeldRow},
        workers::{self, WorkerRow},
    },
    target::{names_of, resolve},
};

/// Points of one device, where few are shown and where many are.
const POINTS: u32 = 120;
const POINTS_OF_MANY: u32 = 30;
/// More devices than this are many.
const FEW: usize = 16;
/// Ranks of attempts that are shown of a job, the newest.
const HELD_MAX: i64 = 64;

/// A device now, and its figures over a span: the last hour, or while a rank of a job held it.
pub(crate) struct DeviceNow {
    pub(crate) worker: WorkerRow,
    /// The newest look; `None` if there was none in the last hour.
    pub(crate) newest: Option<(DateTime<Utc>, Facts)>,
    /// Attempt and rank, of a job.
    pub(crate) held: Option<(u32, u32)>,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) points: Vec<Point>,
}

/// All devices, or those of the worker with this name or id, with their last hour.
///
/// # Errors
/// `NotFound` if there is no such worker.
pub(crate) async fn now(conn: &mut Conn, worker: Option<&str>) -> Result<Vec<DeviceNow>> {
    let known = workers::list(conn).await?;
    let chosen: Vec<WorkerRow> = match worker {
        None => known,
        Some(wanted) => {
            let is_it = |row: &WorkerRow| row.name == wanted || wanted.parse::<Uuid>().is_ok_and(|id| row.id == id);
            let (chosen, others): (Vec<_>, Vec<_>) = known.into_iter().partition(is_it);
            if chosen.is_empty() {
                let names: Vec<&str> = others.iter().map(|row| row.name.as_str()).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(Error::NotFound(format!("no worker `{wanted}` here; there are: {names}")));
            }
            chosen
        }
    };
    let until = jobs::now(conn).await?;
    let from = until - TimeDelta::from_std(SAMPLES_KEPT).unwrap_or_default();
    let held = chosen.into_iter().map(|worker| (worker, None, from, until)).collect();
    with_figures(conn, held).await
}

/// The devices of a job's attempts while these held them, in their order; with the job's id and name.
///
/// # Errors
/// `NotFound` if there is no such job, `Invalid` if an experiment of several is named.
pub(crate) async fn of_job(conn: &mut Conn, text: &str, own: &str) -> Result<(Uuid, String, Vec<DeviceNow>)> {
    let target = resolve(conn, text, own).await?;
    let picks = names_of(conn, target).await?;
    let [job] = picks.as_slice() else {
        return Err(Error::Invalid(format!("`{text}` has several jobs; name one of them: {text}/JOB, or an id")));
    };
    let held = usage::held_by(conn, job.job_id, HELD_MAX).await?;
    let ids: Vec<Uuid> = held.iter().map(|held| held.worker).collect();
    let known = workers::with(conn, &ids).await?;
    let row = |held: HeldRow| {
        let worker = known.iter().find(|row| row.id == held.worker).cloned();
        worker.map(|worker| (worker, Some((small(held.attempt), small(held.rank))), held.from, held.until))
    };
    let held = held.into_iter().filter_map(row).collect();
    Ok((job.job_id, job.name.clone(), with_figures(conn, held).await?))
}

type Held = (WorkerRow, Option<(u32, u32)>, DateTime<Utc>, DateTime<Utc>);

async fn with_figures(conn: &mut Conn, held: Vec<Held>) -> Result<Vec<DeviceNow>> {
    let spans: Vec<Span> =
        held.iter().map(|(worker, _, from, until)| Span { worker: worker.id, from: *from, until: *until }).collect();
    let points = if spans.len() > FEW { POINTS_OF_MANY } else { POINTS };
    let points = samples::points(conn, &spans, points).await?;
    let ids: Vec<Uuid> = held.iter().map(|(worker, ..)| worker.id).collect();
    let newest = samples::facts(conn, &ids).await?;
    let device = |((worker, held, from, until), points): (Held, Vec<Point>)| {
        let newest = newest.iter().find(|(id, ..)| *id == worker.id).map(|(_, at, facts)| (*at, facts.clone()));
        DeviceNow { worker, newest, held, from, until, points }
    };
    Ok(held.into_iter().zip(points).map(device).collect())
}
