//! Transactions that move jobs and attempts: claim, stop, report, cancel, unblock.

use tandem_domain::{
    place::{Placement, Stop},
    state::{AttemptEvent, AttemptState, JobEvent, JobState, RankOutcome},
};

use super::{ArtifactRow, AttemptRow, CheckpointRow, Database, LeaseRow, WorkerState, Write, ids::number};
use crate::{
    broken::Broken,
    event::{AttemptId, RankEvent},
    plan::Ms,
};

impl Database {
    /// `UPDATE jobs .. WHERE state = from`.
    pub(super) fn move_job(&mut self, job: usize, from: JobState, event: JobEvent, delay: Ms) -> Option<JobState> {
        let to = from.after(event).ok()?;
        let now = self.now;
        let row = &mut self.jobs[job];
        if row.state != Some(from) {
            return None;
        }
        row.state = Some(to);
        if to == JobState::Queued {
            row.queued_at = row.queued_at.or(Some(now));
        }
        row.not_before = (delay > 0).then_some(now + delay);
        self.writes.push(Write::JobMoved { job, to });
        self.notifies = true;
        Some(to)
    }

    pub(super) fn move_attempt(&mut self, attempt: AttemptId, event: AttemptEvent) -> bool {
        let now = self.now;
        let row = &mut self.attempts[attempt];
        let Ok(to) = row.state.after(event) else { return false };
        if to == row.state {
            return false;
        }
        row.state = to;
        if to == AttemptState::Training {
            row.training_at = row.training_at.or(Some(now));
        }
        true
    }

    pub(crate) fn submit(&mut self, job: usize) {
        let row = &mut self.jobs[job];
        row.state = Some(if row.inputs.is_empty() { JobState::Queued } else { JobState::Blocked });
        row.queued_at = row.inputs.is_empty().then_some(self.now);
        self.notifies = true;
    }

    pub(super) fn takes_work(&self, worker: usize) -> bool {
        self.workers[worker].state == WorkerState::Ready && !self.is_quarantined(worker)
    }

    pub(crate) fn claim(&mut self, term: u64, placement: &Placement) -> Option<AttemptId> {
        if !self.is_current(term) {
            return None;
        }
        let gang: Vec<usize> = placement.workers.iter().map(|&id| number(id)).collect();
        let free = |&worker: &usize| {
            let one_lease = self.lease_of_device(worker).is_none() || self.is_broken(Broken::NoUniqueLease);
            self.takes_work(worker) && one_lease
        };
        let devices: std::collections::BTreeSet<&str> = gang.iter().map(|&w| self.workers[w].device.as_str()).collect();
        if !gang.iter().all(free) || devices.len() < gang.len() {
            return None;
        }
        let job = number(placement.job);
        self.move_job(job, JobState::Queued, JobEvent::Placed, 0)?;
        let expires_at = self.now + self.lease();
        let lease = |&worker: &usize| LeaseRow {
            worker,
            expires_at,
            dispatched: false,
            last_sequence: 0,
            outcome: None,
            released_at: None,
            progress_at: None,
            slowest: None,
        };
        let attempt = self.attempts.len();
        self.attempts.push(AttemptRow {
            job,
            state: AttemptState::Assigned,
            leases: gang.iter().map(lease).collect(),
            has_rendezvous: false,
            assigned_at: self.now,
            training_at: None,
            stop_asked_at: None,
            saved_nothing: false,
        });
        self.leased.push(attempt);
        self.jobs[job].left = None;
        self.writes.push(Write::Claimed { attempt, term });
        Some(attempt)
    }

    /// Asks gangs to stop at a checkpoint, all or none. `world` is the fingerprint that the decision was made by.
    pub(crate) fn ask_stops(&mut self, term: u64, stops: &[Stop], world: &str) -> bool {
        let may_stop = |stop: &Stop| {
            let row = &self.attempts[number(stop.attempt)];
            row.state == AttemptState::Training && row.stop_asked_at.is_none()
        };
        if !self.is_current(term) || !stops.iter().all(may_stop) {
            return false;
        }
        stops.iter().for_each(|stop| self.ask_stop(term, stop, world));
        true
    }

    fn ask_stop(&mut self, term: u64, stop: &Stop, world: &str) {
        let attempt = number(stop.attempt);
        self.attempts[attempt].stop_asked_at = Some(self.now);
        let room_for = stop.room_for.map(number);
        if let Some(job) = room_for.filter(|&job| self.jobs[job].state == Some(JobState::Queued)) {
            self.jobs[job].made_room_at = Some(world.to_owned());
        }
        self.writes.push(Write::StopAsked { attempt, room_for, term });
        self.notifies = true;
    }

