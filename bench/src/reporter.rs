//! A fake worker whose rank trains: it sends a heartbeat and a report each second, also when the coordinator is slow to
//! acknowledge earlier ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tandem_domain::timing::{DEFAULT, RECONNECT_LONGEST, REPORT_BATCH};
use tandem_proto::v1::rank_event::Event;
use tandem_proto::v1::{Assignment, MetricEvent, ProgressEvent, coordinator_message::Message as Theirs};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};
use uuid::Uuid;

use crate::fake_worker::{FakeWorker, numbered, phase};
use crate::way::Way;

/// Each report has five steps, with a point of each of these curves, as in pretraining.
const CURVES: [&str; 2] = ["loss", "lr"];
const STEPS: u64 = 5;
pub(crate) const POINTS: u64 = STEPS * CURVES.len() as u64;

/// How often a worker tries to register.
const TRIES: u32 = 20;

/// What all reporters do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadPhase {
    Report,
    /// Send heartbeats only, until all reports are acknowledged.
    Quiet,
    Leave,
}

/// How many reporters have come so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) registered: AtomicUsize,
    pub(crate) training: AtomicUsize,
    /// In the phase `Quiet`, with all reports acknowledged.
    pub(crate) drained: AtomicUsize,
}

/// What one reporter sent and received.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) points_sent: u64,
    pub(crate) points_acknowledged: u64,
    /// When a report was sent, and how long until it was acknowledged.
    pub(crate) acknowledgements: Vec<(Instant, Duration)>,
    /// When a heartbeat was sent, and how long until it was acknowledged.
    pub(crate) heartbeats: Vec<(Instant, Duration)>,
    /// How often it was told to stop its rank.
    pub(crate) stops: u32,
}

/// Runs a reporter until the phase `Leave`. `offset`, from 0 to 1, spreads the workers' messages over the second.
pub(crate) async fn run_reporter(
    way: Way,
    token: String,
    name: String,
    offset: f64,
    mut phases: watch::Receiver<LoadPhase>,
    counts: Arc<Counts>,
) -> Result<Traffic> {
    let worker = register(&way, &token, &name).await?;
    counts.registered.fetch_add(1, Ordering::Relaxed);
    let mut reporter = Reporter {
        worker,
        counts,
        assignment: None,
        sequence: 0,
        step: 0,
        pending: VecDeque::new(),
        beats: VecDeque::new(),
        traffic: Traffic::default(),
    };
    let start = Instant::now() + DEFAULT.heartbeat.mul_f64(offset);
    let mut heartbeats = interval_at(start, DEFAULT.heartbeat);
    let mut reports = interval_at(start + DEFAULT.heartbeat / 2, REPORT_BATCH);
    let (mut beats, mut is_drained) = (0, false);
    loop {
        let phase_now = *phases.borrow_and_update();
        if phase_now == LoadPhase::Leave {
            return Ok(reporter.traffic);
        }
        if phase_now == LoadPhase::Quiet && reporter.pending.is_empty() && !is_drained {
            is_drained = true;
            reporter.counts.drained.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            message = reporter.worker.next() => reporter.receive(message?).await?,
            _ = heartbeats.tick() => {
                beats += 1;
                reporter.beats.push_back((beats, Instant::now()));
                reporter.worker.heartbeat(beats, reporter.assignment.as_ref()).await?;
            }
            _ = reports.tick(), if phase_now == LoadPhase::Report => reporter.report_points().await?,
            changed = phases.changed() => changed?,
        }
    }
}

/// Tries again, as a worker does, if the coordinator refuses one of a thousand connections at once.
async fn register(way: &Way, token: &str, name: &str) -> Result<FakeWorker> {
    // The same each time: its token is bound to it.
    let id = Uuid::new_v4();
    let mut tries = 0;
    loop {
        match FakeWorker::register(way, token, id, name).await {
            Err(_) if tries < TRIES => tries += 1,
            registered => return registered,
        }
        tokio::time::sleep(RECONNECT_LONGEST).await;
    }
}

struct Reporter {
    worker: FakeWorker,
    counts: Arc<Counts>,
    assignment: Option<Assignment>,
    sequence: u64,
    step: u64,
    /// Reports not acknowledged: last sequence number, time of sending, number of points.
    pending: VecDeque<(u64, Instant, u64)>,
    /// Heartbeats not acknowledged.
    beats: VecDeque<(u64, Instant)>,
    traffic: Traffic,
}

impl Reporter {
    async fn receive(&mut self, message: Theirs) -> Result<()> {
        match message {
            Theirs::Assignment(assignment) => {
                self.assignment = Some(assignment);
                self.send(vec![phase("started"), phase("training")], 0).await?;
                self.counts.training.fetch_add(1, Ordering::Relaxed);
            }
            Theirs::ReportAck(ack) => {
                while let Some((_, sent, points)) = self.pending.pop_front_if(|(last, ..)| *last <= ack.sequence) {
                    self.traffic.points_acknowledged += points;
                    self.traffic.acknowledgements.push((sent, sent.elapsed()));
                }
            }
            Theirs::HeartbeatAck(ack) => {
                // An answer to a later one answers the earlier ones, too.
                while let Some((_, sent)) = self.beats.pop_front_if(|(sequence, _)| *sequence <= ack.sequence) {
                    self.traffic.heartbeats.push((sent, sent.elapsed()));
                }
            }
            Theirs::Stop(_) => {
                self.traffic.stops += 1;
                self.assignment = None;
            }
            _ => {}
        }
        Ok(())
    }

    async fn report_points(&mut self) -> Result<()> {
        if self.assignment.is_none() {
            return Ok(());
        }
        let steps = self.step + 1..=self.step + STEPS;
        let point =
            |step, name: &str| Event::Metric(MetricEvent { name: name.to_owned(), step, value: 1.0 / step as f64 });
        let mut events: Vec<Event> = steps.flat_map(|step| CURVES.map(|name| point(step, name))).collect();
        self.step += STEPS;
        let (step, steps, images_per_second, seconds_left) = (self.step, 100_000, 640.0, 1e4);
        events.push(Event::Progress(ProgressEvent {
            step,
            steps,
            epoch: 1,
            epochs: 1000,
            images_per_second,
            seconds_left,
        }));
        self.send(events, POINTS).await
    }

    async fn send(&mut self, events: Vec<Event>, points: u64) -> Result<()> {
        let Some(assignment) = &self.assignment else { return Ok(()) };
        let events = numbered(self.sequence, events);
        self.sequence += events.len() as u64;
        self.traffic.points_sent += points;
        self.pending.push_back((self.sequence, Instant::now(), points));
        self.worker.report(assignment, events).await
    }
}
