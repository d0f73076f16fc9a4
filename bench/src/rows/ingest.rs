//! Points of many curves as fast as a coordinator stores them, over TLS, and the room that they take in the end. Streams and reports are
//! real; there are no ranks behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tandem_domain::timing::DEFAULT;
use tandem_harness::Coordinator;
use tandem_proto::v1::rank_event::Event;
use tandem_proto::v1::{Assignment, MetricEvent, coordinator_message::Message as Theirs};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;
use uuid::Uuid;

use super::load::experiment;
use crate::client::{submit, worker_tokens};
use crate::cpu::CoordinatorCpu;
use crate::fake_worker::{FakeWorker, numbered, phase};
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::stats::Summary;
use crate::wait::wait_until;
use crate::way::Way;

const WORKERS: u32 = 50;
const CURVES: [&str; 3] = ["loss", "lr", "gradient_norm"];
/// Of a report, which then has nearly as many events as a worker sends at most.
const STEPS: u64 = 166;
const IN_FLIGHT: usize = 3;
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: u32 = 6;
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Report,
    /// What is under way is waited for, and then the rank succeeds.
    Finish,
    Leave,
}

#[derive(Debug, Default)]
struct Counts {
    training: AtomicU64,
    points_acknowledged: AtomicU64,
}

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let coordinator = Coordinator::start_tls(&settings.binaries()?)?;
    let runtime = Runtime::new()?;
    let (phase, counts) = (watch::Sender::new(Phase::Report), Arc::new(Counts::default()));
    let names: Vec<String> = (0..WORKERS).map(|worker| format!("fake-{worker:02}")).collect();
    let tokens = runtime.block_on(worker_tokens(&coordinator, &names))?;
    let way = runtime.block_on(Way::to(&coordinator))?;
    let mut fleet = JoinSet::new();
    for (name, token) in names.into_iter().zip(tokens) {
        fleet.spawn_on(reporter(way.clone(), token, name, phase.subscribe(), counts.clone()), runtime.handle());
    }
    runtime.block_on(submit(&coordinator, experiment(WORKERS)?))?;
    wait_until("all fake workers train", LIMIT, || {
        Ok((counts.training.load(Ordering::Relaxed) == u64::from(WORKERS)).then_some(()))
    })?;

    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let (before, began) = (counts.points_acknowledged.load(Ordering::Relaxed), Instant::now());
        let cpu_before = CoordinatorCpu::of(&coordinator)?;
        std::thread::sleep(WINDOW);
        let stored = counts.points_acknowledged.load(Ordering::Relaxed) - before;
        rates.push(stored as f64 / began.elapsed().as_secs_f64());
        let cpu_used = CoordinatorCpu::of(&coordinator)?.since(cpu_before);
        cpu.push([1e6 * cpu_used.coordinator / stored as f64, 1e6 * cpu_used.postgres / stored as f64]);
    }
    phase.send_replace(Phase::Finish);
    let database = coordinator.database.with_limit(LIMIT);
    wait_until("all jobs have ended, with their points in chunks", LIMIT, || {
        let is_left: bool = database
            .value("SELECT EXISTS (SELECT FROM metrics) OR EXISTS (SELECT FROM jobs WHERE finished_at IS NULL)")?;
        Ok((!is_left).then_some(()))
    })?;
    phase.send_replace(Phase::Leave);
    for worker in runtime.block_on(fleet.join_all()) {
        worker.context("a fake worker's stream broke")?;
    }
    let acknowledged = counts.points_acknowledged.load(Ordering::Relaxed);
    let points: i64 = database.value("SELECT sum(points)::bigint FROM metric_chunks")?;
    ensure!(points.unsigned_abs() == acknowledged, "{acknowledged} points were acknowledged, {points} are stored");
    let bytes: i64 = database.value("SELECT pg_total_relation_size('metric_chunks')")?;

    let middle =
        |side: usize| Summary::of(&cpu.iter().map(|both| both[side]).collect::<Vec<_>>()).map(|cpu| cpu.median);
    let (ours, postgres) = (middle(0).unwrap_or(f64::NAN), middle(1).unwrap_or(f64::NAN));
    let raw = json!({ "points_a_second": rates, "cpu_us_a_point": cpu, "points": points, "bytes": bytes });
    Ok(vec![
        Row {
            name: "ingest/points".into(),
            what: format!("points a second that are stored, of {WORKERS} workers in reports of {}", STEPS * 3),
            goal: Goal::AtLeast(50_000.0),
            unit: Unit::Count,
            value: Summary::of(&rates).context("nothing was measured")?,
            void: None,
            note: format!("CPU of a point: coordinator {ours:.1} us, Postgres {postgres:.1} us"),
            raw: raw.clone(),
        },
        Row {
            name: "ingest/bytes".into(),
            what: "bytes of a point on disk, in the end, indexes and all".into(),
            goal: Goal::AtMost(20.0),
            unit: Unit::Count,
            value: Summary::of(&[bytes as f64 / points as f64]).context("nothing was measured")?,
            void: None,
            note: format!("{points} points in {:.1} MB", bytes as f64 / 1e6),
            raw,
        },
    ])
}

