//! Streams of workers: their messages are stored, and their instructions are sent.

use tandem_domain::timing;

use super::state::{Instruction, Session};
use crate::{
    broken::Broken,
    database::Left,
    event::{AttemptId, Message, Process, ProcessEvent, Running},
    plan::ms,
    world::World,
};

impl World {
    pub(super) fn on_worker_message(&mut self, own: usize, connection: usize, message: Message) {
        if !self.connections[connection].is_open {
            return;
        }
        if let Message::Register { running } = message {
            return self.open_session(own, connection, running);
        }
        let now = self.now;
        let Some(session) = self.coordinators[own].sessions.get_mut(&connection) else { return };
        session.last_message = now;
        if let Message::Heartbeat { sequence, running } = message {
            (session.running, session.received_at, session.sequence) = (running, Some(now), sequence);
            if self.is_broken(Broken::AckUnwritten) || self.is_broken(Broken::DeafStreams) {
                self.send_to_worker(connection, Message::HeartbeatAck { sequence });
            }
            return;
        }
        let worker = session.worker;
        if !self.reaches_database(own) || self.now < self.coordinators[own].pool_empty_until {
            // UNAVAILABLE: the worker keeps what was not acknowledged and dials again.
            return self.cut(connection);
        }
        match message {
            Message::Report { attempt, rank, events } => {
                let sequence = events.last().map_or(0, |(sequence, _)| *sequence);
                if self.db.report(worker, attempt, rank, &events) {
                    self.record_progress(attempt, &events);
                    self.send_to_worker(connection, Message::ReportAck { attempt, sequence });
                } else {
                    self.counts.stale += 1;
                    self.log(|| format!("stale: w{worker} reports on a{attempt}"));
                    self.send_to_worker(connection, Message::Stop { attempt, graceful: false });
                }
            }
            Message::RankEnded { attempt, rank, outcome } => {
                self.log(|| format!("w{worker} says: rank {rank} of a{attempt} {outcome}"));
                self.coordinators[own].sessions.entry(connection).and_modify(|session| session.ended = Some(attempt));
                self.db.rank_ended(worker, attempt, rank, outcome);
            }
            Message::Listening { attempt } => {
                let is_stored = self.db.set_rendezvous(worker, attempt);
                if !is_stored {
                    self.send_to_worker(connection, Message::Stop { attempt, graceful: false });
                }
            }
            Message::Drain => self.db.drain(worker, connection),
            _ => {}
        }
    }

    /// Stores how long the job still takes, from the metrics of its rank 0.
    fn record_progress(&mut self, attempt: AttemptId, events: &[(u64, crate::event::RankEvent)]) {
        use crate::event::RankEvent;
        let row = &self.db.attempts[attempt];
        let plan = &self.plan.jobs[row.job];
        let newest = events.iter().rev().find_map(|(_, event)| match event {
            RankEvent::Metric { step, .. } => Some(*step),
            _ => None,
        });
        if let Some(step) = newest.filter(|_| !row.state.is_ended()) {
            let left = Left { ms: u64::from(plan.steps - step) * plan.step_ms, at: self.now };
            self.db.jobs[row.job].left = Some(left).filter(|left| left.ms > 0);
        }
    }

    fn open_session(&mut self, own: usize, connection: usize, running: Option<Running>) {
        let worker = self.connections[connection].worker;
        // A registration renews the lease: it goes by the connections of heartbeats, which no pool of others' empties.
        if !self.reaches_database(own) {
            return self.cut(connection);
        }
        let stale = self.db.open(worker, connection, running);
        let (received_at, last_message) = (Some(self.now), self.now);
        let (ended, sent) = (None, Default::default());
        let mut session = Session { worker, running, ended, received_at, sequence: 0, last_message, sent };
        session.sent.extend(stale.map(|attempt| (attempt, Instruction::Stop)));
        let older: Vec<usize> =
            self.coordinators[own].sessions.iter().filter(|(_, s)| s.worker == worker).map(|(&id, _)| id).collect();
        older.into_iter().for_each(|id| self.close_session(own, id));
        self.coordinators[own].sessions.insert(connection, session);
        self.log(|| format!("w{worker} is here through c{own}, runs {:?}", running.map(|held| held.attempt)));
        self.send_to_worker(connection, Message::Registered { stale });
        self.dispatch_at(own, self.now + 1);
    }

