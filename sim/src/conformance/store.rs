//! What both implementations can do, and the step from an operation to its answer.

use std::time::Duration;

use tandem_domain::{
    place::{QueuedJob, WorkerStatus, in_line},
    state::{AttemptState, JobState, RankOutcome},
};
use uuid::Uuid;

use super::operation::{Answer, Event, Gang, Holder, Lease, Operation, Running, Status};

/// The state that coordinators share: Postgres as the server uses it, or the simulator's model of that.
pub trait Store: Changes + Questions {}

impl<S: Changes + Questions> Store for S {}

/// What happens to it. Whoever acts learns whether it did: `false` if it may not any more.
pub trait Changes {
    fn pass_time(&mut self, time: Duration);

    fn submit(&mut self, jobs: &[usize]);
    fn cancel(&mut self, job: usize);
    fn release(&mut self, worker: usize) -> bool;

    /// Opens the next stream; `false` if the worker runs a rank without a lease.
    fn open(&mut self, worker: usize, runs: Option<Running>) -> bool;
    /// Whether the heartbeat is acknowledged.
    fn heartbeat(&mut self, stream: usize, runs: Option<Running>) -> bool;
    fn drain(&mut self, stream: usize);
    fn close(&mut self, stream: usize);
    fn listen(&mut self, holder: Holder) -> bool;
    /// Whether the report is acknowledged.
    fn report(&mut self, holder: Holder, events: &[(u64, Event)]) -> bool;
    fn end(&mut self, holder: Holder, outcome: RankOutcome) -> bool;

    /// The term, if this coordinator leads.
    fn lead(&mut self, coordinator: usize) -> Option<u64>;
    fn claim(&mut self, by: usize, job: usize, workers: &[usize]) -> bool;
    fn dispatch(&mut self, attempt: usize, rank: usize) -> bool;
    fn ask_stop(&mut self, by: usize, attempts: &[usize], room_for: Option<usize>) -> bool;
    /// How many ranks were ended.
    fn reap(&mut self, by: usize) -> usize;
    fn mark_lost(&mut self, by: usize);
    fn unblock(&mut self);
}

/// What can be asked of it.
pub trait Questions {
    fn job(&mut self, job: usize) -> JobState;
    fn attempt(&mut self, attempt: usize) -> AttemptState;
    fn retry_delay(&mut self, job: usize) -> Duration;
    /// As a pass of the scheduler reads it.
    fn queue(&mut self) -> Vec<QueuedJob>;
    /// The status of each worker that is there.
    fn fleet(&mut self) -> Vec<(Uuid, WorkerStatus)>;
    fn lease_of(&mut self, worker: usize) -> Option<Lease>;
    fn gang(&mut self, attempt: usize) -> Gang;
    fn checkpoints(&mut self, job: usize) -> Vec<(u32, u64)>;
    /// The steps that a metric is stored of.
    fn metrics(&mut self, job: usize) -> Vec<u32>;
    fn result(&mut self, job: usize) -> Option<u64>;

    fn job_id(&self, job: usize) -> Uuid;
    /// The ids of all workers, in their order.
    fn worker_ids(&self) -> Vec<Uuid>;
    /// How many jobs the scenario has.
    fn jobs(&self) -> usize;
}

