//! One rank of one attempt, from its assignment until the coordinator knows how it ended.

use tandem_domain::{state::RankOutcome, timing};

use super::{
    Worker,
    outbox::{End, Outbox},
};
use crate::{
    event::{AttemptId, Message, Process, RankEvent, Running, What, Word},
    plan::{Ms, ms},
    world::World,
};

pub(crate) struct Attempt {
    pub(crate) attempt: AttemptId,
    pub(crate) rank: usize,
    pub(crate) life: AttemptLife,
    pub(crate) outbox: Outbox,
    /// Rank 0 listens, and the others might not know.
    pub(crate) listens: bool,
    pub(crate) listens_sent: bool,
    pub(crate) disowned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AttemptLife {
    Running,
    Stopping {
        kill_at: Ms,
    },
    /// SIGKILL was sent; what the coordinator is told.
    Killed(RankOutcome),
    Ended,
}

impl Attempt {
    pub(crate) fn new(attempt: AttemptId, rank: usize) -> Self {
        let (life, outbox) = (AttemptLife::Running, Outbox::default());
        Self { attempt, rank, life, outbox, listens: false, listens_sent: false, disowned: false }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.life == AttemptLife::Ended
    }

    /// Nobody has killed it.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life, AttemptLife::Running | AttemptLife::Stopping { .. })
    }

    pub(crate) fn is_told(&self) -> bool {
        self.has_ended() && (self.disowned || self.outbox.is_told())
    }
}

impl Worker {
    /// What survives its death: the spool says what the rank did, and the rank is gone.
    pub(crate) fn recover(&mut self, now: Ms) {
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| !attempt.disowned) {
            attempt.life = AttemptLife::Ended;
            attempt.listens = false;
            if attempt.outbox.end == End::Open {
                attempt.outbox.end(now, RankOutcome::Lost);
            }
        } else {
            self.attempt = None;
        }
    }
}

impl World {
    fn identity(&self, own: usize) -> Option<Running> {
        let held = self.workers[own].attempt.as_ref().filter(|held| !held.disowned)?;
        let gang = &self.gangs[&held.attempt];
        let slowest = gang.slowest(self.plan.jobs[gang.job].step_ms);
        let idle = self.now - gang.progress_at;
        Some(Running { attempt: held.attempt, rank: held.rank, idle, slowest })
    }

    /// What the coordinator still has to hear of.
    pub(super) fn vouched(&self, own: usize) -> Option<Running> {
        self.identity(own).filter(|_| self.workers[own].attempt.as_ref().is_some_and(|held| !held.outbox.is_told()))
    }

    /// The same, for a coordinator that may have missed all that was said on an earlier connection.
    pub(super) fn unsettled(&self, own: usize) -> Option<Running> {
        self.identity(own)
    }

    pub(super) fn hear(&mut self, own: usize, attempt: AttemptId, word: Word) {
        let now = self.now;
        let Some(held) = self.workers[own].attempt.as_mut().filter(|held| held.attempt == attempt) else { return };
        match word {
            Word::Listens => held.listens = true,
            Word::Event(event) => {
                if matches!(event, RankEvent::Metric { .. } | RankEvent::Checkpoint { .. }) {
                    held.listens = false;
                }
                held.outbox.push(now, event);
            }
            Word::Gone(outcome) => {
                let outcome = match held.life {
                    AttemptLife::Killed(verdict) if outcome == RankOutcome::Cancelled => verdict,
                    // A SIGKILL that this worker did not send.
                    _ if outcome == RankOutcome::Cancelled => RankOutcome::Lost,
                    _ => outcome,
                };
                held.listens = false;
                held.outbox.end(now, outcome);
                held.life = AttemptLife::Ended;
                if held.disowned {
                    self.workers[own].attempt = None;
                }
            }
        }
        self.flush(own);
    }

    pub(super) fn stop_attempt(&mut self, own: usize) {
        let now = self.now;
        let Some(held) = self.workers[own].attempt.as_mut().filter(|held| held.life == AttemptLife::Running) else {
            return;
        };
        let kill_at = now + ms(timing::STOP_GRACE);
        held.life = AttemptLife::Stopping { kill_at };
        let (attempt, rank) = (held.attempt, held.rank);
        self.timer(kill_at, Process::Worker(own), What::KillDue { attempt });
        self.terminate(attempt, rank);
    }

    /// SIGKILL, with the verdict that the coordinator will be told.
    pub(super) fn kill_attempt(&mut self, own: usize, verdict: RankOutcome) {
        let Some(held) = &mut self.workers[own].attempt else { return };
        if matches!(held.life, AttemptLife::Running | AttemptLife::Stopping { .. }) {
            held.life = AttemptLife::Killed(verdict);
            let (attempt, rank) = (held.attempt, held.rank);
            // A rank that ends by SIGKILL is no verdict yet: see `hear`.
            self.kill_rank(attempt, rank, RankOutcome::Cancelled);
        }
    }

    pub(super) fn kill_due(&mut self, own: usize, attempt: AttemptId) {
        let now = self.now;
        let due = |held: &super::Attempt| {
            held.attempt == attempt && matches!(held.life, AttemptLife::Stopping { kill_at } if kill_at <= now)
        };
        if self.workers[own].attempt.as_ref().is_some_and(due) {
            self.kill_attempt(own, RankOutcome::Lost);
        }
    }

    /// The progress clock on this machine.
    pub(super) fn on_watch(&mut self, own: usize, attempt: AttemptId) {
        let Some(held) = self.workers[own].attempt.as_ref().filter(|held| held.attempt == attempt) else { return };
        let gang = &self.gangs[&attempt];
        let rank = &gang.ranks[held.rank];
        if !rank.is_alive() || matches!(held.life, AttemptLife::Killed(_)) {
            return;
        }
        if self.now >= gang.progress_at + ms(self.limits(attempt).self_end) {
            self.say(|| format!("w{own} ends its rank of a{attempt}: no progress"));
            self.kill_attempt(own, RankOutcome::Lost);
        } else if !gang.ranks.iter().all(crate::gang::Rank::goes_on) {
            self.watch(own, attempt);
        }
    }

    /// Sends what is due.
    pub(super) fn flush(&mut self, own: usize) {
        let now = self.now;
        let Some(connection) = self.workers[own].connection() else { return };
        let Some(held) = self.workers[own].attempt.as_mut().filter(|held| !held.disowned) else { return };
        let (attempt, rank) = (held.attempt, held.rank);
        let mut out = Vec::new();
        if held.listens && !held.listens_sent {
            held.listens_sent = true;
            out.push(Message::Listens { attempt });
        }
        if let Some(events) = held.outbox.take_batch(now) {
            held.outbox.due_at = None;
            out.push(Message::Report { attempt, rank, events });
        }
        if let Some(outcome) = held.outbox.take_verdict() {
            out.push(Message::RankEnded { attempt, rank, outcome });
        }
        let due_at = held.outbox.due_at.filter(|due| *due > now);
        out.into_iter().for_each(|message| self.tell_coordinator(connection, message));
        if let Some(at) = due_at {
            self.timer(at, Process::Worker(own), What::Flush);
        }
    }
}
