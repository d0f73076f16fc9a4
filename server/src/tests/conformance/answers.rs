//! What Postgres answers, through the server's reads where it has them.

use std::time::Duration;

use tandem_domain::{
    place::{FleetWorker, QueuedJob, WorkerStatus},
    state::{AttemptState, JobState},
};
use tandem_sim::conformance::{
    Questions,
    operation::{Gang, Lease},
};
use uuid::Uuid;

use super::postgres::Postgres;
use crate::{
    snapshot::Snapshot,
    store::{files, fleet, worker_leases},
};

impl Questions for Postgres<'_> {
    fn job(&mut self, job: usize) -> JobState {
        self.store.text(&format!("SELECT state::text FROM jobs WHERE id = '{}'", self.jobs[job])).parse().unwrap()
    }

    fn attempt(&mut self, attempt: usize) -> AttemptState {
        let id = self.attempts[attempt].0;
        self.store.text(&format!("SELECT state::text FROM attempts WHERE id = '{id}'")).parse().unwrap()
    }

    fn retry_delay(&mut self, job: usize) -> Duration {
        let delay: f64 = self.store.value(&format!(
            "SELECT COALESCE(EXTRACT(epoch FROM GREATEST(not_before - clock.at, '0')), 0)::float8
             FROM jobs, stopped.clock WHERE id = '{}'",
            self.jobs[job]
        ));
        Duration::from_secs_f64(delay)
    }

    fn queue(&mut self) -> Vec<QueuedJob> {
        self.snapshot().queue
    }

    fn fleet(&mut self) -> Vec<(Uuid, WorkerStatus)> {
        let fleet = self.runtime.block_on(async {
            let mut conn = self.store.store.conn().await.unwrap();
            fleet::snapshot(&mut conn).await.unwrap()
        });
        fleet.into_iter().map(|FleetWorker { id, status, .. }| (id, status)).collect()
    }

    fn lease_of(&mut self, worker: usize) -> Option<Lease> {
        let id = self.workers[worker].id;
        let mut known = self.runtime.block_on(async {
            let mut conn = self.store.store.conn().await.unwrap();
            worker_leases::of_workers(&mut conn, &[id]).await.unwrap()
        });
        let lease = known.leases.pop()?;
        Some(Lease {
            attempt: self.attempts.iter().position(|(id, _)| *id == lease.attempt).unwrap(),
            rank: lease.rank.try_into().unwrap(),
            is_over: lease.state.is_ended(),
            has_reported: lease.has_reported,
            has_rendezvous: lease.rendezvous.is_some(),
            stops: lease.stop.is_some(),
        })
    }

    fn gang(&mut self, attempt: usize) -> Gang {
        let Snapshot { now, running, .. } = self.snapshot();
        let gang = running.iter().find(|gang| gang.attempt == self.attempts[attempt].0).unwrap();
        Gang {
            trains: gang.training_since.is_some_and(|since| since <= now),
            is_stopping: gang.is_stopping,
            has_saved: gang.saved_at.is_some(),
            wasted_stops: gang.wasted_stops,
        }
    }

    fn checkpoints(&mut self, job: usize) -> Vec<(u32, u64)> {
        let id = self.jobs[job];
        let checkpoints = self.runtime.block_on(async {
            let mut conn = self.store.store.conn().await.unwrap();
            files::checkpoints(&mut conn, id, 5).await.unwrap()
        });
        checkpoints.iter().map(|row| (row.step.try_into().unwrap(), row.sha256.parse().unwrap())).collect()
    }

    fn metrics(&mut self, job: usize) -> Vec<u32> {
        let steps: Vec<i64> =
            self.store.values(&format!("SELECT step FROM metrics WHERE job_id = '{}' ORDER BY step", self.jobs[job]));
        steps.into_iter().map(|step| step.try_into().unwrap()).collect()
    }

    fn result(&mut self, job: usize) -> Option<u64> {
        let values: Vec<i64> =
            self.store.values(&format!("SELECT value::bigint FROM results WHERE job_id = '{}'", self.jobs[job]));
        values.first().map(|&value| value.try_into().unwrap())
    }

    fn job_id(&self, job: usize) -> Uuid {
        self.jobs[job]
    }

    fn worker_ids(&self) -> Vec<Uuid> {
        self.workers.iter().map(|worker| worker.id).collect()
    }

    fn jobs(&self) -> usize {
        self.jobs.len()
    }
}
