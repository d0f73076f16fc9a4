//! What a long queue costs: 100,000 queued jobs against 1,000, each in a coordinator of its own with a few busy workers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tandem_domain::timing::DEFAULT;
use tandem_harness::Coordinator;
use tandem_proto::v1::coordinator_message::Message as Theirs;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;

use super::load::experiment;
use crate::client::{submit, worker_tokens};
use crate::cpu::CoordinatorCpu;
use crate::fake_worker::{FakeWorker, numbered, phase};
use crate::interleave::{costs, interleave, median};
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::way::Way;

const LONG: u32 = 100_000;
const SHORT: u32 = 1000;
const WORKERS: usize = 4;
/// In a block: jobs that end, so that others are placed; and scheduling passes.
const PLACED: u64 = 10;
const PASSES: u64 = 50;
/// Between two passes, so that each is over before the next begins.
const PASS_INTERVAL: Duration = Duration::from_millis(100);
const ASSIGNMENT_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let runtime = Runtime::new()?;
    let (long, short) = (QueueSide::start(settings, &runtime, LONG)?, QueueSide::start(settings, &runtime, SHORT)?);
    let passes = interleave(settings.pairs, || long.passes(), || short.passes())?;
    let placed = interleave(settings.pairs, || long.placed(), || short.placed())?;
    let row = |name: &str, what: &str, pairs: &[_], note| -> Result<Row> {
        let what = format!("{what} with {LONG} queued jobs against {SHORT}");
        let (goal, unit, value) = (Goal::AtMost(1.5), Unit::Times, costs(pairs)?);
        Ok(Row { name: name.into(), what, goal, unit, value, void: None, note, raw: json!(pairs) })
    };
    Ok(vec![
        row(
            "queue/pass",
            "CPU of a scheduling pass (coordinator and Postgres)",
            &passes,
            format!(
                "{:.1} against {:.1} ms, all workers busy",
                1e3 / PASSES as f64 * median(&passes, |pair| pair.ours),
                1e3 / PASSES as f64 * median(&passes, |pair| pair.theirs),
            ),
        )?,
        row(
            "queue/assignment",
            "from a worker's end of a job to its next",
            &placed,
            format!(
                "{:.0} against {:.0} ms",
                1e3 / PLACED as f64 * median(&placed, |pair| pair.ours),
                1e3 / PLACED as f64 * median(&placed, |pair| pair.theirs),
            ),
        )?,
    ])
}

/// Receives the seconds from the end of a job to the next assignment.
type Waited = oneshot::Sender<f64>;

// Dropped in this order: workers leave before their coordinator does.
struct QueueSide<'r> {
    workers: Vec<mpsc::Sender<Waited>>,
    coordinator: Coordinator,
    runtime: &'r Runtime,
    queued: u32,
}

impl<'r> QueueSide<'r> {
    /// Returns when all workers are busy and so many jobs are queued.
    fn start(settings: &Settings, runtime: &'r Runtime, queued: u32) -> Result<Self> {
        let coordinator = Coordinator::start(&settings.binaries()?)?;
        runtime.block_on(submit(&coordinator, experiment(1)?))?;
        let mut this = Self { workers: Vec::new(), coordinator, runtime, queued };
        this.fill()?;
        this.workers = (0..WORKERS).map(|i| this.start_worker(i)).collect::<Result<_>>()?;
        (0..WORKERS).try_for_each(|i| this.next(i).map(drop))?;
        this.fill()?;
        // The work that the inserts left to Postgres is done before anything is measured.
        this.coordinator.database.execute("VACUUM ANALYZE jobs, experiment_jobs")?;
        this.coordinator.database.execute("CHECKPOINT")?;
        this.passes()?;
        Ok(this)
    }

