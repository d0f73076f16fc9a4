//! A played worker whose rank trains: a heartbeat each second, a report each second, and no word about it held back when
//! the coordinator is slow to acknowledge those before.

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

use crate::played::{Played, numbered, phase};

/// In each report: five steps, each a point of these curves, as pretraining reports them.
const CURVES: [&str; 2] = ["loss", "lr"];
const STEPS: u64 = 5;
pub(crate) const POINTS: u64 = STEPS * CURVES.len() as u64;

/// To be registered.
const TRIES: u32 = 20;

/// What all of them do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Report,
    /// Heartbeats only, until all that was said is acknowledged and counted.
    Quiet,
    Leave,
}

/// How many of them are so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) registered: AtomicUsize,
    pub(crate) training: AtomicUsize,
    /// Quiet, with nothing left to be acknowledged.
    pub(crate) drained: AtomicUsize,
}

/// What one of them saw.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) points_sent: u64,
    pub(crate) points_acknowledged: u64,
    /// When a report was sent, and how long until it was acknowledged.
    pub(crate) acknowledgements: Vec<(Instant, Duration)>,
    /// It was told that its attempt is over.
    pub(crate) stops: u32,
}

/// Lives until all leave. `place` of 0 to 1 spreads the workers over the second.
pub(crate) async fn report(
    address: String,
    name: String,
    place: f64,
    mut stage: watch::Receiver<Stage>,
    tally: Arc<Tally>,
) -> Result<Account> {
    let worker = enter(&address, &name).await?;
    tally.registered.fetch_add(1, Ordering::Relaxed);
    let mut rank =
        Rank { worker, tally, to: None, sequence: 0, step: 0, pending: VecDeque::new(), account: Account::default() };
    let start = Instant::now() + DEFAULT.heartbeat.mul_f64(place);
    let mut heart = interval_at(start, DEFAULT.heartbeat);
    let mut batch = interval_at(start + DEFAULT.heartbeat / 2, REPORT_BATCH);
    let (mut beats, mut drained) = (0, false);
    loop {
        let now_is = *stage.borrow_and_update();
        if now_is == Stage::Leave {
            return Ok(rank.account);
        }
        if now_is == Stage::Quiet && rank.pending.is_empty() && !drained {
            drained = true;
            rank.tally.drained.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            message = rank.worker.next() => rank.hear(message?).await?,
            _ = heart.tick() => {
                beats += 1;
                rank.worker.heartbeat(beats, rank.to.as_ref()).await?;
            }
            _ = batch.tick(), if now_is == Stage::Report => rank.points().await?,
            changed = stage.changed() => changed?,
        }
    }
}

/// As a worker does: where a coordinator that a thousand dial at once turns it away, it dials again.
async fn enter(address: &str, name: &str) -> Result<Played> {
    let mut tries = 0;
    loop {
        match Played::enter(address, name).await {
            Err(_) if tries < TRIES => tries += 1,
            entered => return entered,
        }
        tokio::time::sleep(RECONNECT_LONGEST).await;
    }
}

struct Rank {
    worker: Played,
    tally: Arc<Tally>,
    to: Option<Assignment>,
    sequence: u64,
    step: u64,
    /// Sent and not acknowledged: last number, when, and points.
    pending: VecDeque<(u64, Instant, u64)>,
    account: Account,
}

impl Rank {
    async fn hear(&mut self, message: Theirs) -> Result<()> {
        match message {
            Theirs::Assignment(to) => {
                self.to = Some(to);
                self.say(vec![phase("started"), phase("training")], 0).await?;
                self.tally.training.fetch_add(1, Ordering::Relaxed);
            }
            Theirs::ReportAck(ack) => {
                while let Some((_, sent, points)) = self.pending.pop_front_if(|(last, ..)| *last <= ack.sequence) {
                    self.account.points_acknowledged += points;
                    self.account.acknowledgements.push((sent, sent.elapsed()));
                }
            }
            Theirs::Stop(_) => {
                self.account.stops += 1;
                self.to = None;
            }
            _ => {}
        }
        Ok(())
    }

    async fn points(&mut self) -> Result<()> {
        if self.to.is_none() {
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
        self.say(events, POINTS).await
    }

    async fn say(&mut self, events: Vec<Event>, points: u64) -> Result<()> {
        let Some(to) = &self.to else { return Ok(()) };
        let events = numbered(self.sequence, events);
        self.sequence += events.len() as u64;
        self.account.points_sent += points;
        self.pending.push_back((self.sequence, Instant::now(), points));
        self.worker.report(to, events).await
    }
}
