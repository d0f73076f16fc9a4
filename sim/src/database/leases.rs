//! Transactions about leases: of the leader, of workers' sessions, and of ranks.

use tandem_domain::{lease::LeaseStatus, state::RankOutcome, timing};

use super::{Database, Leader, LeaseRow, WorkerState, Write, ids::moment, reads::WorkerLease};
use crate::{
    broken::Broken,
    event::{AttemptId, Running},
    plan::{Ms, ms},
};

impl Database {
    /// Takes or renews the leader row; the term, or `None` while another holds it.
    fn hold(&mut self, holder: (usize, u32)) -> Option<u64> {
        let expires_at = self.now + ms(self.timing.leader_lease);
        let term = match self.leader {
            Some(row) if row.holder == holder && row.expires_at > self.now => row.term,
            Some(row) if row.expires_at > self.now => return None,
            row => row.map_or(1, |row| row.term + 1),
        };
        self.leader = Some(Leader { holder, term, expires_at });
        Some(term)
    }

    /// As [`hold`](Self::hold), for a coordinator that had the term `before`. One that is new renews all leases, because
    /// nobody could for a while.
    pub(crate) fn lead(&mut self, holder: (usize, u32), before: Option<u64>) -> Option<u64> {
        let term = self.hold(holder)?;
        if before != Some(term) {
            self.grace();
        }
        Some(term)
    }

    pub(crate) fn is_current(&self, term: u64) -> bool {
        self.is_broken(Broken::NoTermCheck)
            || self.leader.is_some_and(|row| row.term == term && row.expires_at > self.now)
    }

    fn live_leases(&mut self) -> impl Iterator<Item = (AttemptId, usize, &mut LeaseRow)> {
        self.attempts.iter_mut().enumerate().flat_map(|(attempt, row)| {
            row.leases
                .iter_mut()
                .enumerate()
                .filter(|(_, lease)| lease.outcome.is_none())
                .map(move |(rank, lease)| (attempt, rank, lease))
        })
    }

    /// Every live lease holds as if it were renewed now.
    fn grace(&mut self) {
        let until = self.now + self.lease();
        let now = self.now;
        self.live_leases().for_each(|(_, _, lease)| {
            lease.expires_at = lease.expires_at.max(until);
            lease.progress_at = lease.progress_at.map(|_| now);
        });
    }

    /// Stores a registration, and that the rank is lost which the worker had and does not know any more. Returns the
    /// attempt that it runs a rank of without a lease.
    pub(crate) fn open(&mut self, worker: usize, session: usize, running: Option<Running>) -> Option<AttemptId> {
        self.register(worker, session, running);
        let leases = self.worker_leases(worker);
        let is_its = |lease: &WorkerLease, held: Running| (lease.attempt, lease.rank) == (held.attempt, held.rank);
        // The rank had reported and its worker does not know it: the worker was restarted without its spool.
        let is_unknown = |lease: &&WorkerLease| !running.is_some_and(|held| is_its(lease, held));
        for lease in leases.iter().filter(|lease| lease.has_reported).filter(is_unknown) {
            self.conclude(lease.attempt, |rank, _| (rank == lease.rank).then_some(RankOutcome::Lost));
        }
        running.filter(|&held| !leases.iter().any(|lease| is_its(lease, held))).map(|held| held.attempt)
    }

    fn register(&mut self, worker: usize, session: usize, running: Option<Running>) {
        let now = self.now;
        let row = &mut self.workers[worker];
        (row.state, row.session, row.last_seen) = (WorkerState::Ready, Some(session), now);
        if !self.is_broken(Broken::NoRenewalAtOpen) {
            self.renew(worker, 0, running);
        }
        self.notifies = true;
    }

    pub(crate) fn is_session(&self, worker: usize, session: usize) -> bool {
        self.workers[worker].session == Some(session)
    }

    pub(crate) fn end_session(&mut self, worker: usize, session: usize) {
        if !self.is_session(worker, session) {
            return;
        }
        let holds = self.lease_of(worker).is_some();
        let row = &mut self.workers[worker];
        row.session = None;
        if row.state == WorkerState::Draining && !holds {
            row.state = WorkerState::Gone;
        }
        self.notifies = true;
    }