    fn start_worker(&self, i: usize) -> Result<mpsc::Sender<Waited>> {
        let (ends, received) = mpsc::channel(1);
        let name = format!("fake-{i}");
        let way = self.runtime.block_on(Way::to(&self.coordinator))?;
        let token = self.runtime.block_on(worker_tokens(&self.coordinator, std::slice::from_ref(&name)))?.remove(0);
        self.runtime.spawn(async move {
            if let Err(error) = work(&way, &token, &name, received).await {
                eprintln!("{name}: {error:#}");
            }
        });
        Ok(ends)
    }

    /// Adds jobs like the first one until `queued` of them are queued.
    fn fill(&self) -> Result<()> {
        let queued = self.queued;
        self.coordinator.database.execute(&format!(
            "WITH template AS (SELECT * FROM jobs ORDER BY created_at, id LIMIT 1),
             new AS (
                 INSERT INTO jobs (id, experiment_id, name, stage, spec, content_key, state, workers_min, workers_max,
                                   shards, work, gflop, queued_at, submitted_at)
                 SELECT gen_random_uuid(), experiment_id, 'queued-' || gen_random_uuid(), stage, spec,
                        gen_random_uuid(), 'queued', workers_min, workers_max, shards, work, gflop, clock_timestamp(),
                        submitted_at
                 FROM template, generate_series(1, {queued} - (SELECT count(*) FROM jobs WHERE state = 'queued'))
                 RETURNING id, experiment_id, name)
             INSERT INTO experiment_jobs (experiment_id, name, job_id, position, reused)
             SELECT experiment_id, name, id, 0, false FROM new;"
        ))
    }

    /// Seconds of CPU of `PASSES` passes that place nothing.
    fn passes(&self) -> Result<f64> {
        let before = CoordinatorCpu::of(&self.coordinator)?;
        for _ in 0..PASSES {
            self.coordinator.database.execute("NOTIFY tandem, 'schedule'")?;
            std::thread::sleep(PASS_INTERVAL);
        }
        Ok(CoordinatorCpu::of(&self.coordinator)?.since(before).total())
    }

    /// Seconds that `PLACED` workers, one after the other, were without a job.
    fn placed(&self) -> Result<f64> {
        self.fill()?;
        (0..PLACED as usize).map(|i| self.next(i % WORKERS)).sum()
    }

    /// Ends the job of a worker. Returns the seconds until it has the next.
    fn next(&self, worker: usize) -> Result<f64> {
        let (waited, seconds) = oneshot::channel();
        self.runtime.block_on(async {
            self.workers[worker].send(waited).await.context("a fake worker has ended")?;
            let seconds = tokio::time::timeout(ASSIGNMENT_LIMIT, seconds).await;
            seconds.context("no job was assigned in time")?.context("a fake worker has ended")
        })
    }
}

/// Runs each job that it is assigned until it is told to end it. Returns when the sender is dropped.
async fn work(way: &Way, token: &str, name: &str, mut ends: mpsc::Receiver<Waited>) -> Result<()> {
    let mut worker = FakeWorker::register(way, token, uuid::Uuid::new_v4(), name).await?;
    let mut heartbeats = interval(DEFAULT.heartbeat);
    let (mut assignment, mut idle, mut beats) = (None, None::<(Instant, Waited)>, 0);
    loop {
        tokio::select! {
            message = worker.next() => if let Theirs::Assignment(new) = message? {
                worker.report(&new, numbered(0, [phase("training")])).await?;
                if let Some((since, waited)) = idle.take() {
                    // Fails if it took too long and nobody waits any more.
                    let _ = waited.send(since.elapsed().as_secs_f64());
                }
                assignment = Some(new);
            },
            _ = heartbeats.tick() => {
                beats += 1;
                worker.heartbeat(beats, assignment.as_ref()).await?;
            }
            end = ends.recv() => {
                let Some(waited) = end else { return Ok(()) };
                if let Some(assignment) = assignment.take() {
                    worker.succeed(&assignment).await?;
                }
                idle = Some((Instant::now(), waited));
            }
        }
    }
}
