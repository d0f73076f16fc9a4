//! The invariants, checked after every event against a second, simpler account of what happened.
//!
//! [`ghost::Ghost`] keeps that account from what transactions committed; it uses none of the guards that it checks.

mod blame;
mod decision;
mod end;
mod files;
pub(crate) mod ghost;
mod stops;
mod stored;

use tandem_domain::{
    lease::Expiry,
    state::{AttemptState, RankOutcome},
};

use crate::{
    database::Write,
    event::AttemptId,
    plan::{FaultKind, Ms, ms},
    world::World,
};

impl World {
    /// A worker relies on its lease from `since`: the database must have stored that.
    pub(crate) fn check_counted_on(&mut self, own: usize, since: Ms) {
        let Some(held) = self.workers[own].attempt.as_ref().filter(|held| !held.has_ended()) else { return };
        let (attempt, row) = (held.attempt, &self.db.attempts[held.attempt]);
        let lease = &row.leases[held.rank];
        if !row.state.is_ended() && lease.outcome.is_none() && lease.expires_at < since + self.db.lease() {
            let until = lease.expires_at;
            let facts =
                format!("w{own} counts on its lease of a{attempt} from {since}, and it runs until {until} only");
            self.ghost.violated("counted_on_is_written", self.now, facts);
        }
    }

    /// A rank relies on its checkpoint of this step being committed, and will remove older ones.
    pub(crate) fn check_committed(&mut self, own: usize, attempt: AttemptId, step: u32) {
        let job = self.db.attempts[attempt].job;
        let goes_on =
            self.workers[own].attempt.as_ref().is_some_and(|held| held.attempt == attempt && held.is_running());
        if goes_on && !self.db.jobs[job].checkpoints.contains_key(&step) {
            let facts =
                format!("a{attempt} takes its checkpoint of step {step} for committed, and there is no row of it");
            self.ghost.violated("committed_is_durable", self.now, facts);
        }
    }

    pub(crate) fn check(&mut self) {
        for write in std::mem::take(&mut self.db.writes) {
            self.check_write(write);
        }
        self.check_stops();
        if self.violation.is_none() {
            self.violation = self.ghost.found.take();
        }
    }

    fn check_write(&mut self, write: Write) {
        match write {
            Write::Claimed { attempt, term } => {
                self.check_term(term, "claims");
                self.check_claim(attempt);
            }
            Write::StopAsked { attempt, room_for, term } => {
                self.check_term(term, "stops a gang");
                self.stop_asked(attempt, room_for);
            }
            Write::TakenOver { attempt, rank, expiry } => {
                self.counts.takeovers += 1;
                self.check_takeover(attempt, rank, expiry);
            }
            Write::Released { attempt, rank } => {
                let worker = self.db.attempts[attempt].leases[rank].worker;
                self.ghost.lease[self.plan.devices[worker].number] = None;
                let (job, outcome) = (self.db.attempts[attempt].job, self.db.attempts[attempt].leases[rank].outcome);
                if let Some(outcome) = outcome {
                    self.ghost.blame.rank_ended(worker, job, attempt, self.now, outcome);
                }
                if self.db.attempts[attempt].stop_asked_at.is_none() {
                    self.ghost.changed();
                }
            }
            Write::Verifying { attempt } => {
                self.ghost.changed();
                self.log(|| format!("a{attempt} is read back"));
            }
            Write::Blamed { attempt, rank } => self.check_blamed(attempt, rank),
            Write::AttemptEnded { attempt } => {
                let row = &self.db.attempts[attempt];
                self.ghost.is_over[attempt] = true;
                self.ghost.live[row.job] = None;
                if row.state == AttemptState::Lost {
                    // A missing input uses up no retry.
                    let is_missing = row.leases.iter().any(|lease| lease.outcome == Some(RankOutcome::InputMissing));
                    self.ghost.losses[row.job] += u32::from(!is_missing);
                    self.counts.losses += 1;
                } else if row.state == AttemptState::Succeeded {
                    self.ghost.blame.went_well(attempt);
                }
                let (job, state, was_asked) = (row.job, row.state, row.stop_asked_at.is_some());
                if !was_asked || state != AttemptState::Preempted {
                    self.ghost.changed();
                }
                self.log(|| format!("a{attempt} of job{job} is {state}"));
            }
            Write::Stored { attempt, rank, sequence, event, new_row } => {
                self.check_stored(attempt, rank, sequence, event, new_row);
            }
            Write::JobMoved { job, to } => self.check_job(job, to),
            Write::Quarantined { worker } => self.check_quarantine(worker),
        }
    }