/// Carries out one operation.
pub(super) fn perform(store: &mut impl Store, operation: &Operation) -> Answer {
    use Answer::{Refused, Stale};
    let or = |otherwise: Answer, is_done: bool| if is_done { Answer::Done } else { otherwise };
    match *operation {
        Operation::Release(worker) => or(Refused, store.release(worker)),
        Operation::Open { worker, runs } => or(Stale, store.open(worker, runs)),
        Operation::Heartbeat { stream, runs } => or(Stale, store.heartbeat(stream, runs)),
        Operation::Listen(holder) => or(Stale, store.listen(holder)),
        Operation::Report(holder, events) => or(Stale, store.report(holder, events)),
        Operation::End(holder, outcome) => or(Stale, store.end(holder, outcome)),
        Operation::Lead(coordinator) => store.lead(coordinator).map_or(Refused, Answer::Term),
        Operation::Claim { by, job, workers } => or(Refused, store.claim(by, job, workers)),
        Operation::Dispatch { attempt, rank } => or(Refused, store.dispatch(attempt, rank)),
        Operation::AskStop { by, attempts, room_for } => or(Refused, store.ask_stop(by, attempts, room_for)),
        Operation::Reap { by } => Answer::Ended(store.reap(by)),
        Operation::Pass(time) => {
            store.pass_time(time);
            Answer::Done
        }
        Operation::Submit(jobs) => {
            store.submit(jobs);
            Answer::Done
        }
        Operation::Cancel(job) => {
            store.cancel(job);
            Answer::Done
        }
        Operation::Drain { stream } => {
            store.drain(stream);
            Answer::Done
        }
        Operation::Close { stream } => {
            store.close(stream);
            Answer::Done
        }
        Operation::MarkLost { by } => {
            store.mark_lost(by);
            Answer::Done
        }
        Operation::Unblock => {
            store.unblock();
            Answer::Done
        }
        Operation::JobIs(job) => Answer::Job(store.job(job)),
        Operation::AttemptIs(attempt) => Answer::Attempt(store.attempt(attempt)),
        Operation::RetryDelay(job) => Answer::Delay(store.retry_delay(job)),
        Operation::LeaseOf(worker) => Answer::Holds(store.lease_of(worker)),
        Operation::GangIs(attempt) => Answer::Looks(store.gang(attempt)),
        Operation::CheckpointsOf(job) => Answer::Checkpoints(store.checkpoints(job)),
        Operation::MetricsOf(job) => Answer::Steps(store.metrics(job)),
        Operation::ResultOf(job) => Answer::Result(store.result(job)),
        Operation::QueueIs => queue(store),
        Operation::FleetIs => fleet(store),
        Operation::Avoids(job) => queued(store, job, |row| row.avoid),
        Operation::Unreadable(job) => queued(store, job, |row| row.missing.iter().map(|said| said.worker).collect()),
    }
}

fn queue(store: &mut impl Store) -> Answer {
    let queue = store.queue();
    let number = |id| (0..store.jobs()).find(|&job| store.job_id(job) == id);
    Answer::Jobs(in_line(&queue).into_iter().filter_map(|row| number(row.id)).collect())
}

/// Workers that the queue names for a job; `Refused` if it is not in the queue.
fn queued(store: &mut impl Store, job: usize, of: impl FnOnce(QueuedJob) -> Vec<Uuid>) -> Answer {
    let id = store.job_id(job);
    let Some(row) = store.queue().into_iter().find(|row| row.id == id) else { return Answer::Refused };
    let named = of(row);
    let workers = store.worker_ids().into_iter().enumerate().filter(|(_, id)| named.contains(id));
    Answer::Workers(workers.map(|(number, _)| number).collect())
}

fn fleet(store: &mut impl Store) -> Answer {
    let known = store.fleet();
    let status = |id: Uuid| {
        let status = known.iter().find(|(other, _)| *other == id).map(|(_, status)| status);
        match status {
            None => Status::Gone,
            Some(WorkerStatus::Idle) => Status::Idle,
            Some(WorkerStatus::Busy { .. }) => Status::Busy,
            Some(WorkerStatus::Quarantined) => Status::Quarantined,
            Some(WorkerStatus::Unfit | WorkerStatus::Withheld { .. }) => Status::Unfit,
            Some(WorkerStatus::Draining) => Status::Draining,
            Some(WorkerStatus::Lost | WorkerStatus::Drained | WorkerStatus::Held { .. }) => Status::Lost,
        }
    };
    Answer::Fleet(store.worker_ids().into_iter().map(status).collect())
}
