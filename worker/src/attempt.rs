//! One rank of one attempt, from its assignment until the coordinator knows how it ended.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    time::{Duration, Instant},
};

use tandem_domain::timing::Progress;
use tandem_learn::task::Told;
use tandem_proto::v1::{
    self, LogEvent, RankOutcome, RunningRank, rank_event::Event as Kind, worker_message::Message as WorkerMessage,
};

use crate::{
    account::Account,
    child::{Child, Launch, Output},
    hear::{Heard, hear, is_work},
    progress::ProgressClock,
    verdict::{Asked, Verdict, verdict},
};

/// What the rank's process does.
///
/// ```text
/// Running ──stop──> Stopping ──grace over──> Killed ──> Ended
///    └──────────────────┴────────kill─────────^  (any of them ends by itself, too)
/// ```
#[derive(Debug, PartialEq)]
enum Life {
    /// Nothing was asked of it.
    Running,
    /// SIGTERM was sent; SIGKILL follows at `kill_at`.
    Stopping { reason: String, grace: Duration, kill_at: Instant },
    /// SIGKILL was sent, for this reason.
    Killed(Verdict),
    /// The process is gone and its verdict is in the account.
    Ended,
}

pub(crate) struct Attempt {
    account: Account,
    store: PathBuf,
    life: Life,
    child: Child,
    clock: ProgressClock,
    last_words: Option<String>,
    /// Rank 0: where the others find it, while they might not know.
    rendezvous: Option<v1::Rendezvous>,
    rendezvous_sent: bool,
    /// Other ranks: were told where to go.
    met: bool,
}

/// Of the process or not, what is told of it is told alike.
impl Deref for Attempt {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl DerefMut for Attempt {
    fn deref_mut(&mut self) -> &mut Account {
        &mut self.account
    }
}

impl Attempt {
    /// Starts the rank. An error is the machine's.
    pub(crate) fn start(
        now: Instant,
        account: Account,
        store: PathBuf,
        limits: Progress,
        launch: &Launch,
    ) -> std::io::Result<Self> {
        Ok(Self {
            account,
            store,
            life: Life::Running,
            child: Child::spawn(launch)?,
            clock: ProgressClock::new(now, limits),
            last_words: None,
            rendezvous: None,
            rendezvous_sent: false,
            met: false,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid
    }

    /// As [`Account::running`], with its progress clock.
    pub(crate) fn running(&self, now: Instant) -> Option<RunningRank> {
        self.account.running().map(|rank| self.with_clock(now, rank))
    }

    /// As [`Account::unsettled`], with its progress clock.
    pub(crate) fn unsettled(&self, now: Instant) -> Option<RunningRank> {
        self.account.unsettled().map(|rank| self.with_clock(now, rank))
    }

    fn with_clock(&self, now: Instant, rank: RunningRank) -> RunningRank {
        // One that has ended hangs no more.
        if self.has_ended() {
            return rank;
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        RunningRank { idle_ms: millis(self.clock.idle(now)), slowest_ms: self.clock.slowest().map(millis), ..rank }
    }

    /// The process is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.life == Life::Ended
    }

    /// The process is gone and nobody needs to hear of it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended() && self.is_disowned()
    }

    /// The process is gone and the coordinator was told so, if it needs to be.
    pub(crate) fn is_told(&self) -> bool {
        self.has_ended() && self.account.is_told()
    }

    /// SIGTERM now, SIGKILL after the grace. Asked again, or of a rank that dies already, changes nothing.
    pub(crate) fn stop(&mut self, now: Instant, reason: &str) {
        if self.life == Life::Running {
            tracing::info!(attempt = self.id(), reason, "stopping the rank");
            let grace = self.clock.stop_grace();
            self.life = Life::Stopping { reason: reason.to_owned(), grace, kill_at: now + grace };
            self.child.terminate();
        }
    }

    /// SIGKILL now; `verdict` is what the coordinator will be told.
    pub(crate) fn kill(&mut self, verdict: Verdict) {
        if matches!(self.life, Life::Running | Life::Stopping { .. }) {
            tracing::info!(attempt = self.id(), reason = verdict.cause, "killing the rank");
            self.life = Life::Killed(verdict);
            self.child.kill();
        }
    }

    /// The coordinator knows nothing of this attempt, or nothing of it any more: end it and say nothing.
    pub(crate) fn disown(&mut self, reason: &str) {
        self.account.disown();
        self.kill(Verdict::new(RankOutcome::Cancelled, reason));
    }

    /// The next thing the rank says or does; never, once it has ended. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Output {
        match self.child.next().await {
            Some(output) => output,
            None => std::future::pending().await,
        }
    }