    /// Only a worker whose artifact is damaged is blamed for it.
    fn check_blamed(&mut self, attempt: AttemptId, rank: usize) {
        let worker = self.db.attempts[attempt].leases[rank].worker;
        self.ghost.blame.take_back(worker, attempt);
        self.counts.damaged += 1;
        if !self.ghost.files.is_damaged(attempt) {
            let facts = format!("w{worker} is blamed for the artifact of a{attempt}, which is whole");
            self.ghost.violated("blame_by_evidence", self.now, facts);
        }
        self.log(|| format!("the artifact of a{attempt} is damaged"));
    }

    /// Three jobs speak against a worker that is quarantined.
    fn check_quarantine(&mut self, worker: usize) {
        let attempts = &self.db.attempts;
        let is_here = |attempt: AttemptId, worker| attempts[attempt].leases.iter().any(|lease| lease.worker == worker);
        let against = self.ghost.blame.jobs_against(worker, is_here, |attempt| attempts[attempt].job);
        let reason = self.db.workers[worker].quarantine.as_ref().map_or("", |quarantine| quarantine.reason.as_str());
        self.counts.quarantines += 1;
        if against.len() < 3 {
            let facts = format!("w{worker} is quarantined, and only the jobs {against:?} speak against it: {reason}");
            self.ghost.violated("blame_by_evidence", self.now, facts);
        }
        self.log(|| format!("w{worker} is quarantined"));
    }

    /// A stalled database costs no rank: its coordinators give up waiting and end their streams before that.
    pub(crate) fn check_self_end(&mut self, own: usize) {
        let during = |(since, until): (Ms, Ms)| since <= self.now && self.now <= until;
        let held = self.workers[own].attempt.as_ref().is_some_and(|held| !held.has_ended());
        let only_that = self.plan.faults.iter().all(|kind| *kind == FaultKind::DatabaseStalls);
        if held && only_that && self.db.stall.is_some_and(during) {
            let facts = format!("w{own} ends its rank while the database stalls, and nothing had happened to it");
            self.ghost.violated("nothing_stops", self.now, facts);
        }
    }

    fn check_term(&mut self, term: u64, does: &str) {
        let current = self.db.leader.filter(|row| row.expires_at > self.now).map(|row| row.term);
        if current != Some(term) {
            let facts = format!("a coordinator {does} under term {term}, and the present one is {current:?}");
            self.ghost.violated("one_leader", self.now, facts);
        }
    }

    fn check_claim(&mut self, attempt: AttemptId) {
        let row = &self.db.attempts[attempt];
        let (ghost, now) = (&mut self.ghost, self.now);
        if let Some(other) = ghost.live[row.job].replace(attempt) {
            ghost.violated("one_live_attempt", now, format!("a{attempt} and a{other} of job{} are both live", row.job));
        }
        for (rank, lease) in row.leases.iter().enumerate() {
            let device = self.plan.devices[lease.worker].number;
            if let Some((other, _)) = ghost.lease[device].replace((attempt, rank)) {
                let facts = format!("the device of w{} has live leases of a{other} and a{attempt}", lease.worker);
                ghost.violated("one_gang_per_device", now, facts);
            }
        }
        ghost.is_over.push(false);
        ghost.stored.push(vec![0; row.leases.len()]);
        self.regrown(attempt);
    }

    /// A rank that is given up must not be able to act: it is dead, frozen, or cut off from the coordinators.
    fn check_takeover(&mut self, attempt: AttemptId, rank: usize, expiry: Expiry) {
        let own = self.db.attempts[attempt].leases[rank].worker;
        let Some(process) = self.gangs.get(&attempt).map(|gang| gang.ranks[rank]) else { return };
        let worker = &self.workers[own];
        let is_connected = worker.connection().is_some_and(|connection| self.connections[connection].is_open);
        let can_act =
            process.is_alive() && process.is_responsive() && worker.lifetime.is_up && !worker.lifetime.is_frozen;
        if can_act && is_connected {
            let facts =
                format!("rank {rank} of a{attempt} on w{own} is well and connected, and was given up: {expiry}");
            self.ghost.violated("dead_before_takeover", self.now, facts);
        }
        // Faults of coordinators or the database must not cost a rank whose worker was well.
        let lease = ms(self.plan.timing.lease);
        if can_act && self.now > worker.disturbed_until + 2 * lease {
            let facts =
                format!("rank {rank} of a{attempt} on w{own} was given up, and nothing had happened to it: {expiry}");
            self.ghost.violated("nothing_stops", self.now, facts);
        }
    }
}
