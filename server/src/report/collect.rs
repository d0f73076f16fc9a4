//! Reports of many workers, stored together.
//!
//! Most reports hold only metrics, progress and log lines, and every rank in training sends one about every second. A
//! transaction for each would cost a large fleet a thousand commits a second. Reports that come while one transaction
//! runs are stored by the next, so no report waits for others. Reports with other events (phases, checkpoints,
//! artifacts, results, notes) are stored each by itself ([`super::report`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::Path,
    sync::Arc,
};

use tandem_domain::timing::timing;
use tandem_proto::v1::{self, rank_event::Event};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use uuid::Uuid;

use super::{Receipt, batch, report};
use crate::{
    broken::no_fence,
    error::{Error, Result},
    store::{
        Store, attempts,
        leases::{self, LeaseHolder},
        logs, measures,
        notify::{Topic, notify},
        points, received, retry, signed, within,
    },
};

/// The most reports in one transaction ...
const BATCH_MAX: usize = 512;
/// ... and the most events of all of them, so that it is short whatever a fleet has to say after an absence.
const BATCH_EVENTS_MAX: usize = 5000;

/// A report that waits to be stored, and the channel for the answer.
struct QueuedReport {
    holder: LeaseHolder,
    events: Arc<Vec<v1::RankEvent>>,
    answer: oneshot::Sender<Answer>,
}

/// What became of a report that was to be stored together with others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stored,
    /// [`report`] finds out why.
    NotStored,
    /// The database took too long for all of them.
    Slow,
}

/// Takes in reports. Each stream has a clone.
#[derive(Clone)]
pub(crate) struct Collector {
    store: Store,
    root: Arc<Path>,
    queue: mpsc::Sender<QueuedReport>,
}

impl Collector {
    /// Takes in reports, and the task that stores them: it ends with the last clone.
    pub(crate) fn new(store: Store, root: &Path) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, mut reports) = mpsc::channel(BATCH_MAX);
        let background = store.clone();
        let storing = async move {
            let (mut waiting, mut together) = (VecDeque::new(), Vec::new());
            while !waiting.is_empty() || reports.recv_many(&mut together, BATCH_MAX).await > 0 {
                waiting.extend(together.drain(..));
                let batch = next_batch(&mut waiting);
                let stored = within(timing().report_limit(), retry(|| store_together(&background, &batch))).await;
                if let Err(error) = &stored {
                    tracing::debug!(%error, reports = batch.len(), "not stored together; each by itself");
                }
                let answers = stored.unwrap_or_else(|error| {
                    let slow = matches!(error, Error::DatabaseSlow(_));
                    vec![if slow { Answer::Slow } else { Answer::NotStored }; batch.len()]
                });
                for (report, answer) in batch.into_iter().zip(answers) {
                    // Its stream may have ended: the worker sends the report again on the next one.
                    let _ = report.answer.send(answer);
                }
            }
        };
        (Self { store, root: root.into(), queue }, storing)
    }

    /// How many wait to be stored.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Stores the new events of a report, all or none.
    pub(crate) async fn report(&self, holder: LeaseHolder, events: Vec<v1::RankEvent>) -> Result<Receipt> {
        let events = Arc::new(events);
        if is_plain(&events) && !no_fence() {
            let (answer, answered) = oneshot::channel();
            let sent = self.queue.send(QueuedReport { holder, events: events.clone(), answer }).await;
            match answered.await {
                Ok(Answer::Stored) if sent.is_ok() => return Ok(Receipt::Stored),
                // The next heartbeats renew the leases that were locked.
                Ok(Answer::Slow) => sleep(timing().lease_write).await,
                _ => {}
            }
        }
        report(&self.store, &self.root, holder, &events).await
    }
}

/// Takes as many of the waiting reports as one transaction may store: one at least.
fn next_batch(waiting: &mut VecDeque<QueuedReport>) -> Vec<QueuedReport> {
    let mut events = 0;
    let fits = waiting.iter().take_while(|report| {
        events += report.events.len();
        events <= BATCH_EVENTS_MAX
    });
    let count = fits.count().max(1).min(waiting.len());
    waiting.drain(..count).collect()
}

/// Whether a report holds only events that no decision depends on, and no invalid ones.
fn is_plain(events: &[v1::RankEvent]) -> bool {
    events.iter().all(|event| match &event.event {
        Some(Event::Metric(metric)) => !metric.name.is_empty(),
        Some(Event::Progress(_) | Event::Log(_)) => true,
        _ => false,
    })
}

/// Returns which of them were stored: those whose rank holds its lease, under its fence, in an attempt in training.
async fn store_together(store: &Store, waiting: &[QueuedReport]) -> Result<Vec<Answer>> {
    let mut tx = store.reports.begin().await?;
    // A rank may report twice at once, on an old stream and a new one: the second report is stored by itself.
    let mut firsts = BTreeSet::new();
    let is_first: Vec<bool> =
        waiting.iter().map(|report| firsts.insert((report.holder.attempt, report.holder.rank))).collect();
    let first = || waiting.iter().zip(&is_first).filter(|(_, first)| **first).map(|(report, _)| report);
    let last = |report: &QueuedReport| report.events.iter().map(|event| signed(event.sequence)).max().unwrap_or(0);
    let reports: Vec<(LeaseHolder, i64)> = first().map(|report| (report.holder, last(report))).collect();
    let taken = received::advance_training(&mut tx, &reports).await?;
    let attempts: Vec<Uuid> = taken.iter().map(|row| row.attempt).collect();
    if !attempts::all_train(&mut tx, &attempts).await? {
        // One of them has just ended. Its leases are locked now, so the next read is reliable.
        return Ok(vec![Answer::NotStored; waiting.len()]);
    }
    let first: Vec<(Uuid, u32)> =
        taken.iter().filter(|row| row.before == 0).map(|row| (row.attempt, row.rank)).collect();
    leases::set_reported(&mut tx, &first).await?;
    let taken: HashMap<(Uuid, u32), received::Advanced> =
        taken.into_iter().map(|row| ((row.attempt, row.rank), row)).collect();

    let (mut points, mut lines) = (Vec::new(), Vec::new());
    // Sorted: transactions that change the same rows in one order cannot deadlock.
    let mut latest = BTreeMap::new();
    let mut stored = Vec::new();
    for (report, is_first) in waiting.iter().zip(is_first) {
        let LeaseHolder { attempt, rank, fence, .. } = report.holder;
        let row = taken.get(&(attempt, rank)).filter(|_| is_first);
        stored.push(if row.is_some() { Answer::Stored } else { Answer::NotStored });
        let Some(row) = row else { continue };
        let new = report.events.iter().filter(|event| signed(event.sequence) > row.before);
        let batch = batch::sort(new, rank, Path::new(""));
        points.extend(batch.points.into_iter().map(|point| (row.job, fence, point)));
        lines.extend(batch.lines.into_iter().map(|line| (attempt, rank, line)));
        if let Some(progress) = batch.latest.filter(|_| rank == 0) {
            latest.insert(row.job, (fence, progress));
        }
    }
    points::insert(&mut tx, &points).await?;
    measures::put_latest(&mut tx, &latest).await?;
    logs::insert(&mut tx, &lines).await?;
    notify(&mut tx, &[Topic::Watch]).await?;
    tx.commit().await?;
    Ok(stored)
}