/// Reports as fast as it is acknowledged; then its rank succeeds.
async fn reporter(
    way: Way,
    token: String,
    name: String,
    mut phases: watch::Receiver<Phase>,
    counts: Arc<Counts>,
) -> Result<()> {
    let mut worker = FakeWorker::register(&way, &token, Uuid::new_v4(), &name).await?;
    let mut heartbeats = interval(DEFAULT.heartbeat);
    let (mut beats, mut sequence, mut step) = (0, 0, 0);
    let mut assignment: Option<Assignment> = None;
    // Last sequence number and points of each report that is not acknowledged.
    let mut pending = VecDeque::new();
    loop {
        let phase_now = *phases.borrow_and_update();
        if phase_now == Phase::Leave {
            return Ok(());
        }
        if phase_now == Phase::Finish
            && pending.is_empty()
            && let Some(to) = assignment.take()
        {
            worker.succeed(&to).await?;
        }
        if let Some(to) = &assignment {
            while phase_now == Phase::Report && pending.len() < IN_FLIGHT {
                let events = numbered(sequence, points(step));
                (sequence, step) = (sequence + events.len() as u64, step + STEPS);
                pending.push_back((sequence, events.len() as u64));
                worker.report(to, events).await?;
            }
        }
        tokio::select! {
            message = worker.next() => match message? {
                Theirs::Assignment(to) => {
                    let events = numbered(sequence, [phase("started"), phase("training")]);
                    sequence += events.len() as u64;
                    pending.push_back((sequence, 0));
                    worker.report(&to, events).await?;
                    assignment = Some(to);
                    counts.training.fetch_add(1, Ordering::Relaxed);
                }
                Theirs::ReportAck(ack) => {
                    while let Some((_, points)) = pending.pop_front_if(|(last, _)| *last <= ack.sequence) {
                        counts.points_acknowledged.fetch_add(points, Ordering::Relaxed);
                    }
                }
                Theirs::Stop(stop) if assignment.is_some() => {
                    return Err(anyhow!("{name} was told to stop its rank: {}", stop.reason));
                }
                _ => {}
            },
            _ = heartbeats.tick() => {
                beats += 1;
                worker.heartbeat(beats, assignment.as_ref()).await?;
            }
            changed = phases.changed() => changed?,
        }
    }
}

/// A loss of 32 bits that falls and is noisy, and two more of the kind.
fn points(from: u64) -> impl Iterator<Item = Event> {
    (from + 1..=from + STEPS).flat_map(|step| {
        CURVES.map(|name| {
            let noise = (step as f64 * name.len() as f64).sin();
            let value = f64::from((4.0 / (1.0 + step as f64).sqrt() + 0.1 * noise) as f32);
            Event::Metric(MetricEvent { name: name.to_owned(), step, value })
        })
    })
}
