//! Workers on which one job after the other is lost.

use tandem_domain::state::{JobState, RankOutcome};

use super::{
    operation::{
        Answer::{self, *},
        Operation::{self, *},
        Status::{self, Busy, Idle, Quarantined},
    },
    scenario::{JOB, STARTED, Scenario, first, ms, ready, starts, workers},
};

const JOBS: [&[usize]; 5] = [&[0], &[1], &[2], &[3], &[4]];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![three_jobs(), busy(), lost_everywhere(), lost_elsewhere_later(), released(), went_well()]
}

fn scenario(name: &'static str, steps: Vec<(Operation, Answer)>) -> Scenario {
    let opened = ready(2).into_iter().chain(steps).collect();
    Scenario { name, workers: workers(2), jobs: vec![JOB; JOBS.len()], steps: opened }
}

/// The job is submitted, and its first attempt ends on worker 0.
fn first_ends(job: usize, attempt: usize, outcome: RankOutcome) -> Vec<(Operation, Answer)> {
    let mut steps = starts(JOBS[job], attempt, &[0]);
    steps.push((End(first(0, attempt), outcome), Done));
    steps
}

/// The next attempt ends on worker 1.
fn then_ends(job: usize, attempt: usize, outcome: RankOutcome) -> [(Operation, Answer); 3] {
    [
        (Claim { by: 0, job, workers: &[1] }, Done),
        (Dispatch { attempt, rank: 0 }, Done),
        (End(first(1, attempt), outcome), Done),
    ]
}

fn fleet(first: Status) -> (Operation, Answer) {
    (FleetIs, Fleet(vec![first, Idle]))
}

fn three_jobs() -> Scenario {
    let seen = |stream| (Heartbeat { stream, runs: None }, Done);
    let mut steps = first_ends(0, 0, RankOutcome::Lost);
    // Twice the same job is once.
    steps.extend([
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (Dispatch { attempt: 1, rank: 0 }, Done),
        (End(first(0, 1), RankOutcome::Lost), Done),
    ]);
    steps.extend(first_ends(1, 2, RankOutcome::Lost));
    steps.push(fleet(Idle));
    steps.extend(first_ends(2, 3, RankOutcome::Lost));
    steps.extend([
        fleet(Quarantined),
        (Claim { by: 0, job: 0, workers: &[0] }, Refused),
        (Pass(ms(3_599_999)), Done),
        (Lead(0), Term(2)),
        seen(0),
        seen(1),
        fleet(Quarantined),
        (Claim { by: 0, job: 0, workers: &[0] }, Refused),
        (Pass(ms(1)), Done),
        fleet(Idle),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        fleet(Busy),
    ]);
    scenario("a worker on which three jobs are lost gets none for an hour", steps)
}

fn busy() -> Scenario {
    let mut steps = Vec::new();
    for job in 0..2 {
        steps.extend(first_ends(job, 2 * job, RankOutcome::Unknown));
        steps.extend(then_ends(job, 2 * job + 1, RankOutcome::Succeeded));
    }
    steps.extend(first_ends(2, 4, RankOutcome::Unknown));
    steps.extend(starts(&[3], 5, &[0]));
    steps.push((FleetIs, Fleet(vec![Busy, Idle])));
    steps.extend(then_ends(2, 6, RankOutcome::Succeeded));
    steps.extend([
        // It finishes what it has, and nobody waits for it.
        fleet(Quarantined),
        (Report(first(0, 5), STARTED), Done),
        (End(first(0, 5), RankOutcome::Preempted), Done),
        fleet(Quarantined),
        (Claim { by: 0, job: 3, workers: &[0] }, Refused),
    ]);
    scenario("jobs that end for an unknown reason and go well elsewhere speak against a worker", steps)
}

fn lost_everywhere() -> Scenario {
    let mut steps = Vec::new();
    for job in 0..4 {
        steps.extend(first_ends(job, 2 * job, RankOutcome::Lost));
        steps.extend(then_ends(job, 2 * job + 1, RankOutcome::Lost));
        steps.push(fleet(Idle));
    }
    scenario("jobs that are lost everywhere quarantine nobody", steps)
}

fn lost_elsewhere_later() -> Scenario {
    let mut steps = Vec::new();
    for job in 0..3 {
        steps.extend(first_ends(job, job, RankOutcome::Lost));
    }
    steps.push(fleet(Quarantined));
    steps.extend(then_ends(0, 3, RankOutcome::Lost));
    // Two are left that speak against it.
    steps.push(fleet(Idle));
    scenario("a quarantine ends when what was lost is lost elsewhere too", steps)
}

fn released() -> Scenario {
    let mut steps = vec![(Release(0), Refused)];
    for job in 0..3 {
        steps.push((Pass(ms(1)), Done));
        steps.extend(first_ends(job, job, RankOutcome::Lost));
    }
    steps.extend([fleet(Quarantined), (Release(0), Done), fleet(Idle), (Release(0), Refused), (Pass(ms(1)), Done)]);
    steps.extend(first_ends(3, 3, RankOutcome::Lost));
    // The first since somebody has looked.
    steps.push(fleet(Idle));
    scenario("a release forgets what was lost before", steps)
}

fn went_well() -> Scenario {
    let mut steps = Vec::new();
    for job in 0..2 {
        steps.extend(first_ends(job, job, RankOutcome::Lost));
    }
    steps.push((Pass(ms(1)), Done));
    steps.extend(first_ends(2, 2, RankOutcome::Succeeded));
    steps.push((Pass(ms(1)), Done));
    steps.extend(first_ends(3, 3, RankOutcome::Lost));
    steps.extend([fleet(Idle), (JobIs(2), Job(JobState::Succeeded))]);
    scenario("a job that goes well on a worker speaks for it", steps)
}
