//! What workers say of their devices: looks are collected and stored together; what follows from them, at once.
//!
//! A worker decides by `domain::device` whether its device may be given out and is well, as it alone sees each look; here that is
//! stored when it has changed. Looks are no more than that: what the database does not take soon is dropped.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tandem_domain::{
    device::{PROCESSES_MAX, Process, Reading},
    timing::{QUARANTINE, SAMPLES_KEPT, THIN, timing},
};
use tandem_proto::{status::Code, v1};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::{
    dispatch::sessions::Session,
    error::Result,
    report::batch::short,
    store::{
        Store, clean,
        events::{self, About},
        leader,
        notify::{Topic, notify},
        retry,
        samples::{self, Facts, LookRow, Thinned},
        within, workers,
    },
};

/// Looks of one message; a worker of this version sends a minute's at most.
const LOOKS_MAX: usize = 100;
/// Of all workers, until they are stored: more than a thousand workers send in a minute.
const PENDING_MAX: usize = 20_000;
/// How often they are.
const STORE_EVERY: Duration = Duration::from_secs(2);
/// The longest reason, in bytes.
const REASON_MAX: usize = 500;
/// How soon a worker that ails is looked at again: its quarantine may be over.
const AGAIN: Duration = Duration::from_secs(60);
/// Steps of thinning that follow each other at once.
const STEPS_MAX: usize = 20;

pub(crate) struct Samples {
    store: Store,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    looks: Vec<(Uuid, Instant, Reading)>,
    facts: HashMap<Uuid, (Instant, Facts)>,
    dropped: usize,
}

impl Samples {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, pending: Mutex::default() }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message; what it says of the device holds when this returns.
    ///
    /// # Errors
    /// A message that no worker of this version sends.
    pub(crate) async fn receive(&self, session: &Session, samples: v1::Samples) -> Result<(), Status> {
        if samples.looks.len() > LOOKS_MAX {
            let message = format!("{} looks at a device; expected at most {LOOKS_MAX}", samples.looks.len());
            return Err(Code::InvalidInput.status(message));
        }
        let now = Instant::now();
        let at = |age_ms| now.checked_sub(Duration::from_millis(age_ms).min(SAMPLES_KEPT)).unwrap_or(now);
        let looks: Vec<(Uuid, Instant, Reading)> = (samples.looks.iter())
            .map(|look| (session.worker, at(look.age_ms), look.figures.unwrap_or_default().into()))
            .collect();
        let facts = Facts {
            reading: looks.last().map(|(.., reading)| *reading).unwrap_or_default(),
            processes: samples.processes.into_iter().take(PROCESSES_MAX).map(storable).collect(),
            late: short(&samples.late, REASON_MAX),
            doubt: short(&samples.doubt, REASON_MAX),
        };
        // One without looks repeats what is known, for a new stream.
        if !looks.is_empty() || !facts.late.is_empty() {
            let at = looks.last().map_or(now, |(_, at, _)| *at);
            self.pending().push(session.worker, looks, (at, facts));
        }
        let withheld = short(&samples.withheld, REASON_MAX);
        let ailment = (!samples.ailment.is_empty()).then(|| Ailment {
            reason: short(&samples.ailment, REASON_MAX),
            age: Duration::from_millis(samples.ailment_age_ms),
            lasts: samples.ailment_lasts,
        });
        self.judge(session, withheld, ailment).await;
        Ok(())
    }

    /// Stores what follows for who is given work, if that is news.
    async fn judge(&self, session: &Session, withheld: String, ailment: Option<Ailment>) {
        let (is_withheld_new, is_ailment_due) = {
            let known = session.condition();
            let due = ailment.as_ref().is_some_and(|ailment| match &known.ailment {
                Some((reason, at)) => *reason != ailment.reason || ailment.lasts || at.elapsed() >= AGAIN,
                None => true,
            });
            (known.withheld != withheld, due)
        };
        if !is_withheld_new && !is_ailment_due {
            return;
        }
        let put = || put(&self.store, session, &withheld, ailment.as_ref().filter(|_| is_ailment_due));
        match within(timing().report_limit(), retry(put)).await {
            Ok(()) => {
                let mut known = session.condition();
                known.withheld = withheld;
                known.ailment = ailment.map(|ailment| (ailment.reason, Instant::now()));
            }
            // It says so again in a few seconds.
            Err(error) => tracing::warn!(worker = session.name, %error, "cannot store what its device is like"),
        }
    }

    /// Stores looks until `closing`.
    pub(crate) async fn run(&self, closing: &CancellationToken) {
        let mut has_failed = false;
        loop {
            let stored = self.store_pending().await;
            match &stored {
                Ok(()) if has_failed => tracing::info!("looks at devices are stored again"),
                Err(error) if !has_failed => {
                    tracing::warn!(%error, "looks at devices cannot be stored, and are dropped")
                }
                _ => {}
            }
            has_failed = stored.is_err();
            tokio::select! {
                () = closing.cancelled() => return,
                () = sleep(STORE_EVERY) => {}
            }
        }
    }

    pub(crate) async fn store_pending(&self) -> Result<()> {
        let Pending { looks, facts, dropped } = std::mem::take(&mut *self.pending());
        if dropped > 0 {
            tracing::warn!(dropped, "looks at devices came faster than they are stored");
        }
        if looks.is_empty() && facts.is_empty() {
            return Ok(());
        }
        let rows: Vec<LookRow> =
            (looks.into_iter()).map(|(worker, at, reading)| LookRow { worker, age: at.elapsed(), reading }).collect();
        let facts: Vec<(Uuid, Duration, Facts)> =
            facts.into_iter().map(|(worker, (at, facts))| (worker, at.elapsed(), facts)).collect();
        let store = async {
            let mut tx = self.store.reports.begin().await?;
            samples::insert(&mut tx, &rows).await?;
            samples::put_facts(&mut tx, &facts).await?;
            Ok(tx.commit().await?)
        };
        within(timing().report_limit(), store).await
    }

    /// Thins what is old until `closing`, while the coordinator `id` leads.
    pub(crate) async fn thin(&self, id: Uuid, closing: &CancellationToken) {
        loop {
            if let Err(error) = self.thin_some(id).await {
                tracing::warn!(%error, "looks at devices are not thinned");
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = sleep(THIN) => {}
            }
        }
    }

    async fn thin_some(&self, id: Uuid) -> Result<()> {
        for _ in 0..STEPS_MAX {
            let step = async {
                let mut tx = self.store.reports.begin().await?;
                if !leader::is_held_by(&mut tx, id).await? {
                    return Ok(Thinned::default());
                }
                let thinned = samples::thin(&mut tx).await?;
                tx.commit().await?;
                Ok(thinned)
            };
            if !within(timing().report_limit(), step).await?.is_behind {
                break;
            }
        }
        Ok(())
    }
}