    /// Stores a report whole or not at all; `false` if the worker is stale.
    pub(crate) fn report(
        &mut self,
        worker: usize,
        attempt: AttemptId,
        rank: usize,
        events: &[(u64, RankEvent)],
    ) -> bool {
        let (now, until) = (self.now, self.now + self.lease());
        let no_fence = self.is_broken(Broken::NoFence);
        let no_sequence = self.is_broken(Broken::NoSequence);
        let row = &mut self.attempts[attempt];
        let Some(lease) = row.leases.get_mut(rank).filter(|lease| lease.worker == worker) else { return false };
        if lease.outcome.is_some() && !no_fence {
            return false;
        }
        let before = if no_sequence { 0 } else { lease.last_sequence };
        let last = events.last().map_or(0, |(sequence, _)| *sequence);
        if lease.last_sequence == 0 {
            // A heartbeat that was sent before the rank started renews it no more.
            lease.expires_at = lease.expires_at.max(until);
        }
        lease.last_sequence = lease.last_sequence.max(last);
        if row.state.is_ended() && !no_fence {
            // The server keeps only its log lines. An acknowledgement would read as if a checkpoint were committed.
            return self.is_broken(Broken::AckOver);
        }
        let job = row.job;
        for &(sequence, event) in events.iter().filter(|(sequence, _)| *sequence > before) {
            let trains = matches!(event, RankEvent::Training | RankEvent::Metric { .. });
            let moves = if trains { AttemptEvent::TrainingBegan } else { AttemptEvent::RankStarted };
            self.move_attempt(attempt, moves);
            let job = &mut self.jobs[job];
            let mut new_row = true;
            match event {
                RankEvent::Metric { step, .. } => {
                    new_row = !std::mem::replace(&mut job.metrics[step as usize], true);
                }
                RankEvent::Checkpoint { step, hash } => {
                    job.checkpoints.insert(step, CheckpointRow { hash, attempt, at: now });
                }
                RankEvent::Artifact { .. } => job.artifact = Some(ArtifactRow { attempt, rank }),
                RankEvent::Result { hash } => job.result = Some(hash),
                RankEvent::Started | RankEvent::Training => {}
            }
            self.writes.push(Write::Stored { attempt, rank, sequence, event, new_row });
        }
        true
    }

    /// Stores the end of a rank; `false` if the worker is stale or said so before.
    pub(crate) fn rank_ended(&mut self, worker: usize, attempt: AttemptId, rank: usize, outcome: RankOutcome) -> bool {
        let mut attempt = attempt;
        if self.is_broken(Broken::NoFence) {
            // Takes whichever attempt of the job is live.
            attempt = self.live_attempt(self.attempts[attempt].job).unwrap_or(attempt);
            return self.conclude(attempt, |other, _| (other == rank).then_some(outcome)) > 0;
        }
        self.conclude(attempt, |other, lease| (other == rank && lease.worker == worker).then_some(outcome)) > 0
    }

    /// Stores that rank 0 listens; `false` if the worker is stale.
    pub(crate) fn set_rendezvous(&mut self, worker: usize, attempt: AttemptId) -> bool {
        let row = &mut self.attempts[attempt];
        let is_its = row.leases[0].worker == worker && row.leases[0].outcome.is_none();
        let is_stored = is_its && !row.state.is_ended();
        row.has_rendezvous |= is_stored;
        self.notifies |= is_stored;
        is_stored
    }

    /// Stores that the assignment is about to be sent: a rank that is not stored as dispatched was never started.
    pub(crate) fn mark_dispatched(&mut self, attempt: AttemptId, rank: usize) -> bool {
        let lease = &mut self.attempts[attempt].leases[rank];
        let is_live = lease.outcome.is_none();
        lease.dispatched |= is_live;
        is_live
    }

    pub(crate) fn cancel(&mut self, job: usize) {
        let Some(state) = self.jobs[job].state.filter(|state| !state.is_ended()) else { return };
        if let Some(attempt) = self.live_attempt(job) {
            self.end_attempt(attempt, AttemptState::Cancelled);
        }
        self.move_job(job, state, JobEvent::Cancelled, 0);
        self.unblock();
    }

    pub(crate) fn unblock(&mut self) {
        loop {
            let mut moved = false;
            for job in 0..self.jobs.len() {
                if self.jobs[job].state != Some(JobState::Blocked) {
                    continue;
                }
                let inputs: Vec<_> = self.jobs[job].inputs.iter().map(|&input| self.jobs[input].state).collect();
                let lost = |state: &Option<JobState>| matches!(state, Some(JobState::Failed | JobState::Cancelled));
                let event = if inputs.iter().any(lost) {
                    JobEvent::InputsLost
                } else if inputs.iter().all(|state| *state == Some(JobState::Succeeded)) {
                    JobEvent::InputsReady
                } else {
                    continue;
                };
                moved |= self.move_job(job, JobState::Blocked, event, 0).is_some();
            }
            if !moved {
                return;
            }
        }
    }
}
