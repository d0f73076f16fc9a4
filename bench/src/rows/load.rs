//! What a thousand training workers cost a coordinator. Streams, heartbeats and reports are real, and so is the placement
//! of the jobs; there are no ranks behind them.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tandem_domain::timing::DEFAULT;
use tandem_harness::{Coordinator, Database};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{submit, worker_tokens};
use crate::cpu::CoordinatorCpu;
use crate::reporter::{Counts, LoadPhase, POINTS, Traffic, run_reporter};
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::stats::{Summary, quantile_of};
use crate::wait::wait_until;
use crate::way::Way;

const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: u32 = 6;
const WINDOWS_A_MINUTE: u32 = 6;
/// The work of starting is over by then.
const SETTLE: Duration = Duration::from_secs(5);
/// For all jobs to be placed, and for the last acknowledgement.
const LIMIT: Duration = Duration::from_secs(300);

/// What was measured from outside, and by the workers.
struct LoadResult {
    placed_in: Duration,
    cpu: Vec<CoordinatorCpu>,
    /// Milliseconds, of reports sent in the windows.
    acknowledgements: Vec<f64>,
    /// Milliseconds, of heartbeats sent in the last minute.
    heartbeats: Vec<f64>,
    points_sent: u64,
    points_acknowledged: u64,
    points_stored: u64,
    leases_lost: u64,
}

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    raise_open_files()?;
    let coordinator = Coordinator::start_tls(&settings.binaries()?)?;
    let result = run_fleet(&coordinator, settings.workers, WINDOWS, None)?;
    let share = |part: fn(&CoordinatorCpu) -> f64| -> Vec<f64> {
        result.cpu.iter().map(|cpu| 100.0 * part(cpu) / WINDOW.as_secs_f64()).collect()
    };
    let (coordinator_share, postgres_share) = (share(|cpu| cpu.coordinator), share(|cpu| cpu.postgres));
    let beside = Summary::of(&postgres_share).context("nothing was measured")?.median;
    let at = |share| quantile_of(&result.acknowledgements, share).context("no report was acknowledged");
    let (half, most, slowest) = (at(0.5)?, at(0.99)?, at(1.0)?);
    let unseen =
        result.points_sent.abs_diff(result.points_acknowledged) + result.points_stored.abs_diff(result.points_sent);
    let raw = json!({
        "workers": settings.workers, "seconds_a_window": WINDOW.as_secs(), "coordinator_percent": coordinator_share,
        "postgres_percent": postgres_share, "acknowledgement_ms": { "p50": half, "p99": most, "max": slowest },
        "reports": result.acknowledgements.len(), "points_sent": result.points_sent,
        "points_acknowledged": result.points_acknowledged, "points_stored": result.points_stored,
        "leases_lost": result.leases_lost, "seconds_until_all_were_placed": result.placed_in.as_secs_f64(),
    });
    let row = |name: &str, what: String, goal, unit, values: &[f64], note| -> Result<Row> {
        let (name, value) = (name.into(), Summary::of(values).context("nothing was measured")?);
        Ok(Row { name, what, goal, unit, value, void: None, note, raw: raw.clone() })
    };
    Ok(vec![
        row(
            "load/coordinator",
            format!(
                "{} workers that train, {POINTS} points/s each: the coordinator's share of a core",
                settings.workers
            ),
            Goal::Below(50.0),
            Unit::Percent,
            &coordinator_share,
            format!("Postgres beside it: {beside:.0} %; all placed after {:.1} s", result.placed_in.as_secs_f64()),
        )?,
        row(
            "load/acknowledgement",
            "from a report to its acknowledgement, 99th percentile".into(),
            Goal::Below(200.0),
            Unit::Milliseconds,
            &[most],
            format!("{} reports: median {half:.1} ms, slowest {slowest:.0} ms", result.acknowledgements.len()),
        )?,
        row(
            "load/lost",
            "leases lost, and points sent but not acknowledged and stored exactly once".into(),
            Goal::AtMost(0.0),
            Unit::Count,
            &[(result.leases_lost + unseen) as f64],
            format!(
                "{} points sent, {} stored; {} leases lost",
                result.points_sent, result.points_stored, result.leases_lost
            ),
        )?,
    ])
}

