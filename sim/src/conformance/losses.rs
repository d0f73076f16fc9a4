//! What becomes of a job whose attempt was lost.

use tandem_domain::state::{JobState, RankOutcome};

use super::{
    operation::{
        Answer::{self, *},
        Event::{self, Checkpoint, Training},
        Holder, NewJob,
        Operation::{self, *},
        Worker,
    },
    scenario::{JOB, PAIR, STARTED, Scenario, first, ms, ready, starts, workers},
};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        back_off(),
        checkpoint_between(),
        avoided(),
        unknown(),
        two_hosts(),
        two_devices(),
        missing_input(),
        missing_everywhere(),
    ]
}

/// The next attempt of job 0, on this worker, which says this.
fn ends(attempt: usize, worker: &'static [usize], outcome: RankOutcome) -> Vec<(Operation, Answer)> {
    vec![
        (Claim { by: 0, job: 0, workers: worker }, Done),
        (Dispatch { attempt, rank: 0 }, Done),
        (Report(first(worker[0], attempt), STARTED), Done),
        (End(first(worker[0], attempt), outcome), Done),
    ]
}

fn back_off() -> Scenario {
    let mut steps = ready(1);
    steps.push((Submit(&[0]), Done));
    // The back-off, and the term that the leader has after it.
    for (attempt, (seconds, term)) in [(0, 1), (1, 1), (5, 1), (15, 2), (60, 3)].into_iter().enumerate() {
        steps.extend(ends(attempt, &[0], RankOutcome::Lost));
        steps.extend([
            (JobIs(0), Job(JobState::Queued)),
            (RetryDelay(0), Delay(ms(seconds * 1000))),
            // It keeps its place.
            (QueueIs, Jobs(vec![0])),
            (Pass(ms(seconds * 1000)), Done),
            (Heartbeat { stream: 0, runs: None }, Done),
            (Lead(0), Term(term)),
            (RetryDelay(0), Delay(ms(0))),
        ]);
    }
    steps.extend(ends(5, &[0], RankOutcome::Lost));
    steps.push((JobIs(0), Job(JobState::Failed)));
    Scenario { name: "a job is tried six times, ever later", workers: workers(1), jobs: vec![JOB], steps }
}

fn checkpoint_between() -> Scenario {
    let saved: &[(u64, Event)] = &[(1, Training), (2, Checkpoint { step: 5, hash: 5 })];
    let mut steps = ready(1);
    steps.push((Submit(&[0]), Done));
    steps.extend(ends(0, &[0], RankOutcome::Lost));
    steps.extend(ends(1, &[0], RankOutcome::Lost));
    steps.extend([
        (RetryDelay(0), Delay(ms(1000))),
        (Claim { by: 0, job: 0, workers: &[0] }, Done),
        (Dispatch { attempt: 2, rank: 0 }, Done),
        (Report(first(0, 2), saved), Done),
        (End(first(0, 2), RankOutcome::Lost), Done),
        // It came further: this counts as the first loss, and the next one does too.
        (RetryDelay(0), Delay(ms(0))),
    ]);
    steps.extend(ends(3, &[0], RankOutcome::Lost));
    steps.push((RetryDelay(0), Delay(ms(0))));
    steps.extend(ends(4, &[0], RankOutcome::Lost));
    steps.push((RetryDelay(0), Delay(ms(1000))));
    let name = "lost attempts count from the last checkpoint on";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn avoided() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    steps.extend([
        (End(first(1, 0), RankOutcome::Lost), Stale),
        (End(first(0, 0), RankOutcome::Lost), Done),
        (Avoids(0), Workers(vec![0])),
        (LeaseOf(0), Holds(None)),
        (End(Holder { worker: 1, attempt: 0, rank: 1 }, RankOutcome::PeerLost), Done),
        (Avoids(0), Workers(vec![0])),
        (Pass(ms(59_999)), Done),
        (Heartbeat { stream: 0, runs: None }, Done),
        (Heartbeat { stream: 1, runs: None }, Done),
        (Avoids(0), Workers(vec![0])),
        (Pass(ms(1)), Done),
        (Avoids(0), Workers(vec![])),
    ]);
    let name = "a job avoids the worker at fault for a minute, and not its peers";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}

