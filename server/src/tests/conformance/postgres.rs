//! Postgres as the server uses it, driven by a script.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tandem_domain::{
    place::{Placement, Stop},
    policy::HousePolicy,
    state::RankOutcome,
};
use tandem_sim::conformance::{
    Changes, Scenario, cause,
    operation::{Event, Holder, Running},
};
use tokio::runtime::Runtime;

use super::{
    clock,
    stream::Stream,
    words::{file, rank_event, registrations},
};
use crate::{
    cancel::cancel,
    reap,
    release::release,
    report::{Receipt, collect::Collector, rank_ended, rendezvous},
    schedule::claim,
    snapshot::{self, Snapshot},
    stop,
    store::{
        leases::{self, ReportedRank},
        workers::Registration,
    },
    tests::*,
    unblock::unblock,
};

struct Coordinator {
    scheduler: Scheduler,
    term: Option<LeadershipTerm>,
    /// The last one that it had.
    number: i64,
}

/// Empties all tables but those whose row the migrations make.
const CLEAR: &str = "
    SET session_replication_role = replica;
    DO $$ DECLARE name regclass; BEGIN
        FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                    AND relname NOT IN ('_sqlx_migrations', 'house', 'facts_filled') LOOP
            EXECUTE format('DELETE FROM %s', name);
        END LOOP;
    END $$;
    RESET session_replication_role";

pub(super) struct Postgres<'d> {
    scenario: Scenario,
    pub(super) workers: Vec<Registration>,
    /// By number, once they are submitted.
    pub(super) jobs: Vec<Uuid>,
    /// Id and fence.
    pub(super) attempts: Vec<(Uuid, i64)>,
    /// With their workers.
    streams: Vec<(usize, Stream)>,
    coordinators: Vec<Coordinator>,
    collector: Collector,
    pub(super) store: &'d TestStore,
    pub(super) runtime: &'d Runtime,
}

impl<'d> Postgres<'d> {
    /// The store may hold an earlier scenario's rows, which are removed.
    pub(super) fn new(scenario: &Scenario, store: &'d TestStore, runtime: &'d Runtime) -> Self {
        store.execute(CLEAR);
        let (collector, storing) = Collector::new(store.store.clone(), Path::new("/srv/store"));
        runtime.spawn(storing);
        let coordinator = || Coordinator { scheduler: store.scheduler(), term: None, number: 0 };
        Self {
            workers: registrations(scenario),
            jobs: vec![Uuid::nil(); scenario.jobs.len()],
            attempts: Vec::new(),
            streams: Vec::new(),
            coordinators: (0..2).map(|_| coordinator()).collect(),
            scenario: scenario.clone(),
            collector,
            store,
            runtime,
        }
    }

    fn holder(&self, Holder { worker, attempt, rank }: Holder) -> LeaseHolder {
        let (attempt, fence) = self.attempts[attempt];
        LeaseHolder { worker: self.workers[worker].id, attempt, fence, rank: rank.try_into().unwrap() }
    }

    fn reported(&self, worker: usize, runs: Option<Running>) -> Vec<ReportedRank> {
        let reported = |Running { attempt, rank, idle, slowest }| {
            let LeaseHolder { worker, attempt, fence, rank } = self.holder(Holder { worker, attempt, rank });
            ReportedRank { worker, attempt, fence, rank, idle, slowest }
        };
        runs.into_iter().map(reported).collect()
    }

    /// What a pass of the scheduler reads.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.runtime.block_on(async {
            let mut tx = self.store.store.lane.snapshot().await.unwrap();
            snapshot::read(&mut tx, &Policy::default(), &HousePolicy::default(), false).await.unwrap()
        })
    }
}

