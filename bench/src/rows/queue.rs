//! What a long queue costs: 100,000 queued jobs against 1,000, each under a coordinator of its own with a few busy workers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tandem_domain::timing::DEFAULT;
use tandem_proto::v1::coordinator_message::Message as Theirs;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;

use super::Run;
use super::load::experiment;
use crate::house::House;
use crate::interleave::{costs, interleave, middle};
use crate::played::{Played, numbered, phase};
use crate::row::{Goal, Row, Unit};

const LONG: u32 = 100_000;
const SHORT: u32 = 1000;
const WORKERS: usize = 4;
/// In a block: jobs that end so that the next are placed, and passes that are asked for.
const PLACED: u64 = 10;
const PASSES: u64 = 50;
/// Between two passes: each is over before the next is asked for.
const APART: Duration = Duration::from_millis(100);
const ASSIGNED: Duration = Duration::from_secs(60);

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let runtime = Runtime::new()?;
    let (long, short) = (Side::start(run, &runtime, LONG)?, Side::start(run, &runtime, SHORT)?);
    let passes = interleave(run.pairs, || long.passes(), || short.passes())?;
    let placed = interleave(run.pairs, || long.placed(), || short.placed())?;
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
                1e3 / PASSES as f64 * middle(&passes, |pair| pair.ours),
                1e3 / PASSES as f64 * middle(&passes, |pair| pair.theirs),
            ),
        )?,
        row(
            "queue/assignment",
            "from a worker's end of a job to its next",
            &placed,
            format!(
                "{:.0} against {:.0} ms",
                1e3 / PLACED as f64 * middle(&placed, |pair| pair.ours),
                1e3 / PLACED as f64 * middle(&placed, |pair| pair.theirs),
            ),
        )?,
    ])
}

type Done = oneshot::Sender<f64>;

// Dropped in this order: workers leave before their coordinator does.
struct Side<'r> {
    workers: Vec<mpsc::Sender<Done>>,
    house: House,
    runtime: &'r Runtime,
    queued: u32,
}

impl<'r> Side<'r> {
    /// Returns when all workers are busy and the others wait.
    fn start(run: &Run, runtime: &'r Runtime, queued: u32) -> Result<Self> {
        let house = House::start(&run.bin_dir)?;
        runtime.block_on(house.submit(experiment(1)?))?;
        let mut this = Self { workers: Vec::new(), house, runtime, queued };
        this.fill()?;
        this.workers = (0..WORKERS).map(|i| this.enter(i)).collect();
        (0..WORKERS).try_for_each(|i| this.next(i).map(drop))?;
        this.fill()?;
        // What the insert left to do is done before anything is measured.
        this.house.psql("VACUUM ANALYZE jobs, experiment_jobs; CHECKPOINT;")?;
        this.passes()?;
        Ok(this)
    }

    fn enter(&self, i: usize) -> mpsc::Sender<Done> {
        let (orders, received) = mpsc::channel(1);
        let (address, name) = (self.house.address.clone(), format!("played-{i}"));
        self.runtime.spawn(async move {
            if let Err(error) = work(&address, &name, received).await {
                eprintln!("{name}: {error:#}");
            }
        });
        orders
    }

    /// Jobs like the first one, until so many are queued.
    fn fill(&self) -> Result<()> {
        let queued = self.queued;
        self.house.psql(&format!(
            "WITH template AS (SELECT * FROM jobs ORDER BY created_at, id LIMIT 1),
             new AS (
                 INSERT INTO jobs (id, experiment_id, name, stage, spec, content_key, state, workers_min, workers_max,
                                   shards, work, gflop, queued_at)
                 SELECT gen_random_uuid(), experiment_id, 'queued-' || gen_random_uuid(), stage, spec,
                        gen_random_uuid(), 'queued', workers_min, workers_max, shards, work, gflop, clock_timestamp()
                 FROM template, generate_series(1, {queued} - (SELECT count(*) FROM jobs WHERE state = 'queued'))
                 RETURNING id, experiment_id, name)
             INSERT INTO experiment_jobs (experiment_id, name, job_id, position, reused)
             SELECT experiment_id, name, id, 0, false FROM new;"
        ))?;
        Ok(())
    }

    /// Seconds of CPU that `PASSES` passes cost which place nothing.
    fn passes(&self) -> Result<f64> {
        let pass = format!("NOTIFY tandem, 'schedule';\nSELECT pg_sleep({});\n", APART.as_secs_f64());
        let before = self.house.cpu_seconds()?;
        self.house.psql(&pass.repeat(PASSES as usize))?;
        Ok(self.house.cpu_seconds()?.since(before).total())
    }

    /// Seconds that `PLACED` workers, one after the other, had no job.
    fn placed(&self) -> Result<f64> {
        self.fill()?;
        (0..PLACED as usize).map(|i| self.next(i % WORKERS)).sum()
    }

    /// Ends the job of a worker; seconds until it has the next.
    fn next(&self, worker: usize) -> Result<f64> {
        let (done, seconds) = oneshot::channel();
        self.runtime.block_on(async {
            self.workers[worker].send(done).await.context("a played worker has ended")?;
            let seconds = tokio::time::timeout(ASSIGNED, seconds).await;
            seconds.context("no job was assigned in time")?.context("a played worker has ended")
        })
    }
}

/// Works on whatever it is given until it is told to end that, or nobody is there to tell.
async fn work(address: &str, name: &str, mut orders: mpsc::Receiver<Done>) -> Result<()> {
    let mut worker = Played::enter(address, name).await?;
    let mut heart = interval(DEFAULT.heartbeat);
    let (mut at, mut idle, mut beats) = (None, None::<(Instant, Done)>, 0);
    loop {
        tokio::select! {
            message = worker.next() => if let Theirs::Assignment(to) = message? {
                worker.report(&to, numbered(0, [phase("training")])).await?;
                if let Some((since, done)) = idle.take() {
                    // Nobody waits any more where it took too long.
                    let _ = done.send(since.elapsed().as_secs_f64());
                }
                at = Some(to);
            },
            _ = heart.tick() => {
                beats += 1;
                worker.heartbeat(beats, at.as_ref()).await?;
            }
            order = orders.recv() => {
                let Some(done) = order else { return Ok(()) };
                if let Some(at) = at.take() {
                    worker.succeed(&at).await?;
                }
                idle = Some((Instant::now(), done));
            }
        }
    }
}