fn unknown() -> Scenario {
    let saved: &[(u64, Event)] = &[(1, Training), (2, Checkpoint { step: 5, hash: 5 })];
    let mut steps = ready(2);
    steps.push((Submit(&[0]), Done));
    steps.extend(ends(0, &[0], RankOutcome::Unknown));
    steps.extend([
        (JobIs(0), Job(JobState::Queued)),
        (Pass(ms(60_000)), Done),
        (Heartbeat { stream: 0, runs: None }, Done),
        (Heartbeat { stream: 1, runs: None }, Done),
        // For as long as another worker would be evidence.
        (Avoids(0), Workers(vec![0])),
        (Lead(0), Term(2)),
        (Claim { by: 0, job: 0, workers: &[1] }, Done),
        (Report(first(1, 1), saved), Done),
        (End(first(1, 1), RankOutcome::PeerLost), Done),
        (Avoids(0), Workers(vec![])),
    ]);
    let name = "a job avoids where it ended for an unknown reason, until its next checkpoint";
    Scenario { name, workers: workers(2), jobs: vec![NewJob { crashes: true, ..JOB }], steps }
}

fn two_hosts() -> Scenario {
    let workers = ["ada", "ada", "bob"].into_iter().enumerate();
    let workers = workers.map(|(device, host)| Worker { kind: "cpu", host, device }).collect();
    let mut steps = ready(3);
    steps.push((Submit(&[0]), Done));
    for (attempt, worker) in [(0, &[0]), (1, &[1])] {
        steps.extend(ends(attempt, worker, RankOutcome::Unknown));
        steps.push((JobIs(0), Job(JobState::Queued)));
    }
    steps.extend(ends(2, &[2], RankOutcome::Unknown));
    steps.push((JobIs(0), Job(JobState::Failed)));
    let name = "workers of two hosts that say the same blame the job";
    Scenario { name, workers, jobs: vec![NewJob { crashes: true, ..JOB }], steps }
}

fn two_devices() -> Scenario {
    let mut steps = ready(2);
    // Other jobs go well on both.
    steps.extend(starts(&[1], 0, &[0]));
    steps.push((End(first(0, 0), RankOutcome::Succeeded), Done));
    steps.extend(starts(&[2], 1, &[1]));
    steps.extend([(End(first(1, 1), RankOutcome::Succeeded), Done), (Submit(&[0]), Done)]);
    steps.extend(ends(2, &[0], RankOutcome::Unknown));
    steps.push((JobIs(0), Job(JobState::Queued)));
    steps.extend(ends(3, &[1], RankOutcome::Unknown));
    steps.push((JobIs(0), Job(JobState::Failed)));
    let name = "two devices on which other jobs go well blame the job";
    Scenario { name, workers: workers(2), jobs: vec![NewJob { crashes: true, ..JOB }, JOB, JOB], steps }
}

fn missing_input() -> Scenario {
    let mut steps = ready(2);
    steps.push((Submit(&[0]), Done));
    steps.extend(ends(0, &[0], RankOutcome::InputMissing));
    steps.extend([
        (JobIs(0), Job(JobState::Queued)),
        (RetryDelay(0), Delay(ms(0))),
        (Unreadable(0), Workers(vec![0])),
        (Avoids(0), Workers(vec![])),
    ]);
    // It uses up no retry: this is the first loss.
    steps.extend(ends(1, &[1], RankOutcome::Lost));
    steps.extend([(RetryDelay(0), Delay(ms(0))), (Avoids(0), Workers(vec![1]))]);
    steps.extend(ends(2, &[1], RankOutcome::InputMissing));
    steps.extend([(RetryDelay(0), Delay(ms(60_000))), (Unreadable(0), Workers(vec![0, 1]))]);
    let name = "a job whose input a worker cannot read is tried on others, and uses up no retry";
    Scenario { name, workers: workers(2), jobs: vec![JOB], steps }
}

fn missing_everywhere() -> Scenario {
    let mut steps = ready(1);
    steps.push((Submit(&[0]), Done));
    for (attempt, seconds) in [60, 300, 900, 900, 900, 900].into_iter().enumerate() {
        steps.extend(ends(attempt, &[0], RankOutcome::InputMissing));
        steps.extend([
            (JobIs(0), Job(JobState::Queued)),
            (RetryDelay(0), Delay(ms(seconds * 1000))),
            (Pass(ms(seconds * 1000)), Done),
            (Lead(0), Term(2 + attempt as u64)),
        ]);
    }
    steps.extend(ends(6, &[0], RankOutcome::InputMissing));
    steps.push((JobIs(0), Job(JobState::Failed)));
    let name = "a job whose input nobody can read fails after an hour";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}
