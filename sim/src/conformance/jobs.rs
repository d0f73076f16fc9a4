//! The queue, jobs that wait for others, and jobs that are cancelled.

use tandem_domain::state::{AttemptState, JobState, RankOutcome};

use super::{
    operation::{Answer::*, NewJob, Operation::*},
    scenario::{JOB, PAIR, STARTED, Scenario, first, ms, ready, starts, workers},
};

/// Each waits for the one before.
fn chain() -> Vec<NewJob> {
    vec![JOB, NewJob { inputs: &[0], ..JOB }, NewJob { inputs: &[1], ..JOB }]
}

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![order(), too_large(), inputs_succeed(), input_fails(), cancelled_while_it_runs(), cancelled_while_it_waits()]
}

fn order() -> Scenario {
    let mut steps = ready(1);
    steps.extend([
        (Submit(&[0, 1]), Done),
        (Pass(ms(1)), Done),
        (Submit(&[2]), Done),
        (Pass(ms(1)), Done),
        (Submit(&[3]), Done),
        (QueueIs, Jobs(vec![2, 0, 1, 3])),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (QueueIs, Jobs(vec![2, 1, 3])),
        (End(first(0, 0), RankOutcome::Lost), Done),
        (QueueIs, Jobs(vec![2, 0, 1, 3])),
    ]);
    let jobs = vec![JOB, JOB, NewJob { priority: 5, ..JOB }, JOB];
    let name = "jobs start by priority, then by age, and a lost one keeps its place";
    Scenario { name, workers: workers(1), jobs, steps }
}

fn too_large() -> Scenario {
    let mut steps = ready(2);
    steps.extend([
        (Submit(&[0]), Done),
        (QueueIs, Jobs(vec![0])),
        (Close { stream: 1 }, Done),
        (QueueIs, Jobs(vec![])),
        (JobIs(0), Job(JobState::Queued)),
        (Open { worker: 1, runs: None }, Done),
        (QueueIs, Jobs(vec![0])),
    ]);
    let name = "a job that the fleet cannot hold is in nobody's way";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}

fn inputs_succeed() -> Scenario {
    let mut steps = ready(1);
    steps.extend([
        (Submit(&[0, 1, 2]), Done),
        (JobIs(1), Job(JobState::Blocked)),
        (Claim { by: 0, job: 1, workers: &[0] }, Refused),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (Dispatch { attempt: 0, rank: 0 }, Done),
        (Unblock, Done),
        (JobIs(1), Job(JobState::Blocked)),
        (End(first(0, 0), RankOutcome::Succeeded), Done),
        (JobIs(1), Job(JobState::Blocked)),
        (Unblock, Done),
        (JobIs(1), Job(JobState::Queued)),
        (JobIs(2), Job(JobState::Blocked)),
        (QueueIs, Jobs(vec![1])),
    ]);
    Scenario { name: "a job waits until its inputs succeed", workers: workers(1), jobs: chain(), steps }
}

fn input_fails() -> Scenario {
    let mut steps = ready(1);
    steps.extend([
        (Submit(&[0, 1, 2]), Done),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (End(first(0, 0), RankOutcome::Lost), Done),
        (Unblock, Done),
        // It is tried again.
        (JobIs(1), Job(JobState::Blocked)),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (End(first(0, 1), RankOutcome::JobFailed), Done),
        (JobIs(0), Job(JobState::Failed)),
        (Unblock, Done),
        (JobIs(1), Job(JobState::Cancelled)),
        (JobIs(2), Job(JobState::Cancelled)),
        (QueueIs, Jobs(vec![])),
    ]);
    let name = "a job whose input fails is cancelled, and what waits for that";
    Scenario { name, workers: workers(1), jobs: chain(), steps }
}

fn cancelled_while_it_runs() -> Scenario {
    let mut steps = ready(1);
    steps.extend([
        (Submit(&[0, 1, 2]), Done),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (Dispatch { attempt: 0, rank: 0 }, Done),
        (Report(first(0, 0), STARTED), Done),
        (Cancel(0), Done),
        (JobIs(0), Job(JobState::Cancelled)),
        (AttemptIs(0), Attempt(AttemptState::Cancelled)),
        (JobIs(1), Job(JobState::Cancelled)),
        (JobIs(2), Job(JobState::Cancelled)),
        (Report(first(0, 0), STARTED), Stale),
        (End(first(0, 0), RankOutcome::Succeeded), Done),
        (JobIs(0), Job(JobState::Cancelled)),
        (Cancel(0), Done),
        (JobIs(0), Job(JobState::Cancelled)),
        (Claim { by: 0, job: 0, workers: &[0] }, Refused),
    ]);
    let name = "a job that is cancelled stays so, whatever its ranks say";
    Scenario { name, workers: workers(1), jobs: chain(), steps }
}

fn cancelled_while_it_waits() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[3], 0, &[0]));
    steps.extend([
        (End(first(0, 0), RankOutcome::Lost), Done),
        (Cancel(3), Done),
        (JobIs(3), Job(JobState::Cancelled)),
        (Submit(&[0, 1, 2]), Done),
        (Cancel(1), Done),
        (JobIs(0), Job(JobState::Queued)),
        (JobIs(1), Job(JobState::Cancelled)),
        (JobIs(2), Job(JobState::Cancelled)),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (End(first(0, 1), RankOutcome::Succeeded), Done),
        (Unblock, Done),
        (JobIs(1), Job(JobState::Cancelled)),
        (Cancel(0), Done),
        (JobIs(0), Job(JobState::Succeeded)),
    ]);
    let jobs = chain().into_iter().chain([JOB]).collect();
    let name = "what has ended is not cancelled";
    Scenario { name, workers: workers(1), jobs, steps }
}