    /// Takes in what [`Self::next`] gave.
    pub(crate) fn hear(&mut self, now: Instant, output: Output) {
        match output {
            Output::Said(line) => match hear(&line, &self.store) {
                Heard::Rendezvous { host, port } => {
                    self.clock.work(now);
                    if let Some(RunningRank { attempt_id, fence, .. }) = self.account.unsettled() {
                        self.rendezvous = Some(v1::Rendezvous { attempt_id, fence, host, port: port.into() });
                    }
                }
                Heard::Pulse { slowest } => self.clock.pulse(now, slowest),
                Heard::Event(event) => {
                    if is_work(&event) {
                        self.clock.work(now);
                    }
                    // Training has begun, so all have met.
                    if matches!(event, Kind::Metric(_) | Kind::Checkpoint(_)) {
                        self.rendezvous = None;
                    }
                    self.note_down(now, event);
                }
            },
            Output::Logged(line) => {
                if !line.trim().is_empty() {
                    self.last_words = Some(line.clone());
                }
                self.note_down(now, Kind::Log(LogEvent { line }));
            }
            Output::Ended(exit) => {
                let asked = match &self.life {
                    Life::Stopping { reason, .. } => Asked::Stop { reason },
                    Life::Killed(verdict) => Asked::Die(verdict),
                    Life::Running | Life::Ended => Asked::Nothing,
                };
                let verdict = verdict(asked, exit, self.last_words.as_deref());
                tracing::info!(attempt = self.id(), outcome = ?verdict.outcome, cause = verdict.cause, "rank ended");
                self.rendezvous = None;
                self.account.close(verdict);
                self.life = Life::Ended;
            }
        }
    }

    /// Where rank 0 listens: passed on to the rank, once.
    pub(crate) fn meet(&mut self, host: String, port: u32) {
        let Ok(port) = u16::try_from(port) else {
            return tracing::warn!(attempt = self.id(), port, "the coordinator names a meeting point that cannot be");
        };
        if !self.is_rank_0() && !self.met {
            self.tell(&Told::Meeting { host, port });
            self.met = true;
        }
    }

    /// The coordinator has stored everything up to `sequence`: rank 0 hears of checkpoints among it, as older ones may go.
    pub(crate) fn confirm(&mut self, sequence: u64) {
        if let Some(step) = self.account.confirm(sequence)
            && self.is_rank_0()
            && !self.has_ended()
        {
            self.tell(&Told::Committed { step });
        }
    }

    fn tell(&self, told: &Told) {
        match serde_json::to_string(told) {
            Ok(line) => self.child.tell(line),
            Err(error) => tracing::warn!(attempt = self.id(), %error, ?told, "not passed on to the rank"),
        }
    }

    /// A new connection: what is not known to be known is said again.
    pub(crate) fn resend(&mut self, now: Instant) {
        self.account.resend(now);
        self.rendezvous_sent = false;
    }

    /// For so long this process did not run, so that nobody listened to the rank.
    pub(crate) fn shift(&mut self, by: Duration) {
        self.clock.shift(by);
        if let Life::Stopping { kill_at, .. } = &mut self.life {
            *kill_at += by;
        }
    }

    /// Does what is due by the clock: the end of the grace, the end of patience.
    pub(crate) fn tick(&mut self, now: Instant) {
        let (Life::Running | Life::Stopping { .. }) = self.life else { return };
        if let Some(cause) = self.clock.stuck(now) {
            return self.kill(Verdict::lost(cause));
        }
        if let Life::Stopping { reason, grace, kill_at } = &self.life
            && now >= *kill_at
        {
            // It was asked to make room, and room is made: nobody is at fault.
            let cause = format!(
                "did not finish its step within {} s of SIGTERM ({reason}); goes on from the checkpoint before",
                grace.as_secs()
            );
            self.kill(Verdict::new(RankOutcome::Preempted, cause));
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn tick_at(&self) -> Option<Instant> {
        match self.life {
            Life::Running => Some(self.clock.stuck_at()),
            Life::Stopping { kill_at, .. } => Some(kill_at.min(self.clock.stuck_at())),
            Life::Killed(_) | Life::Ended => None,
        }
    }

    /// The next message for the coordinator, if one is due.
    pub(crate) fn message(&mut self, now: Instant) -> Option<WorkerMessage> {
        if let Some(rendezvous) = self.rendezvous.clone().filter(|_| !self.rendezvous_sent && !self.is_disowned()) {
            self.rendezvous_sent = true;
            return Some(WorkerMessage::Rendezvous(rendezvous));
        }
        self.account.message(now)
    }

    /// The coordinator knows how it ended, or does not want to: nothing of it stays.
    pub(crate) fn forget(self) {
        self.account.forget();
    }
}

#[cfg(test)]
mod tests;
