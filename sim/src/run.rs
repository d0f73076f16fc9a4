//! Runs one seed, or many seeds on all processors.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use tandem_domain::place::Policy;

use crate::{
    artifacts::Artifacts,
    broken::Broken,
    coordinator::state::Coordinator,
    counts::Counts,
    database::Database,
    event::{Agenda, Event, Fault},
    gang::{Disk, Gangs},
    invariants::ghost::{Ghost, Violation},
    plan::{Ms, Plan},
    rng::Rng,
    worker::state::Worker,
    world::World,
};

/// Longest time that a run goes on after its last fault.
const LONGEST: Ms = 3 * 3600 * 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub counts: Counts,
    pub violation: Option<Violation>,
    /// Empty unless it was asked for.
    pub trace: String,
}

/// Runs a seed to its end, or to the first violation.
pub fn run(seed: u64, broken: Option<Broken>, with_trace: bool) -> Outcome {
    let mut world = begin(seed, broken, with_trace);
    let last = world.plan.quiet_at + LONGEST;
    while world.violation.is_none() && !world.is_done() && world.now < last && world.step() {}
    if world.violation.is_none() {
        world.check_end();
    }
    let succeeded = world.db.jobs.iter().filter(|job| job.result.is_some()).count();
    let mut counts = world.counts;
    (counts.sequences, counts.virtual_ms) = (1, world.now);
    (counts.jobs, counts.succeeded) = (world.plan.jobs.len() as u64, succeeded as u64);
    Outcome { counts, violation: world.violation, trace: world.trace.unwrap_or_default() }
}

fn begin(seed: u64, broken: Option<Broken>, with_trace: bool) -> World {
    let mut rng = Rng::new(seed);
    let plan = Plan::new(&mut rng);
    let device_order = vec!["cuda".to_owned(), "cpu".to_owned()];
    // The jobs here are short and must still be stopped for others.
    let least_run = Duration::from_millis(plan.timing.lease.as_millis() as u64 / 2);
    let policy = Policy { device_order, across_hosts: plan.across_hosts, least_run, ..Policy::default() };
    let mut world = World {
        now: 0,
        broken,
        policy,
        rng,
        agenda: Agenda::default(),
        db: Database::new(&plan, broken),
        coordinators: (0..2).map(|_| Coordinator::default()).collect(),
        workers: plan.devices.iter().map(|_| Worker::default()).collect(),
        connections: Vec::new(),
        gangs: Gangs::new(),
        disk: Disk::new(),
        artifacts: Artifacts::default(),
        ghost: Ghost::new(&plan.jobs, plan.devices.len()),
        trace: with_trace.then(String::new),
        counts: Counts::default(),
        violation: None,
        is_quiet: false,
        plan,
    };
    for job in 0..world.plan.jobs.len() {
        world.agenda.at(world.plan.jobs[job].submit_at, Event::Submit(job));
        if let Some(at) = world.plan.jobs[job].cancel_at {
            world.agenda.at(at, Event::Cancel(job));
        }
    }
    (0..world.coordinators.len()).for_each(|own| world.on_fault(Fault::StartCoordinator(own)));
    (0..world.workers.len()).for_each(|own| world.on_fault(Fault::StartWorker(own)));
    world.agenda.at(world.plan.quiet_at / 10, Event::Fault(Fault::Next));
    world.agenda.at(world.plan.quiet_at, Event::Quiet);
    world
}

/// A seed whose run violated an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub seed: u64,
    pub violation: Violation,
}

/// Runs all seeds on all processors; returns the sums and the smallest seed that violates an invariant.
///
/// Seeds beyond one that was found are not run.
pub fn run_all(seeds: std::ops::Range<u64>, broken: Option<Broken>) -> (Counts, Option<Found>) {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let work = || {
        let (mut counts, mut found) = (Counts::default(), None::<Found>);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return (counts, found);
            }
            let outcome = run(seed, broken, false);
            counts.add(&outcome.counts);
            if let Some(violation) = outcome.violation {
                end.fetch_min(seed, Ordering::Relaxed);
                found = Some(Found { seed, violation });
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let (mut counts, mut found) = (Counts::default(), None::<Found>);
        for thread in threads {
            let (theirs, its) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            counts.add(&theirs);
            found = [found, its].into_iter().flatten().min_by_key(|found| found.seed);
        }
        (counts, found)
    })
}
