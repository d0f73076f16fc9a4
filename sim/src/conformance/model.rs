//! The simulator's model of the database, driven by a script.

use std::time::Duration;

use super::{
    operation::{Event, Holder, NewJob, Running, Worker},
    scenario::Scenario,
    store::Changes,
};
use crate::{
    broken::Broken,
    database::{Database, attempt_id, job_id, worker_id},
    event::{RankEvent, Running as ReportedRank},
    plan::{Device, JobPlan, Ms, Plan, ms},
};
use tandem_domain::{
    place::{Placement, Stop, fingerprint},
    spec::Workers,
    state::RankOutcome,
    timing,
};

/// The most steps of a job in a script.
const STEPS: u32 = 100;
/// Late enough that no time is before zero.
const BEGIN: Ms = 1_000_000_000;

pub struct Model {
    pub(super) db: Database,
    /// The worker of each stream.
    streams: Vec<usize>,
    /// The last term of each coordinator.
    terms: Vec<u64>,
}

impl Model {
    /// `broken`: without one of its rules, which a scenario must notice.
    #[must_use]
    pub fn new(scenario: &Scenario, broken: Option<Broken>) -> Self {
        let plan = Plan {
            timing: timing::DEFAULT,
            across_hosts: true,
            devices: scenario.workers.iter().map(device).collect(),
            jobs: scenario.jobs.iter().map(job_plan).collect(),
            window: 100,
            faults: Vec::new(),
            quiet_at: 0,
        };
        let db = Database { now: BEGIN, ..Database::new(&plan, broken) };
        Self { db, streams: Vec::new(), terms: Vec::new() }
    }

    fn term(&self, coordinator: usize) -> u64 {
        self.terms.get(coordinator).copied().unwrap_or_default()
    }
}

fn device(worker: &Worker) -> Device {
    Device { number: worker.device, is_sick: false, kind: worker.kind, host: worker.host }
}

fn job_plan(job: &NewJob) -> JobPlan {
    let (min, max) = job.workers;
    JobPlan {
        priority: job.priority,
        workers: Workers { min, max },
        shards: max,
        inputs: job.inputs.to_vec(),
        steps: STEPS,
        step_ms: 1000,
        load_ms: 1000,
        checkpoint_every: 1,
        leaves_artifact: false,
        fault_at: None,
        crash_at: job.crashes.then_some(1),
        unread_on: Vec::new(),
        is_estimated: false,
        submit_at: 0,
        cancel_at: None,
        truth: Vec::new(),
    }
}

fn reported(running: Running) -> ReportedRank {
    let Running { attempt, rank, idle, slowest } = running;
    ReportedRank { attempt, rank, idle: ms(idle), slowest: slowest.map(ms) }
}

fn rank_event(event: Event) -> RankEvent {
    match event {
        Event::Started => RankEvent::Started,
        Event::Training => RankEvent::Training,
        Event::Metric { step } => RankEvent::Metric { step, value: 0 },
        Event::Checkpoint { step, hash } => RankEvent::Checkpoint { step, hash },
        Event::Result(hash) => RankEvent::Result { hash },
    }
}

impl Changes for Model {
    fn pass_time(&mut self, time: Duration) {
        self.db.now += ms(time);
    }

    fn submit(&mut self, jobs: &[usize]) {
        jobs.iter().for_each(|&job| self.db.submit(job));
    }

    fn cancel(&mut self, job: usize) {
        self.db.cancel(job);
    }

    fn release(&mut self, worker: usize) -> bool {
        self.db.release_worker(worker)
    }

    fn open(&mut self, worker: usize, runs: Option<Running>) -> bool {
        self.streams.push(worker);
        self.db.open(worker, self.streams.len() - 1, runs.map(reported)).is_none()
    }

    fn heartbeat(&mut self, stream: usize, runs: Option<Running>) -> bool {
        self.db.seen(self.streams[stream], stream, 0, runs.map(reported))
    }

    fn drain(&mut self, stream: usize) {
        self.db.drain(self.streams[stream], stream);
    }

    fn close(&mut self, stream: usize) {
        self.db.end_session(self.streams[stream], stream);
    }

    fn listen(&mut self, holder: Holder) -> bool {
        self.db.set_rendezvous(holder.worker, holder.attempt)
    }

    fn report(&mut self, holder: Holder, events: &[(u64, Event)]) -> bool {
        let events: Vec<_> = events.iter().map(|&(number, event)| (number, rank_event(event))).collect();
        self.db.report(holder.worker, holder.attempt, holder.rank, &events)
    }

    fn end(&mut self, holder: Holder, outcome: RankOutcome) -> bool {
        self.db.rank_ended(holder.worker, holder.attempt, holder.rank, outcome)
    }

    fn lead(&mut self, coordinator: usize) -> Option<u64> {
        self.terms.resize(self.terms.len().max(coordinator + 1), 0);
        let before = Some(self.terms[coordinator]).filter(|&term| term > 0);
        let term = self.db.lead((coordinator, 0), before)?;
        self.terms[coordinator] = term;
        Some(term)
    }

    fn claim(&mut self, by: usize, job: usize, workers: &[usize]) -> bool {
        let workers = workers.iter().map(|&worker| worker_id(worker)).collect();
        self.db.claim(self.term(by), &Placement { job: job_id(job), workers, passed: None }).is_some()
    }

    fn dispatch(&mut self, attempt: usize, rank: usize) -> bool {
        self.db.mark_dispatched(attempt, rank)
    }

    fn ask_stop(&mut self, by: usize, attempts: &[usize], room_for: Option<usize>) -> bool {
        let stop = |&attempt: &usize| Stop {
            attempt: attempt_id(attempt),
            job: job_id(self.db.attempts[attempt].job),
            room_for: room_for.map(job_id),
            at_stake: 0.0,
            reason: String::new(),
        };
        let stops: Vec<Stop> = attempts.iter().map(stop).collect();
        let world = fingerprint(&self.db.fleet(), &self.db.running());
        self.db.ask_stops(self.term(by), &stops, &world)
    }

    fn reap(&mut self, by: usize) -> usize {
        let term = self.term(by);
        self.db.expired().into_iter().map(|attempt| self.db.reap(term, attempt)).sum()
    }

    fn mark_lost(&mut self, by: usize) {
        self.db.mark_lost(self.term(by));
    }

    fn unblock(&mut self) {
        self.db.unblock();
    }
}
