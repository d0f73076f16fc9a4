//! A worker's side of one rank, from its assignment until the coordinator knows how it ended.

use tandem_domain::{state::RankOutcome, timing};

use super::state::{Attempt, AttemptPhase};
use crate::{
    event::{AttemptId, Message, Process, ProcessEvent, RankEvent, RankOutput, Running},
    plan::ms,
    world::World,
};

impl World {
    fn held_rank(&self, own: usize) -> Option<Running> {
        let held = self.workers[own].attempt.as_ref().filter(|held| !held.is_stale)?;
        let gang = &self.gangs[&held.attempt];
        let slowest = gang.slowest(self.plan.jobs[gang.job].step_ms);
        let idle = self.now - gang.progress_at;
        Some(Running { attempt: held.attempt, rank: held.rank, idle, slowest })
    }

    /// The rank for a heartbeat: the one whose end is not reported yet.
    pub(super) fn heartbeat_rank(&self, own: usize) -> Option<Running> {
        self.held_rank(own)
            .filter(|_| self.workers[own].attempt.as_ref().is_some_and(|held| !held.outbox.is_reported()))
    }

    /// The rank for a registration: the coordinator may have missed everything sent on an earlier connection.
    pub(super) fn registered_rank(&self, own: usize) -> Option<Running> {
        self.held_rank(own)
    }

    pub(super) fn on_rank_output(&mut self, own: usize, attempt: AttemptId, output: RankOutput) {
        let now = self.now;
        let Some(held) = self.workers[own].attempt.as_mut().filter(|held| held.attempt == attempt) else { return };
        match output {
            RankOutput::Listening => held.listens = true,
            RankOutput::Event(event) => {
                if matches!(event, RankEvent::Metric { .. } | RankEvent::Checkpoint { .. }) {
                    held.listens = false;
                }
                held.outbox.push(now, event);
            }
            RankOutput::Exited(outcome) => {
                let outcome = match held.phase {
                    AttemptPhase::Killed(verdict) if outcome == RankOutcome::Cancelled => verdict,
                    // Somebody else sent the SIGKILL.
                    _ if outcome == RankOutcome::Cancelled => RankOutcome::Lost,
                    _ => outcome,
                };
                held.listens = false;
                held.outbox.end(now, outcome);
                held.phase = AttemptPhase::Ended;
                if held.is_stale {
                    self.workers[own].attempt = None;
                }
            }
        }
        self.flush(own);
    }

    pub(super) fn stop_attempt(&mut self, own: usize) {
        let now = self.now;
        let Some(held) = self.workers[own].attempt.as_mut().filter(|held| held.phase == AttemptPhase::Running) else {
            return;
        };
        let kill_at = now + ms(timing::STOP_GRACE);
        held.phase = AttemptPhase::Stopping { kill_at };
        let (attempt, rank) = (held.attempt, held.rank);
        self.timer(kill_at, Process::Worker(own), ProcessEvent::KillDue { attempt });
        self.terminate(attempt, rank);
    }

    /// SIGKILL; `verdict` is the outcome to report.
    pub(super) fn kill_attempt(&mut self, own: usize, verdict: RankOutcome) {
        let Some(held) = &mut self.workers[own].attempt else { return };
        if matches!(held.phase, AttemptPhase::Running | AttemptPhase::Stopping { .. }) {
            held.phase = AttemptPhase::Killed(verdict);
            let (attempt, rank) = (held.attempt, held.rank);
            // `on_rank_output` replaces this outcome by the verdict.
            self.kill_rank(attempt, rank, RankOutcome::Cancelled);
        }
    }

    pub(super) fn kill_due(&mut self, own: usize, attempt: AttemptId) {
        let now = self.now;
        let due = |held: &Attempt| {
            held.attempt == attempt && matches!(held.phase, AttemptPhase::Stopping { kill_at } if kill_at <= now)
        };
        if self.workers[own].attempt.as_ref().is_some_and(due) {
            self.kill_attempt(own, RankOutcome::Lost);
        }
    }

    /// Ends the rank if it made no progress for too long.
    pub(super) fn on_watch(&mut self, own: usize, attempt: AttemptId) {
        let Some(held) = self.workers[own].attempt.as_ref().filter(|held| held.attempt == attempt) else { return };
        let gang = &self.gangs[&attempt];
        let rank = &gang.ranks[held.rank];
        if !rank.is_alive() || matches!(held.phase, AttemptPhase::Killed(_)) {
            return;
        }
        if self.now >= gang.progress_at + ms(self.limits(attempt).self_end) {
            self.log(|| format!("w{own} ends its rank of a{attempt}: no progress"));
            self.kill_attempt(own, RankOutcome::Lost);
        } else if !gang.ranks.iter().all(crate::gang::Rank::is_responsive) {
            self.watch(own, attempt);
        }
    }

    /// Sends the rendezvous, reports and the outcome that are due.
    pub(super) fn flush(&mut self, own: usize) {
        let now = self.now;
        let Some(connection) = self.workers[own].connection() else { return };
        let Some(held) = self.workers[own].attempt.as_mut().filter(|held| !held.is_stale) else { return };
        let (attempt, rank) = (held.attempt, held.rank);
        let mut out = Vec::new();
        if held.listens && !held.listens_sent {
            held.listens_sent = true;
            out.push(Message::Listening { attempt });
        }
        if let Some(events) = held.outbox.take_batch(now) {
            held.outbox.due_at = None;
            out.push(Message::Report { attempt, rank, events });
        }
        if let Some(outcome) = held.outbox.take_verdict() {
            out.push(Message::RankEnded { attempt, rank, outcome });
        }
        let due_at = held.outbox.due_at.filter(|due| *due > now);
        out.into_iter().for_each(|message| self.send_to_coordinator(connection, message));
        if let Some(at) = due_at {
            self.timer(at, Process::Worker(own), ProcessEvent::Flush);
        }
    }
}
