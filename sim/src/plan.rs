//! What a seed determines before anything happens: the fleet, the jobs, and the results of an undisturbed run.

use std::time::Duration;

use tandem_domain::{
    spec::Workers,
    timing::{self, Timing},
};

use crate::rng::{Rng, mix};

/// A kind of fault: see `inject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    WorkerKilled,
    WorkerFrozen,
    WorkerAndRankFrozen,
    ConnectionCut,
    ConnectionStalled,
    CoordinatorKilled,
    CoordinatorFrozen,
    CoordinatorFrozenAfterDecision,
    CoordinatorCut,
    DatabaseDown,
    RankKilled,
    RankHangs,
    /// By chance it is frozen instead, or its worker leaves.
    RankUnkillable,
    /// By chance a checkpoint is damaged instead.
    RankFrozen,
    WorkerLeaves,
    CoordinatorFrozenBeforeWrite,
    /// It reaches no coordinator for a while.
    WorkerCutOff,
    CoordinatorUnnotified,
    /// It answers nothing for a while, and then goes on.
    DatabaseStalls,
    /// A coordinator gets no connection for what its workers and clients ask.
    PoolEmpty,
    /// One that waits to be read back, or the next that a worker writes.
    ArtifactDamaged,
    /// A coordinator does not see the store for a while.
    StoreAway,
}

impl FaultKind {
    /// All kinds, the likelier ones twice.
    #[rustfmt::skip]
    const ALL: [Self; 26] = {
        use FaultKind::*;
        [
            WorkerKilled, WorkerKilled, WorkerFrozen, WorkerAndRankFrozen, ConnectionCut, ConnectionCut,
            ConnectionStalled, ConnectionStalled, CoordinatorKilled, CoordinatorFrozen,
            CoordinatorFrozenAfterDecision, CoordinatorCut, DatabaseDown, RankKilled, RankHangs, RankUnkillable,
            RankFrozen, WorkerLeaves, CoordinatorFrozenBeforeWrite, WorkerCutOff, WorkerCutOff,
            CoordinatorUnnotified, DatabaseStalls, PoolEmpty, ArtifactDamaged, StoreAway,
        ]
    };
}

pub(crate) type Ms = u64;

pub(crate) fn ms(duration: Duration) -> Ms {
    duration.as_millis() as Ms
}

pub(crate) struct Device {
    /// Two workers may hold one device.
    pub(crate) number: usize,
    /// Every rank on it crashes, until the quiet.
    pub(crate) is_sick: bool,
    pub(crate) kind: &'static str,
    pub(crate) host: &'static str,
}

/// From the claim to the first step, beside loading.
const MEETING: Ms = 3000;

pub(crate) struct JobPlan {
    pub(crate) priority: i32,
    pub(crate) workers: Workers,
    pub(crate) shards: u32,
    pub(crate) inputs: Vec<usize>,
    pub(crate) steps: u32,
    pub(crate) step_ms: Ms,
    pub(crate) load_ms: Ms,
    pub(crate) checkpoint_every: u32,
    pub(crate) leaves_artifact: bool,
    /// The job is at fault and fails in this step.
    pub(crate) fault_at: Option<u32>,
    /// A rank crashes in this step on whatever worker, and cannot say by whose fault.
    pub(crate) crash_at: Option<u32>,
    /// Workers that cannot read its data, until the quiet.
    pub(crate) unread_on: Vec<usize>,
    /// The coordinator knows how long it takes.
    pub(crate) is_estimated: bool,
    pub(crate) submit_at: Ms,
    pub(crate) cancel_at: Option<Ms>,
    /// The state after 0, 1, 2, .. steps of an undisturbed run.
    pub(crate) truth: Vec<u64>,
}

impl JobPlan {
    pub(crate) fn result(&self) -> u64 {
        self.truth[self.steps as usize]
    }

    /// Longer than it takes if nothing happens to it.
    pub(crate) fn longest(&self) -> Ms {
        self.load_ms + u64::from(self.steps) * self.step_ms + MEETING
    }

    pub(crate) fn need(&self) -> usize {
        (self.workers.min..=self.workers.max).find(|size| self.shards.is_multiple_of(*size)).unwrap_or(u32::MAX)
            as usize
    }
}

