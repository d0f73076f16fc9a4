//! How long a planned job will take: the work that the plan counts, at a speed that was measured in this cluster.
//!
//! The speed is that of the newest job of the same kind of work; without one, of the same stage; without one, of any
//! job; without any, a constant. The estimate says in words where its speed comes from.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tandem_domain::plan::PlannedJob;

use crate::{
    error::Result,
    store::{
        Conn,
        measures::{Precedent, Similar, precedent},
        queue::QueueRow,
        workers,
    },
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TimeEstimate {
    /// 0 if nothing is known.
    pub(crate) seconds: f64,
    pub(crate) basis: String,
}

/// Seconds of an attempt beside its steps: libtorch and data are loaded, weights are written.
const OVERHEAD: f64 = 4.0;
/// GFLOP/s before anything was measured: of one AVX-512 thread, and of half a GTX 1080 Ti in f32.
const CPU_THREAD: f64 = 75.0;
const CUDA_DEVICE: f64 = 5_000.0;

/// The speeds that jobs of one plan are estimated by: each kind of work is looked up once.
pub(crate) struct Speeds {
    /// The most frequent kind of device of the fleet.
    kind: String,
    count: u32,
    found: HashMap<String, Option<Precedent>>,
}

impl Speeds {
    pub(crate) async fn of_fleet(conn: &mut Conn) -> Result<Self> {
        let fleet = workers::counts_by_kind(conn).await?;
        let (kind, count) =
            fleet.into_iter().max_by_key(|(_, count)| *count).unwrap_or_else(|| ("cpu".to_owned(), u32::MAX));
        Ok(Self { kind, count, found: HashMap::new() })
    }

    pub(crate) async fn estimate(&mut self, conn: &mut Conn, job: &PlannedJob) -> Result<TimeEstimate> {
        if job.estimate.gflop <= 0.0 {
            let basis = format!("not estimated: the plan does not know how many images {} has", job.spec.dataset);
            return Ok(TimeEstimate { seconds: 0.0, basis });
        }
        let spec = &job.spec;
        // The size of gang that the scheduler forms when all workers are idle.
        let ranks = spec.workers.world_sizes(spec.shards).rfind(|size| *size <= self.count).unwrap_or(spec.workers.min);
        let lanes = lanes(&self.kind, ranks, spec.threads);
        let found = match self.found.get(&job.work) {
            Some(found) => found.clone(),
            None => {
                let found = most_similar(conn, job, &self.kind).await?;
                self.found.insert(job.work.clone(), found.clone());
                found
            }
        };
        let (speed, basis) = match found {
            Some(precedent) => {
                let speed = Speed::of(&precedent, &self.kind);
                let basis = if precedent.work == job.work {
                    format!("{speed}, as `{}` ran", precedent.source)
                } else {
                    format!("{speed}, as `{}` ran ({}): no job of this kind has yet", precedent.source, precedent.work)
                };
                (speed.value, basis)
            }
            None => {
                let value = assumed_speed(&self.kind);
                let speed = Speed { value, kind: &self.kind };
                (value, format!("{speed} assumed: no job of known work has run here yet"))
            }
        };
        Ok(TimeEstimate { seconds: OVERHEAD + job.estimate.gflop / (speed * lanes), basis })
    }
}

async fn most_similar(conn: &mut Conn, job: &PlannedJob, kind: &str) -> Result<Option<Precedent>> {
    first_of(conn, &[Similar::Work(&job.work), Similar::Stage(job.spec.stage.name()), Similar::Any], kind).await
}

async fn first_of(conn: &mut Conn, similar: &[Similar<'_>], kind: &str) -> Result<Option<Precedent>> {
    for similar in similar {
        if let Some(found) = precedent(conn, *similar, kind).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What is assumed of queued jobs whose kind of work has not run on a kind of device: they take as long as a dry run says, by
/// the newest job of their stage, or of any, or a constant.
pub(crate) async fn add_assumed(conn: &mut Conn, rows: &mut [QueueRow], kinds: &[String]) -> Result<()> {
    let mut found: HashMap<(String, &str), Option<Precedent>> = HashMap::new();
    for row in rows {
        for kind in kinds {
            if row.job.estimates.contains_key(kind) {
                continue;
            }
            let known = match found.get(&(row.stage.clone(), kind.as_str())) {
                Some(known) => known.clone(),
                None => {
                    let known = first_of(conn, &[Similar::Stage(&row.stage), Similar::Any], kind).await?;
                    found.insert((row.stage.clone(), kind), known.clone());
                    known
                }
            };
            let speed = known.map_or_else(|| assumed_speed(kind), |precedent| Speed::of(&precedent, kind).value);
            row.job.assumed.extend(at_speed(row, kind, speed).map(|time| (kind.clone(), time)));
        }
    }
    Ok(())
}

fn assumed_speed(kind: &str) -> f64 {
    if kind == "cpu" { CPU_THREAD } else { CUDA_DEVICE }
}

/// How long a queued job still takes on its smallest gang; `None` if nobody knows how much it is.
fn at_speed(row: &QueueRow, kind: &str, speed: f64) -> Option<Duration> {
    let ranks = row.job.workers.world_sizes(row.job.shards).next().filter(|_| row.gflop > 0.0)?;
    let seconds = OVERHEAD + row.gflop * row.left / (speed * lanes(kind, ranks, row.threads));
    Duration::try_from_secs_f64(seconds).ok()
}

/// How long a queued job still takes on its smallest gang, by what jobs of the same kind of work took; by kind of device. The
/// precedents are those of its kind of work, each with its kind of device.
pub(crate) fn of_queued(row: &QueueRow, precedents: &[(String, Precedent)]) -> BTreeMap<String, Duration> {
    let of_work = precedents.iter().filter(|(_, precedent)| precedent.work == row.work);
    let estimates = of_work
        .filter_map(|(kind, precedent)| Some((kind.clone(), at_speed(row, kind, Speed::of(precedent, kind).value)?)));
    estimates.collect()
}

/// 10^9 operations a second of a device of this house, about: as the newest job of any kind ran.
pub(crate) async fn usual_speed(conn: &mut Conn) -> Result<f64> {
    let kind = Speeds::of_fleet(conn).await?.kind;
    let found = precedent(conn, Similar::Any, &kind).await?;
    Ok(found.map_or(assumed_speed(&kind), |precedent| {
        Speed::of(&precedent, &kind).value * lanes(&kind, 1, super::store::small(precedent.threads))
    }))
}

/// The number of CPU threads or devices that compute at the same time.
fn lanes(kind: &str, ranks: u32, threads: u32) -> f64 {
    f64::from(ranks) * if kind == "cpu" { f64::from(threads) } else { 1.0 }
}

struct Speed<'a> {
    value: f64,
    kind: &'a str,
}

impl<'a> Speed<'a> {
    fn of(precedent: &Precedent, kind: &'a str) -> Self {
        // A very short job says little about the speed; it must not look infinitely fast.
        let seconds = (precedent.seconds - OVERHEAD).max(0.25 * precedent.seconds).max(0.1);
        let lanes = lanes(kind, super::store::small(precedent.ranks), super::store::small(precedent.threads));
        Self { value: precedent.gflop / (seconds * lanes), kind }
    }
}

impl std::fmt::Display for Speed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.value < 10.0 { 1 } else { 0 };
        let what = if self.kind == "cpu" { "thread" } else { "device" };
        write!(f, "{:.digits$} GFLOP/s a {what}", self.value)
    }
}