/// The same fleet while a transaction holds a snapshot of the database, as `pg_dump` does for as long as it reads.
pub(crate) fn measure_backup(settings: &Settings) -> Result<Vec<Row>> {
    raise_open_files()?;
    let coordinator = Coordinator::start(&settings.binaries()?)?;
    let (minutes, backup) = (settings.backup_minutes, coordinator.database.again());
    let result = run_fleet(&coordinator, settings.workers, minutes * WINDOWS_A_MINUTE, Some(&backup))?;
    let at = |share| quantile_of(&result.heartbeats, share).context("no heartbeat was acknowledged");
    let (half, most, slowest) = (at(0.5)?, at(0.99)?, at(1.0)?);
    let raw = json!({
        "workers": settings.workers, "minutes": minutes, "leases_lost": result.leases_lost,
        "heartbeat_ms": { "p50": half, "p99": most, "max": slowest },
        "report_ms": { "p50": quantile_of(&result.acknowledgements, 0.5), "p99": quantile_of(&result.acknowledgements, 0.99) },
        "points_sent": result.points_sent, "points_stored": result.points_stored,
    });
    let row = |name: &str, what: String, goal, unit, value: f64, note: String| -> Result<Row> {
        let (name, value) = (name.into(), Summary::of(&[value]).context("nothing was measured")?);
        Ok(Row { name, what, goal, unit, value, void: None, note, raw: raw.clone() })
    };
    let unseen = result.points_stored.abs_diff(result.points_sent);
    Ok(vec![
        row(
            "backup/heartbeat",
            format!(
                "{} workers, a snapshot held for {minutes} min: a heartbeat's answer, 99th percentile of the last minute",
                settings.workers
            ),
            // A worker ends its rank after this long without one.
            Goal::Below(DEFAULT.self_end.as_secs_f64() * 1e3 / 2.0),
            Unit::Milliseconds,
            most,
            format!("median {half:.0} ms, slowest {slowest:.0} ms; they are stored every {:?}", DEFAULT.lease_write),
        )?,
        row(
            "backup/lost",
            "leases lost, and points sent but not stored exactly once".into(),
            Goal::AtMost(0.0),
            Unit::Count,
            (result.leases_lost + unseen) as f64,
            format!(
                "{} points sent, {} stored; {} leases lost",
                result.points_sent, result.points_stored, result.leases_lost
            ),
        )?,
    ])
}