pub(crate) struct Plan {
    pub(crate) timing: Timing,
    pub(crate) across_hosts: bool,
    pub(crate) devices: Vec<Device>,
    pub(crate) jobs: Vec<JobPlan>,
    /// The most jobs of each size of gang that a pass reads.
    pub(crate) window: usize,
    /// What may go wrong, the likelier kinds more than once.
    pub(crate) faults: Vec<FaultKind>,
    /// From here on nothing breaks any more.
    pub(crate) quiet_at: Ms,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let timing = if rng.percent(60) { timing::DEFAULT } else { timing::FAST };
        // Everything else is measured in leases, so that both profiles see the same faults.
        let lease = ms(timing.lease);
        let quiet_at = rng.between(8, 22) * lease;
        let mixed = rng.percent(25);
        let mut devices: Vec<Device> = (0..rng.between(2, 5) as usize)
            .map(|number| Device {
                number,
                is_sick: false,
                kind: if mixed && rng.percent(40) { "cuda" } else { "cpu" },
                host: if rng.percent(70) { "ada" } else { "bob" },
            })
            .collect();
        if rng.percent(12) {
            // A second worker on the first one's device.
            let Device { kind, host, .. } = devices[0];
            devices[1] = Device { number: 0, is_sick: false, kind, host };
        }
        if rng.percent(8) {
            let sick = rng.below(devices.len());
            let sick = devices[sick].number;
            devices.iter_mut().filter(|device| device.number == sick).for_each(|device| device.is_sick = true);
        }
        let mut jobs: Vec<JobPlan> = Vec::new();
        for number in 0..rng.between(2, 6) as usize {
            let job = job(rng, number, &jobs, lease, quiet_at, devices.len());
            jobs.push(job);
        }
        let across_hosts = rng.percent(80);
        let window = if rng.percent(20) { 1 } else { 100 };
        Self { timing, across_hosts, devices, jobs, window, faults: faults(rng), quiet_at }
    }
}

/// All kinds, or a few: a bug that takes three faults of certain kinds in a row is rarely found among twenty kinds.
fn faults(rng: &mut Rng) -> Vec<FaultKind> {
    if rng.percent(3) {
        // What it costs is only seen where nothing else goes wrong.
        return vec![FaultKind::DatabaseStalls];
    }
    if rng.percent(50) {
        return FaultKind::ALL.to_vec();
    }
    (0..rng.between(2, 6)).map(|_| FaultKind::ALL[rng.below(FaultKind::ALL.len())]).collect()
}

fn job(rng: &mut Rng, number: usize, before: &[JobPlan], lease: Ms, quiet_at: Ms, workers: usize) -> JobPlan {
    let shards = [1, 2, 2, 3, 4, 4][rng.below(6)];
    let min = rng.between(1, u64::from(shards).min(3)) as u32;
    let max = if rng.percent(60) { shards.max(min) } else { min };
    let inputs = if number > 0 && rng.percent(20) { vec![rng.below(number)] } else { Vec::new() };
    let steps = rng.between(4, 40) as u32;
    let mut truth = vec![inputs.iter().fold(number as u64, |hash, &input: &usize| mix(hash, before[input].result()))];
    for step in 0..steps {
        truth.push(mix(truth[step as usize], u64::from(step)));
    }
    let submit_at = if rng.percent(50) { rng.between(0, lease) } else { rng.between(0, quiet_at) };
    JobPlan {
        priority: [0, 0, 0, 1, 2][rng.below(5)],
        workers: Workers { min, max },
        shards,
        inputs,
        steps,
        step_ms: rng.between(lease / 40, lease / 4),
        load_ms: rng.between(lease / 10, lease / 2),
        checkpoint_every: rng.between(2, 8) as u32,
        leaves_artifact: rng.percent(80),
        fault_at: rng.percent(8).then(|| rng.between(1, u64::from(steps)) as u32),
        crash_at: rng.percent(4).then(|| rng.between(1, u64::from(steps)) as u32),
        unread_on: unread_on(rng, workers),
        is_estimated: rng.percent(70),
        submit_at,
        cancel_at: rng.percent(10).then(|| submit_at + rng.between(0, quiet_at)),
        truth,
    }
}

/// For a few jobs, some workers or all.
fn unread_on(rng: &mut Rng, workers: usize) -> Vec<usize> {
    let chance = [0, 50, 100][if rng.percent(94) { 0 } else { rng.between(1, 2) as usize }];
    (0..workers).filter(|_| chance > 0 && rng.percent(chance)).collect()
}
