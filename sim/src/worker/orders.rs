//! How a worker handles the coordinator's messages.

use tandem_domain::state::RankOutcome;

use super::state::Attempt;
use crate::{
    event::{AttemptId, Message, RankEvent},
    world::World,
};

impl World {
    pub(super) fn on_coordinator_message(&mut self, own: usize, connection: usize, message: Message) {
        match message {
            Message::Registered { stale } => self.on_registered(own, connection, stale),
            Message::HeartbeatAck { sequence } => self.acknowledged(own, sequence),
            Message::ReportAck { attempt, sequence } => {
                let held = self.workers[own].attempt.as_mut().filter(|held| held.attempt == attempt);
                let Some(held) = held else { return };
                for event in held.outbox.confirm(sequence) {
                    let RankEvent::Checkpoint { step, .. } = event else { continue };
                    self.check_committed(own, attempt, step);
                    self.gangs.entry(attempt).and_modify(|gang| gang.committed = gang.committed.max(Some(step)));
                }
            }
            Message::Rendezvous { attempt } => {
                let Some(held) = self.workers[own].attempt.as_ref().filter(|held| held.attempt == attempt) else {
                    return;
                };
                let rank = held.rank;
                if let Some(gang) = self.gangs.get_mut(&attempt) {
                    gang.ranks[rank].has_address = true;
                }
                self.try_rendezvous(attempt);
            }
            Message::Assignment { attempt, rank, checkpoints } => {
                self.on_assignment(own, connection, (attempt, rank), checkpoints);
            }
            Message::Stop { attempt, graceful } => {
                let Some(held) = self.workers[own].attempt.as_ref().filter(|held| held.attempt == attempt) else {
                    return;
                };
                match (held.has_ended(), graceful) {
                    (true, _) if held.is_reported() => self.workers[own].attempt = None,
                    (true, _) => {}
                    (false, true) => self.stop_attempt(own),
                    (false, false) => self.kill_attempt(own, RankOutcome::Cancelled),
                }
            }
            _ => {}
        }
    }

    fn on_registered(&mut self, own: usize, connection: usize, stale: Option<AttemptId>) {
        let now = self.now;
        self.registered(own, connection);
        if let Some(held) = &mut self.workers[own].attempt {
            if stale == Some(held.attempt) {
                held.is_stale = true;
                self.kill_attempt(own, RankOutcome::Cancelled);
            }
            if let Some(held) = &mut self.workers[own].attempt {
                held.outbox.resend(now);
                held.listens_sent = false;
            }
        }
        if self.workers[own].attempt.as_ref().is_some_and(|held| held.has_ended() && held.is_stale) {
            self.workers[own].attempt = None;
        }
        if self.workers[own].is_leaving {
            self.send_to_coordinator(connection, Message::Drain);
        }
        self.flush(own);
    }

    fn on_assignment(
        &mut self,
        own: usize,
        connection: usize,
        (attempt, rank): (AttemptId, usize),
        checkpoints: Vec<(u32, u64)>,
    ) {
        let now = self.now;
        let refuse = |outcome| Message::RankEnded { attempt, rank, outcome };
        match &mut self.workers[own].attempt {
            Some(held) if held.attempt == attempt => {
                if held.is_reported() {
                    held.outbox.resend(now);
                    self.flush(own);
                }
                return;
            }
            Some(held) if !held.is_reported() => {
                self.log(|| format!("w{own} refuses a{attempt}: busy"));
                // That it is busy is not its fault.
                return self.send_to_coordinator(connection, refuse(RankOutcome::PeerLost));
            }
            held => *held = None,
        }
        if self.workers[own].is_leaving {
            return self.send_to_coordinator(connection, refuse(RankOutcome::Preempted));
        }
        self.workers[own].attempt = Some(Attempt::new(attempt, rank));
        self.spawn(own, attempt, rank, checkpoints);
    }
}
