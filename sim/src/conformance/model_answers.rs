//! What the simulator's model of the database answers.

use std::time::Duration;

use tandem_domain::{
    place::{FleetWorker, QueuedJob, WorkerStatus},
    state::{AttemptState, JobState},
};
use uuid::Uuid;

use super::{
    model::Model,
    operation::{Gang, Lease},
    store::Questions,
};
use crate::database::{attempt_id, job_id, moment, worker_id};

impl Questions for Model {
    fn job(&mut self, job: usize) -> JobState {
        self.db.jobs[job].state.expect("the script submits a job before it asks")
    }

    fn attempt(&mut self, attempt: usize) -> AttemptState {
        self.db.attempts[attempt].state
    }

    fn retry_delay(&mut self, job: usize) -> Duration {
        let delay = self.db.jobs[job].not_before.map_or(0, |until| until.saturating_sub(self.db.now));
        Duration::from_millis(delay)
    }

    fn queue(&mut self) -> Vec<QueuedJob> {
        self.db.queue()
    }

    fn fleet(&mut self) -> Vec<(Uuid, WorkerStatus)> {
        self.db.fleet().into_iter().map(|FleetWorker { id, status, .. }| (id, status)).collect()
    }

    fn lease_of(&mut self, worker: usize) -> Option<Lease> {
        let lease = self.db.worker_leases(worker).pop()?;
        Some(Lease {
            attempt: lease.attempt,
            rank: lease.rank,
            is_over: lease.state.is_ended(),
            has_reported: lease.has_reported,
            has_rendezvous: lease.has_rendezvous,
            stops: lease.is_stopping,
        })
    }

    fn gang(&mut self, attempt: usize) -> Gang {
        let running = self.db.running();
        let gang = running.iter().find(|gang| gang.attempt == attempt_id(attempt)).expect("the attempt is live");
        Gang {
            trains: gang.training_since.is_some_and(|since| since <= moment(self.db.now)),
            is_stopping: gang.is_stopping,
            has_saved: gang.saved_at.is_some(),
            wasted_stops: gang.wasted_stops,
        }
    }

    fn checkpoints(&mut self, job: usize) -> Vec<(u32, u64)> {
        self.db.checkpoints(job)
    }

    fn metrics(&mut self, job: usize) -> Vec<u32> {
        (0..).zip(&self.db.jobs[job].metrics).filter(|(_, is_stored)| **is_stored).map(|(step, _)| step).collect()
    }

    fn result(&mut self, job: usize) -> Option<u64> {
        self.db.jobs[job].result
    }

    fn job_id(&self, job: usize) -> Uuid {
        job_id(job)
    }

    fn worker_ids(&self) -> Vec<Uuid> {
        (0..self.db.workers.len()).map(worker_id).collect()
    }

    fn jobs(&self) -> usize {
        self.db.jobs.len()
    }
}
