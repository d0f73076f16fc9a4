//! One rank of one attempt, from its assignment until the coordinator knows how it ended.

use std::{
    path::PathBuf,
    time::{Instant, SystemTime},
};

use tandem_domain::timing;
use tandem_learn::task::{Meeting, Task};
use tandem_proto::v1::{self, LogEvent, RankOutcome, RunningRank, rank_event::Event as Kind};

use crate::{
    child::{Child, Launch, Output},
    hear::{Heard, hear},
    outbox::Outbox,
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
    Stopping { reason: String, kill_at: Instant },
    /// SIGKILL was sent, for this reason.
    Killed(Verdict),
    /// The process is gone and its verdict is in the outbox.
    Ended,
}

pub(crate) struct Attempt {
    pub(crate) id: String,
    pub(crate) fence: i64,
    rank: u32,
    store: PathBuf,
    life: Life,
    child: Child,
    outbox: Outbox,
    last_words: Option<String>,
    /// Rank 0: where the others find it, while they might not know.
    rendezvous: Option<v1::Rendezvous>,
    rendezvous_sent: bool,
    /// Other ranks: were told where to go.
    met: bool,
    /// The coordinator disowned the attempt: there is nobody to report to.
    disowned: bool,
}

impl Attempt {
    /// Starts the rank. An error is the machine's.
    pub(crate) fn start(task: &Task, store: PathBuf, launch: &Launch) -> std::io::Result<Self> {
        Ok(Self {
            id: task.attempt_id.clone(),
            fence: task.fence,
            rank: task.rank,
            store,
            life: Life::Running,
            child: Child::spawn(launch)?,
            outbox: Outbox::new(),
            last_words: None,
            rendezvous: None,
            rendezvous_sent: false,
            met: false,
            disowned: false,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid
    }

    pub(crate) fn is(&self, id: &str, fence: i64) -> bool {
        self.id == id && self.fence == fence
    }

    /// What the coordinator still has to hear of; it must not take the rank for lost meanwhile.
    pub(crate) fn running(&self) -> Option<RunningRank> {
        (!self.disowned && !self.outbox.is_told()).then(|| self.identity())
    }

    /// The same, for a coordinator that may have missed all that was said on an earlier connection.
    pub(crate) fn unsettled(&self) -> Option<RunningRank> {
        (!self.disowned).then(|| self.identity())
    }

    /// The process is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.life == Life::Ended
    }

    /// The process is gone and nobody needs to hear of it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended() && self.disowned
    }

    /// The process is gone and the coordinator was told so, if it needs to be.
    pub(crate) fn is_told(&self) -> bool {
        self.has_ended() && (self.disowned || self.outbox.is_told())
    }

    /// SIGTERM now, SIGKILL after the grace. Asked again, or of a rank that dies already, changes nothing.
    pub(crate) fn stop(&mut self, now: Instant, reason: &str) {
        if self.life == Life::Running {
            tracing::info!(attempt = self.id, reason, "stopping the rank");
            self.life = Life::Stopping { reason: reason.to_owned(), kill_at: now + timing::STOP_GRACE };
            self.child.terminate();
        }
    }

    /// SIGKILL now; `verdict` is what the coordinator will be told.
    pub(crate) fn kill(&mut self, verdict: Verdict) {
        if matches!(self.life, Life::Running | Life::Stopping { .. }) {
            tracing::info!(attempt = self.id, reason = verdict.cause, "killing the rank");
            self.life = Life::Killed(verdict);
            self.child.kill();
        }
    }

    /// The coordinator knows nothing of this attempt, or nothing of it any more: end it and say nothing.
    pub(crate) fn disown(&mut self, reason: &str) {
        self.disowned = true;
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
                    let (attempt_id, fence, port) = (self.id.clone(), self.fence, u32::from(port));
                    self.rendezvous = Some(v1::Rendezvous { attempt_id, fence, host, port });
                }
                Heard::Event(event) => {
                    // Training has begun, so all have met.
                    if matches!(event, Kind::Metric(_) | Kind::Checkpoint(_)) {
                        self.rendezvous = None;
                    }
                    self.outbox.push(now, SystemTime::now(), event);
                }
            },
            Output::Logged(line) => {
                if !line.trim().is_empty() {
                    self.last_words = Some(line.clone());
                }
                self.outbox.push(now, SystemTime::now(), Kind::Log(LogEvent { line }));
            }
            Output::Ended(exit) => {
                let asked = match &self.life {
                    Life::Stopping { reason, .. } => Asked::Stop { reason },
                    Life::Killed(verdict) => Asked::Die(verdict),
                    Life::Running | Life::Ended => Asked::Nothing,
                };
                let verdict = verdict(asked, exit, self.last_words.as_deref());
                tracing::info!(attempt = self.id, outcome = ?verdict.outcome, cause = verdict.cause, "rank ended");
                self.rendezvous = None;
                self.outbox.end(verdict);
                self.life = Life::Ended;
            }
        }
    }

    /// Where rank 0 listens: passed on to the rank, once.
    pub(crate) fn meet(&mut self, host: String, port: u32) {
        let Ok(port) = u16::try_from(port) else {
            return tracing::warn!(attempt = self.id, port, "the coordinator names a meeting point that cannot be");
        };
        if self.rank == 0 || self.met {
            return;
        }
        match serde_json::to_string(&Meeting { host, port }) {
            Ok(line) => self.child.tell(line),
            Err(error) => tracing::warn!(%error, "meeting point not passed on"),
        }
        self.met = true;
    }

    /// The coordinator has stored everything up to `sequence`.
    pub(crate) fn confirm(&mut self, sequence: u64) {
        self.outbox.confirm(sequence);
    }

    /// A new connection: what is not known to be known is said again.
    pub(crate) fn resend(&mut self, now: Instant) {
        self.outbox.resend(now);
        self.rendezvous_sent = false;
    }

    /// Does what is due by the clock: the end of the grace.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Life::Stopping { reason, kill_at } = &self.life
            && now >= *kill_at
        {
            let cause = format!("did not stop within {:?} of SIGTERM ({reason}); killed", timing::STOP_GRACE);
            self.kill(Verdict::lost(cause));
        }
    }

    /// The next message for the coordinator, if one is due.
    pub(crate) fn message(&mut self, now: Instant) -> Option<v1::worker_message::Message> {
        use v1::worker_message::Message;
        if self.disowned {
            return None;
        }
        if let Some(rendezvous) = self.rendezvous.clone().filter(|_| !self.rendezvous_sent) {
            self.rendezvous_sent = true;
            return Some(Message::Rendezvous(rendezvous));
        }
        let RunningRank { attempt_id, fence, rank } = self.identity();
        if let Some(events) = self.outbox.take_batch(now) {
            return Some(Message::Report(v1::Report { attempt_id, fence, rank, events }));
        }
        let Verdict { outcome, cause } = self.outbox.take_verdict()?;
        Some(Message::RankEnded(v1::RankEnded { attempt_id, fence, rank, outcome: outcome.into(), cause }))
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn tick_at(&self) -> Option<Instant> {
        match self.life {
            Life::Stopping { kill_at, .. } => Some(kill_at),
            Life::Running | Life::Killed(_) | Life::Ended => None,
        }
    }

    /// When [`Self::message`] has something to give.
    pub(crate) fn message_at(&self, now: Instant) -> Option<Instant> {
        if self.disowned { None } else { self.outbox.due_at(now) }
    }

    fn identity(&self) -> RunningRank {
        RunningRank { attempt_id: self.id.clone(), fence: self.fence, rank: self.rank }
    }
}
