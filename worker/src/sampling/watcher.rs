//! The task that looks at the device, again and again.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_domain::{
    device::{Bounds, Process, Reading, Seen, Verdict, Watch, mean_watts},
    timing::{SAMPLE, SAMPLE_LATE},
};
use tandem_proto::v1::ForeignUse;
use tokio::{
    sync::watch,
    task::spawn,
    time::{MissedTickBehavior, interval},
};

use super::{card, look::Look, machine, owner::Owners, xid::Xids};
use crate::{in_thread::InThread, nvml::Card};

/// How long the first look waits for the driver to tell of errors from before.
const XIDS_AT_FIRST: Duration = Duration::from_secs(2);
/// How long a file system may take to say how full it is.
const DISK_ANSWERS: Duration = Duration::from_secs(1);

/// What else there is to know of the worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Circumstances {
    pub(super) rank_runs: bool,
    pub(super) store: Option<PathBuf>,
    /// What the house says of others' use of a device.
    pub(super) foreign: Option<ForeignUse>,
    /// Grows by one each time somebody wants a look now.
    pub(super) wanted: u64,
}

/// What is known of the device.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest {
    /// When the newest look ended; `None` before the first.
    pub(super) at: Option<Instant>,
    pub(super) is_card: bool,
    pub(super) reading: Reading,
    pub(super) processes: Vec<Process>,
    /// Whether these are all that there are, as far as the driver knows.
    pub(super) lists_processes: bool,
    pub(super) verdict: Verdict,
    /// When [`tandem_domain::device::Ailment::since`] was.
    pub(super) ailing_since: Option<Instant>,
    /// Xid errors since the look before.
    pub(super) xids: Vec<u64>,
    /// [`Circumstances::wanted`] when the look began.
    pub(super) wanted: u64,
    /// Why there was no look; empty if there was one.
    pub(super) late: String,
    /// What the driver says and cannot be; empty if there is nothing.
    pub(super) doubt: String,
}

/// Who is looked at.
enum Source {
    Card(Card, Owners, Xids),
    Machine,
}

struct Watcher {
    source: Arc<Source>,
    xids: Xids,
    watch: Watch,
    bounds: Bounds,
    /// The card's counter of energy at the look before, and when that was.
    energy: Option<(u64, Instant)>,
    /// The clock of the watch begins here.
    began: Instant,
}

pub(super) fn start(
    card: Option<Card>,
    state: PathBuf,
    every: Duration,
    circumstances: watch::Receiver<Circumstances>,
    sender: watch::Sender<Newest>,
) {
    let xids = card.as_ref().map(Xids::listen).unwrap_or_default();
    let of_card = |card| Source::Card(card, Owners::default(), xids.clone());
    let source = Arc::new(card.map_or(Source::Machine, of_card));
    let watcher = Watcher {
        source,
        xids,
        watch: Watch::default(),
        bounds: Bounds::of(every),
        energy: None,
        began: Instant::now(),
    };
    spawn(watcher.run(state, every, circumstances, sender));
}

impl Watcher {
    async fn run(
        mut self,
        state: PathBuf,
        every: Duration,
        mut circumstances: watch::Receiver<Circumstances>,
        sender: watch::Sender<Newest>,
    ) {
        let (mut looking, mut asking) = (InThread::new(), InThread::new());
        // In proportion to how often it is looked.
        let limit = SAMPLE_LATE.mul_f64(every.div_duration_f64(SAMPLE));
        let (mut ticks, mut wanted) = (None, 0);
        let mut clock = interval(every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                _ = circumstances.wait_for(|known| known.wanted != wanted) => {}
            }
            wanted = circumstances.borrow().wanted;
            let (source, mut before) = (self.source.clone(), ticks);
            let work = move || {
                let look = source.look(&mut before);
                (look, before, Instant::now())
            };
            let found = looking.run(limit, work).await;
            let Circumstances { rank_runs, store, foreign, .. } = circumstances.borrow().clone();
            if let Some(ForeignUse { memory_bytes, utilization, seconds }) = foreign {
                let after = Duration::from_secs(seconds.into());
                self.bounds = Bounds::of(every).with(memory_bytes, utilization, after);
            }
            let newest = Newest {
                wanted,
                ..match found {
                    Ok(Some((look, after, at))) => {
                        ticks = after;
                        let state = state.clone();
                        let ask = move || (machine::free(&state), store.as_deref().and_then(machine::free));
                        let (state_free, store_free) =
                            asking.run(DISK_ANSWERS, ask).await.ok().flatten().unwrap_or_default();
                        let reading = Reading { state_free, store_free, ..look.reading };
                        self.decide(at, Look { reading, ..look }, rank_runs)
                    }
                    Ok(None) => {
                        let words = format!("its driver has not answered for {limit:?}");
                        late(&sender.borrow(), words)
                    }
                    Err(error) => late(&sender.borrow(), format!("it cannot be looked at: {error}")),
                }
            };
            if newest.late != sender.borrow().late {
                match newest.late.as_str() {
                    "" => tracing::info!("the device answers again"),
                    words => tracing::warn!("the device's state is not known: {words}; the worker goes on"),
                }
            }
            if !newest.doubt.is_empty() && newest.doubt != sender.borrow().doubt {
                tracing::warn!("the device cannot be believed: {}", newest.doubt);
            }
            // Nobody listens: the worker ends.
            if sender.send(newest).is_err() {
                return;
            }
        }
    }

    fn decide(&mut self, at: Instant, look: Look, rank_runs: bool) -> Newest {
        let is_card = matches!(*self.source, Source::Card(..));
        let Look { mut reading, processes, lists_processes, doubt, energy, memory_errors, is_lost, problem } = look;
        let energy = energy.map(|energy| (energy, at));
        if let (Some((before, then)), Some((now, _))) = (std::mem::replace(&mut self.energy, energy), energy) {
            reading.power_watts = mean_watts(before, now, at.saturating_duration_since(then)).or(reading.power_watts);
        }
        let xids = self.xids.take();
        let now = at.saturating_duration_since(self.began);
        let seen = Seen { reading: &reading, processes: &processes, rank_runs, xids: &xids, memory_errors, is_lost };
        // A machine is everybody's; what is in use of it is no reason.
        let verdict = if is_card { self.watch.look(now, &seen, &self.bounds) } else { Verdict::default() };
        let ailing_since = verdict.ailment.as_ref().map(|ailment| self.began + ailment.since);
        let late = problem.map(|problem| format!("NVML answers nothing: {problem}")).unwrap_or_default();
        Newest {
            at: Some(at),
            is_card,
            reading,
            processes,
            lists_processes,
            verdict,
            ailing_since,
            xids,
            wanted: 0,
            late,
            doubt,
        }
    }
}

/// Nothing new is known. What was known of its use still holds: a device in use does not become free by silence.
fn late(before: &Newest, late: String) -> Newest {
    let (reading, doubt) = (Reading::default(), String::new());
    let (processes, xids) = (Vec::new(), Vec::new());
    Newest { reading, processes, lists_processes: false, xids, late, doubt, ..before.clone() }
}

impl Source {
    fn look(&self, ticks: &mut Option<machine::Ticks>) -> Look {
        match self {
            Self::Card(card, owners, xids) => {
                let look = card::look(card, owners);
                // Waits at the first look alone.
                xids.told_at_first(XIDS_AT_FIRST);
                look
            }
            Self::Machine => machine::look(ticks),
        }
    }
}
