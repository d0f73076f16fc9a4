//! What a thousand workers that train cost a coordinator: real streams of heartbeats and reports, jobs that it really
//! placed, and no ranks behind them.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Run;
use crate::house::{Cpu, House};
use crate::local::wait_until;
use crate::reporter::{Account, POINTS, Stage, Tally, report};
use crate::row::{Goal, Row, Unit};
use crate::stats::{Summary, quantile_of};

const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: usize = 6;
/// The start's own work is over by then.
const SETTLE: Duration = Duration::from_secs(5);
/// For all to be placed, and for the last acknowledgement.
const LIMIT: Duration = Duration::from_secs(300);

/// What was seen from outside, and by the workers.
struct Seen {
    placed_in: Duration,
    cpu: Vec<Cpu>,
    /// Milliseconds, of reports sent in the windows.
    acknowledgements: Vec<f64>,
    points_sent: u64,
    points_acknowledged: u64,
    points_stored: u64,
    leases_lost: u64,
}

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let house = House::start(&run.bin_dir)?;
    let seen = watch_fleet(&house, run.workers)?;
    let share = |part: fn(&Cpu) -> f64| -> Vec<f64> {
        seen.cpu.iter().map(|cpu| 100.0 * part(cpu) / WINDOW.as_secs_f64()).collect()
    };
    let (coordinator, postgres) = (share(|cpu| cpu.coordinator), share(|cpu| cpu.postgres));
    let beside = Summary::of(&postgres).context("nothing was measured")?.median;
    let at = |share| quantile_of(&seen.acknowledgements, share).context("no report was acknowledged");
    let (half, most, slowest) = (at(0.5)?, at(0.99)?, at(1.0)?);
    let unseen = seen.points_sent.abs_diff(seen.points_acknowledged) + seen.points_stored.abs_diff(seen.points_sent);
    let raw = json!({
        "workers": run.workers, "seconds_a_window": WINDOW.as_secs(), "coordinator_percent": coordinator,
        "postgres_percent": postgres, "acknowledgement_ms": { "p50": half, "p99": most, "max": slowest },
        "reports": seen.acknowledgements.len(), "points_sent": seen.points_sent,
        "points_acknowledged": seen.points_acknowledged, "points_stored": seen.points_stored,
        "leases_lost": seen.leases_lost, "seconds_until_all_were_placed": seen.placed_in.as_secs_f64(),
    });
    let row = |name: &str, what: String, goal, unit, values: &[f64], note| -> Result<Row> {
        let (name, value) = (name.into(), Summary::of(values).context("nothing was measured")?);
        Ok(Row { name, what, goal, unit, value, void: None, note, raw: raw.clone() })
    };
    Ok(vec![
        row(
            "load/coordinator",
            format!("{} workers that train, {POINTS} points/s each: the coordinator's share of a core", run.workers),
            Goal::Below(50.0),
            Unit::Percent,
            &coordinator,
            format!("Postgres beside it: {beside:.0} %; all placed after {:.1} s", seen.placed_in.as_secs_f64()),
        )?,
        row(
            "load/acknowledgement",
            "from a report to its acknowledgement, 99th percentile".into(),
            Goal::Below(200.0),
            Unit::Milliseconds,
            &[most],
            format!("{} reports: median {half:.1} ms, slowest {slowest:.0} ms", seen.acknowledgements.len()),
        )?,
        row(
            "load/lost",
            "leases lost, and points sent but not acknowledged and stored exactly once".into(),
            Goal::AtMost(0.0),
            Unit::Count,
            &[(seen.leases_lost + unseen) as f64],
            format!(
                "{} points sent, {} stored; {} leases lost",
                seen.points_sent, seen.points_stored, seen.leases_lost
            ),
        )?,
    ])
}

fn watch_fleet(house: &House, workers: u32) -> Result<Seen> {
    let runtime = Runtime::new()?;
    let (stage, tally) = (watch::Sender::new(Stage::Report), Arc::new(Tally::default()));
    let broken = Arc::new(Mutex::new(None));
    let mut fleet = JoinSet::new();
    for i in 0..workers {
        let (place, broken) = (f64::from(i) / f64::from(workers), broken.clone());
        let live = report(house.address.clone(), format!("played-{i:04}"), place, stage.subscribe(), tally.clone());
        let told = async move {
            live.await.map_err(|error| {
                if let Ok(mut first) = broken.lock() {
                    first.get_or_insert(error);
                }
            })
        };
        fleet.spawn_on(told, runtime.handle());
    }
    // A stream that breaks is no worker any more: nothing that follows would be a measure of all of them.
    let wait = |what: &str, count: &AtomicUsize| {
        let waited = wait_until(what, LIMIT, || {
            let first = broken.lock().ok().and_then(|mut first| first.take());
            first.map_or(Ok(()), |error: anyhow::Error| Err(error.context("a played worker's stream broke")))?;
            Ok(count.load(Ordering::Relaxed) == workers as usize)
        });
        waited.with_context(|| format!("{} of {workers} so far", count.load(Ordering::Relaxed)))
    };
    wait("all played workers are registered", &tally.registered)?;
    let start = Instant::now();
    let submitted = runtime.block_on(house.submit(experiment(workers)?))?;
    ensure!(submitted.jobs.len() == workers as usize, "the experiment has {} jobs", submitted.jobs.len());
    wait("all of them train", &tally.training)?;
    let placed_in = start.elapsed();
    std::thread::sleep(SETTLE);

    let from = tokio::time::Instant::now();
    let mut cpu = Vec::new();
    for _ in 0..WINDOWS {
        let before = house.cpu_seconds()?;
        std::thread::sleep(WINDOW);
        cpu.push(house.cpu_seconds()?.since(before));
    }
    stage.send_replace(Stage::Quiet);
    wait("all reports are acknowledged", &tally.drained)?;
    // Before anybody leaves: a lease that is not live now was lost.
    let live = "SELECT count(*) FROM leases WHERE released_at IS NULL AND expires_at > clock_timestamp()";
    let lost = u64::from(workers).saturating_sub(house.number(live)? as u64);
    let points_stored = house.number("SELECT count(*) FROM metrics")? as u64;
    stage.send_replace(Stage::Leave);
    let accounts = runtime.block_on(fleet.join_all());

    let (mut acknowledgements, mut points_sent, mut points_acknowledged, mut stops) = (Vec::new(), 0, 0, 0);
    for account in accounts {
        let account: Account = account.map_err(|_| anyhow!("a played worker's stream broke at the end"))?;
        let timed = account.acknowledgements.iter().filter(|(sent, _)| *sent >= from);
        acknowledgements.extend(timed.map(|(_, took)| took.as_secs_f64() * 1e3));
        points_sent += account.points_sent;
        points_acknowledged += account.points_acknowledged;
        stops += u64::from(account.stops);
    }
    let leases_lost = lost.max(stops);
    Ok(Seen { placed_in, cpu, acknowledgements, points_sent, points_acknowledged, points_stored, leases_lost })
}

/// As many jobs of one worker, told apart by their seeds.
pub(crate) fn experiment(jobs: u32) -> Result<String> {
    let mut toml = String::from(
        "name = \"load\"\ndataset = \"shapes\"\nworkers = 1\n\n[jobs.encoder]\nstage = \"contrastive\"\n\
         encoder = \"resnet-tiny\"\nepochs = 100\nbatch_size = 64\n\n[jobs.encoder.sweep]\nseed = [",
    );
    (1..=jobs).try_for_each(|seed| write!(toml, "{seed}, "))?;
    toml.push_str("]\n");
    Ok(toml)
}