    pub(crate) fn drain(&mut self, worker: usize, session: usize) {
        if self.is_session(worker, session) && self.workers[worker].state == WorkerState::Ready {
            self.workers[worker].state = WorkerState::Draining;
        }
    }

    /// Stores a heartbeat, which renews the lease of the rank that the worker reports or was lately assigned; `false` if
    /// it is not to be acknowledged, because the session has ended or the rank has no lease.
    pub(crate) fn seen(&mut self, worker: usize, session: usize, age: Ms, running: Option<Running>) -> bool {
        if !self.is_session(worker, session) {
            return false;
        }
        let now = self.now;
        self.workers[worker].last_seen = now.saturating_sub(age);
        self.renew(worker, age, running)
    }

    /// Returns whether the rank that the worker reports, if any, has a lease.
    fn renew(&mut self, worker: usize, age: Ms, running: Option<Running>) -> bool {
        let (now, until) = (self.now, (self.now + self.lease()).saturating_sub(age));
        let meeting = ms(timing::RENDEZVOUS);
        let Some((attempt, rank)) = self.lease_of(worker) else { return running.is_none() };
        let row = &mut self.attempts[attempt];
        let starts = !row.state.is_ended() && row.assigned_at + meeting > now;
        let lease = &mut row.leases[rank];
        let runs = running.filter(|running| (running.attempt, running.rank) == (attempt, rank));
        if runs.is_some() || (lease.last_sequence == 0 && starts) {
            lease.expires_at = lease.expires_at.max(until);
        }
        if let Some(running) = runs {
            lease.progress_at = Some(now.saturating_sub(age + running.idle));
            lease.slowest = running.slowest.max(lease.slowest);
        }
        runs == running
    }

    pub(crate) fn lease_status(&self, lease: &LeaseRow) -> LeaseStatus {
        LeaseStatus {
            expires_at: moment(lease.expires_at),
            worker_seen_at: moment(self.workers[lease.worker].last_seen),
            progress_at: lease.progress_at.map(moment),
            slowest: lease.slowest.map(std::time::Duration::from_millis),
        }
    }

    /// Attempts with a lease that has expired by either clock.
    pub(crate) fn expired(&self) -> Vec<AttemptId> {
        let now = moment(self.now);
        let over =
            |lease: &LeaseRow| lease.outcome.is_none() && self.lease_status(lease).expiry(now, &self.timing).is_some();
        self.leased.iter().copied().filter(|&attempt| self.attempts[attempt].leases.iter().any(over)).collect()
    }

    /// Ends the ranks whose leases expired, if the term is current, and returns their number.
    pub(crate) fn reap(&mut self, term: u64, attempt: AttemptId) -> usize {
        if !self.is_current(term) {
            return 0;
        }
        let now = moment(self.now);
        let expiries: Vec<_> = self.attempts[attempt]
            .leases
            .iter()
            .map(|lease| {
                let is_live = lease.outcome.is_none();
                is_live.then(|| self.lease_status(lease).expiry(now, &self.timing)).flatten()
            })
            .collect();
        for (rank, expiry) in expiries.iter().enumerate() {
            self.writes.extend(expiry.map(|expiry| Write::TakenOver { attempt, rank, expiry }));
        }
        self.conclude(attempt, |rank, _| expiries[rank].map(|_| RankOutcome::Lost))
    }

    /// Marks workers as lost that were silent for longer than a lease, and as gone those that were lost long ago.
    pub(crate) fn mark_lost(&mut self, term: u64) {
        if !self.is_current(term) {
            return;
        }
        let limit = self.now.saturating_sub(ms(self.timing.lease));
        for worker in &mut self.workers {
            let is_here = matches!(worker.state, WorkerState::Ready | WorkerState::Draining);
            if is_here && worker.last_seen < limit {
                (worker.state, worker.session) = (WorkerState::Lost, None);
                self.notifies = true;
            }
            if worker.state == WorkerState::Lost && worker.last_seen + ms(timing::LOST_WORKER_KEPT) < self.now {
                worker.state = WorkerState::Gone;
            }
        }
    }
}