impl Changes for Postgres<'_> {
    fn pass_time(&mut self, time: Duration) {
        clock::advance(self.store, time);
    }

    fn submit(&mut self, jobs: &[usize]) {
        let submission = submission(&file(&self.scenario.jobs, jobs));
        let submitted = self.runtime.block_on(submit(&self.store.store, &submission)).unwrap();
        for job in submitted.jobs {
            let number: usize = job.planned.spec.name.trim_start_matches('j').parse().unwrap();
            self.jobs[number] = job.id.unwrap();
        }
    }

    fn cancel(&mut self, job: usize) {
        let target = self.jobs[job].to_string();
        self.runtime.block_on(cancel(&self.store.store, &target, &super::super::person("root"))).unwrap();
    }

    fn release(&mut self, worker: usize) -> bool {
        self.runtime
            .block_on(release(&self.store.store, &super::super::person("root"), &self.workers[worker].name))
            .unwrap()
            .1
    }

    fn open(&mut self, worker: usize, runs: Option<Running>) -> bool {
        let running = self.reported(worker, runs);
        let opening = Stream::open(&self.store.store, &self.workers[worker], running);
        let (stream, has_lease) = self.runtime.block_on(opening);
        self.streams.push((worker, stream));
        has_lease
    }

    fn heartbeat(&mut self, stream: usize, runs: Option<Running>) -> bool {
        let running = self.reported(self.streams[stream].0, runs);
        self.runtime.block_on(self.streams[stream].1.heartbeat(running))
    }

    fn drain(&mut self, stream: usize) {
        self.runtime.block_on(self.streams[stream].1.drain());
    }

    fn close(&mut self, stream: usize) {
        self.runtime.block_on(self.streams[stream].1.close());
    }

    fn listen(&mut self, holder: Holder) -> bool {
        let heard = rendezvous(&self.store.store, self.holder(holder), "ada", 1);
        self.runtime.block_on(heard).unwrap() == Receipt::Stored
    }

    fn report(&mut self, holder: Holder, events: &[(u64, Event)]) -> bool {
        let events = events.iter().map(|&(number, what)| event(number, rank_event(what))).collect();
        let reported = self.collector.report(self.holder(holder), events);
        self.runtime.block_on(reported).unwrap() == Receipt::Stored
    }

    fn end(&mut self, holder: Holder, outcome: RankOutcome) -> bool {
        let job: Uuid =
            self.store.value(&format!("SELECT job_id FROM attempts WHERE id = '{}'", self.attempts[holder.attempt].0));
        let job = self.jobs.iter().position(|id| *id == job).unwrap();
        let cause = cause(self.scenario.jobs[job].crashes, holder.worker, outcome);
        let ended = rank_ended(&self.store.store, self.holder(holder), outcome, &cause);
        self.runtime.block_on(ended).unwrap() == Receipt::Stored
    }

    fn lead(&mut self, coordinator: usize) -> Option<u64> {
        let own = &mut self.coordinators[coordinator];
        own.term = self.runtime.block_on(own.scheduler.lead(own.term, Instant::now())).unwrap();
        own.number = own.term?.number;
        own.number.try_into().ok()
    }

    fn claim(&mut self, by: usize, job: usize, workers: &[usize]) -> bool {
        let workers = workers.iter().map(|&worker| self.workers[worker].id).collect();
        let placement = Placement { job: self.jobs[job], workers, passed: None };
        let term = self.coordinators[by].number;
        let is_claimed = self.runtime.block_on(claim(&self.store.store, term, &placement, None)).unwrap();
        self.attempts = self.store.rows("SELECT id, fence FROM attempts ORDER BY fence");
        is_claimed
    }

    fn dispatch(&mut self, attempt: usize, rank: usize) -> bool {
        let id = self.attempts[attempt].0;
        let worker =
            self.store.value(&format!("SELECT worker_id FROM leases WHERE attempt_id = '{id}' AND rank = {rank}"));
        self.runtime.block_on(async {
            let mut conn = self.store.store.conn().await.unwrap();
            leases::mark_dispatched(&mut conn, id, rank.try_into().unwrap(), worker).await.unwrap()
        })
    }

    fn ask_stop(&mut self, by: usize, attempts: &[usize], room_for: Option<usize>) -> bool {
        let Snapshot { running, fleet, .. } = self.snapshot();
        let stop = |&attempt: &usize| {
            let attempt = self.attempts[attempt].0;
            let job = self.store.value(&format!("SELECT job_id FROM attempts WHERE id = '{attempt}'"));
            let room_for = room_for.map(|job| self.jobs[job]);
            Stop { attempt, job, room_for, at_stake: 0.0, reason: "the script says so".to_owned() }
        };
        let stops: Vec<Stop> = attempts.iter().map(stop).collect();
        let asked = stop::ask(&self.store.store, self.coordinators[by].number, &stops, &running, &fleet);
        self.runtime.block_on(asked).unwrap()
    }

    fn reap(&mut self, by: usize) -> usize {
        self.runtime.block_on(reap::leases(&self.store.store, self.coordinators[by].number)).unwrap()
    }

    fn mark_lost(&mut self, by: usize) {
        self.runtime.block_on(reap::workers(&self.store.store, self.coordinators[by].number)).unwrap();
    }

    fn unblock(&mut self) {
        self.runtime.block_on(async {
            let mut tx = self.store.store.begin().await.unwrap();
            unblock(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
}