/// Bounded, and without what Postgres stores in no text.
fn storable(process: v1::DeviceProcess) -> Process {
    let process = Process::from(process);
    Process { user: clean(&process.user), name: clean(&process.name), ..process }
}

impl Pending {
    fn push(&mut self, worker: Uuid, looks: Vec<(Uuid, Instant, Reading)>, (at, facts): (Instant, Facts)) {
        let room = PENDING_MAX.saturating_sub(self.looks.len());
        self.dropped += looks.len().saturating_sub(room);
        self.looks.extend(looks.into_iter().take(room));
        self.facts.insert(worker, (at, facts));
    }
}

/// Why a worker is to be quarantined, as it says itself.
#[derive(Clone, Debug)]
struct Ailment {
    reason: String,
    /// How long ago that was seen first.
    age: Duration,
    lasts: bool,
}

async fn put(store: &Store, session: &Session, withheld: &str, ailment: Option<&Ailment>) -> Result<()> {
    let (worker, name) = (session.worker, &session.name);
    let mut tx = store.reports.begin().await?;
    let mut is_news = workers::set_withheld(&mut tx, worker, session.id, withheld).await?;
    if is_news {
        let (kind, message) = match withheld {
            "" => ("worker free", format!("{name} may have jobs again: nobody else uses its device")),
            why => ("worker in use", format!("{name} gets no jobs: {why}")),
        };
        events::append(&mut tx, About::worker(worker), kind, &message).await?;
        tracing::info!(worker = name, withheld, "{message}");
    }
    if let Some(Ailment { reason, age, lasts }) = ailment
        && workers::quarantine_device(&mut tx, worker, session.id, reason, *age, *lasts).await?
    {
        let hours = QUARANTINE.as_secs_f64() / 3600.0;
        let message = format!("{name} gets no jobs for {hours} h, or until `tandem release {name}`: {reason}");
        events::append(&mut tx, About::worker(worker), "worker quarantined", &message).await?;
        tracing::warn!(%worker, name, reason, "worker quarantined");
        is_news = true;
    }
    if is_news {
        notify(&mut tx, &[Topic::Schedule]).await?;
    }
    Ok(tx.commit().await?)
}