    /// Closes the connection and stores that the session ended.
    pub(super) fn close_session(&mut self, own: usize, connection: usize) {
        let Some(session) = self.coordinators[own].sessions.remove(&connection) else { return };
        self.cut(connection);
        if self.reaches_database(own) {
            self.db.end_session(session.worker, connection);
        }
    }

    pub(super) fn on_renew(&mut self, own: usize) {
        let at = self.now + ms(self.plan.timing.lease_write);
        self.timer(at, Process::Coordinator(own), ProcessEvent::Renew);
        if let Some(pause) = self.coordinators[own].freeze_before_write.take() {
            return self.freeze_coordinator(own, pause);
        }
        let sessions: Vec<usize> = self.coordinators[own].sessions.keys().copied().collect();
        let is_up = self.reaches_database(own);
        for connection in sessions {
            let Some(session) = self.coordinators[own].sessions.get_mut(&connection) else { continue };
            let (worker, running, received_at) = (session.worker, session.running, session.received_at.take());
            let sequence = session.sequence;
            // A heartbeat may have crossed the end of the rank: that relies on no lease any more.
            let has_ended = running.is_some_and(|held| session.ended == Some(held.attempt));
            let is_silent = self.now - session.last_message >= ms(self.plan.timing.lease);
            let is_deaf = !is_up && !self.is_broken(Broken::DeafStreams);
            let is_superseded = is_up && !self.db.is_session(worker, connection);
            if is_silent || is_deaf || is_superseded {
                self.close_session(own, connection);
            } else if let Some(received_at) = received_at.filter(|_| is_up) {
                // The answer promises that the lease counts from this heartbeat or later.
                if self.db.seen(worker, connection, self.now - received_at, running) || has_ended {
                    self.send_to_worker(connection, Message::HeartbeatAck { sequence });
                }
            }
        }
    }

    /// Sends workers the instructions that follow from their leases, each once on a stream.
    pub(super) fn on_dispatch(&mut self, own: usize) {
        self.dispatch_at(own, self.now + ms(timing::SCHEDULE_POLL));
        if !self.reaches_database(own) {
            return;
        }
        let sessions: Vec<usize> = self.coordinators[own].sessions.keys().copied().collect();
        for connection in sessions {
            self.instruct(own, connection);
        }
    }

    fn instruct(&mut self, own: usize, connection: usize) {
        let Some(session) = self.coordinators[own].sessions.get(&connection) else { return };
        let (worker, running) = (session.worker, session.running);
        let leases = self.db.worker_leases(worker);
        let mut steps = Vec::new();
        for lease in &leases {
            let (attempt, rank) = (lease.attempt, lease.rank);
            let runs = running.is_some_and(|held| (held.attempt, held.rank) == (attempt, rank));
            if lease.state.is_ended() {
                steps.push((Instruction::Stop, Message::Stop { attempt, graceful: false }));
                continue;
            }
            if !runs && !lease.has_reported {
                let checkpoints = self.db.checkpoints(self.db.attempts[attempt].job);
                steps.push((Instruction::Assign, Message::Assignment { attempt, rank, checkpoints }));
            }
            if rank != 0 && lease.has_rendezvous {
                steps.push((Instruction::Rendezvous, Message::Rendezvous { attempt }));
            }
            if lease.is_stopping {
                steps.push((Instruction::StopGracefully, Message::Stop { attempt, graceful: true }));
            }
        }
        if let Some(attempt) =
            running.map(|held| held.attempt).filter(|held| !leases.iter().any(|d| d.attempt == *held))
        {
            steps.push((Instruction::Stop, Message::Stop { attempt, graceful: false }));
        }
        for (sent, message) in steps {
            let (Message::Stop { attempt, .. } | Message::Assignment { attempt, .. } | Message::Rendezvous { attempt }) =
                message
            else {
                continue;
            };
            let Some(session) = self.coordinators[own].sessions.get_mut(&connection) else { return };
            if !session.sent.insert((attempt, sent)) {
                continue;
            }
            if let Message::Assignment { rank, .. } = message {
                self.db.mark_dispatched(attempt, rank);
            }
            self.send_to_worker(connection, message);
        }
    }
}