/// Measures in windows of ten seconds, while `backup` holds a snapshot, if there is one.
fn run_fleet(coordinator: &Coordinator, workers: u32, windows: u32, backup: Option<&Database>) -> Result<LoadResult> {
    let runtime = Runtime::new()?;
    let (phase, counts) = (watch::Sender::new(LoadPhase::Report), Arc::new(Counts::default()));
    let first_error = Arc::new(Mutex::new(None));
    let mut fleet = JoinSet::new();
    let names: Vec<String> = (0..workers).map(|i| format!("fake-{i:04}")).collect();
    let tokens = runtime.block_on(worker_tokens(coordinator, &names))?;
    let way = runtime.block_on(Way::to(coordinator))?;
    for (i, (name, token)) in (0..workers).zip(names.into_iter().zip(tokens)) {
        let (offset, first_error) = (f64::from(i) / f64::from(workers), first_error.clone());
        let reporter = run_reporter(way.clone(), token, name, offset, phase.subscribe(), counts.clone());
        let reporter = async move {
            reporter.await.map_err(|error| {
                if let Ok(mut first) = first_error.lock() {
                    first.get_or_insert(error);
                }
            })
        };
        fleet.spawn_on(reporter, runtime.handle());
    }
    // Without one of the workers, nothing measured later would be a measure of all of them.
    let wait = |what: &str, count: &AtomicUsize| {
        let waited = wait_until(what, LIMIT, || {
            let first = first_error.lock().ok().and_then(|mut first| first.take());
            first.map_or(Ok(()), |error: anyhow::Error| Err(error.context("a fake worker's stream broke")))?;
            Ok((count.load(Ordering::Relaxed) == workers as usize).then_some(()))
        });
        waited.with_context(|| format!("{} of {workers} so far", count.load(Ordering::Relaxed)))
    };
    wait("all fake workers are registered", &counts.registered)?;
    let start = Instant::now();
    let submitted = runtime.block_on(submit(coordinator, experiment(workers)?))?;
    ensure!(submitted.jobs.len() == workers as usize, "the experiment has {} jobs", submitted.jobs.len());
    wait("all of them train", &counts.training)?;
    let placed_in = start.elapsed();
    std::thread::sleep(SETTLE);

    if let Some(backup) = backup {
        backup.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs")?;
    }
    let from = tokio::time::Instant::now();
    let mut cpu = Vec::new();
    for _ in 0..windows {
        let before = CoordinatorCpu::of(coordinator)?;
        std::thread::sleep(WINDOW);
        cpu.push(CoordinatorCpu::of(coordinator)?.since(before));
    }
    let last_minute = tokio::time::Instant::now() - WINDOW * WINDOWS_A_MINUTE;
    if let Some(backup) = backup {
        backup.execute("COMMIT")?;
    }
    phase.send_replace(LoadPhase::Quiet);
    wait("all reports are acknowledged", &counts.drained)?;
    // Before the workers leave: a lease that is not live now was lost.
    let live = "SELECT count(*) FROM leases WHERE released_at IS NULL";
    let lost = u64::from(workers).saturating_sub(coordinator.database.value::<i64>(live)?.cast_unsigned());
    let points_stored = coordinator.database.value::<i64>("SELECT count(*) FROM metric_points")?.cast_unsigned();
    phase.send_replace(LoadPhase::Leave);
    let all = runtime.block_on(fleet.join_all());

    let mut heartbeats = Vec::new();
    let (mut acknowledgements, mut points_sent, mut points_acknowledged, mut stops) = (Vec::new(), 0, 0, 0);
    for traffic in all {
        let traffic: Traffic = traffic.map_err(|_| anyhow!("a fake worker's stream broke at the end"))?;
        let timed = traffic.acknowledgements.iter().filter(|(sent, _)| *sent >= from);
        acknowledgements.extend(timed.map(|(_, took)| took.as_secs_f64() * 1e3));
        let recent = traffic.heartbeats.iter().filter(|(sent, _)| *sent >= last_minute);
        heartbeats.extend(recent.map(|(_, took)| took.as_secs_f64() * 1e3));
        points_sent += traffic.points_sent;
        points_acknowledged += traffic.points_acknowledged;
        stops += u64::from(traffic.stops);
    }
    let leases_lost = lost.max(stops);
    Ok(LoadResult {
        placed_in,
        cpu,
        acknowledgements,
        heartbeats,
        points_sent,
        points_acknowledged,
        points_stored,
        leases_lost,
    })
}

/// So many jobs of one worker each, which differ by their seeds.
pub(crate) fn experiment(jobs: u32) -> Result<String> {
    let mut toml = String::from(
        "name = \"load\"\ndataset = \"shapes\"\nworkers = 1\n\n[jobs.encoder]\nstage = \"contrastive\"\n\
         encoder = \"resnet-tiny\"\nepochs = 100\nbatch_size = 64\n\n[jobs.encoder.sweep]\nseed = [",
    );
    (1..=jobs).try_for_each(|seed| write!(toml, "{seed}, "))?;
    toml.push_str("]\n");
    Ok(toml)
}

/// A stream of each of a thousand workers is a file, here and in the coordinator, which inherits the limit.
fn raise_open_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raising the limit of open files")
}
