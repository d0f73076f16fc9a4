//! Workers: their streams, their devices, and who is given to a job.

use tandem_domain::state::{AttemptState, JobState, RankOutcome};

use super::{
    operation::{
        Answer::*,
        Lease,
        Operation::*,
        Status::{Busy, Draining, Gone, Idle, Lost},
        Worker,
    },
    scenario::{JOB, PAIR, STARTED, Scenario, first, ms, ready, runs, starts, workers},
};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![two_streams(), restarted(), declared_lost(), one_device(), leased_meanwhile()]
}

fn two_streams() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), STARTED), Done),
        (Pass(ms(5000)), Done),
        (Lead(0), Term(1)),
        (Open { worker: 0, runs: runs(0, 0) }, Done),
        (Heartbeat { stream: 0, runs: runs(0, 0) }, Stale),
        (Drain { stream: 0 }, Done),
        (Close { stream: 0 }, Done),
        (FleetIs, Fleet(vec![Busy])),
        (Pass(ms(3500)), Done),
        // The registration has renewed it.
        (Reap { by: 0 }, Ended(0)),
        (Drain { stream: 1 }, Done),
        (FleetIs, Fleet(vec![Draining])),
        (Heartbeat { stream: 1, runs: runs(0, 0) }, Done),
        (End(first(0, 0), RankOutcome::Preempted), Done),
        (JobIs(0), Job(JobState::Queued)),
        (Claim { by: 0, job: 0, workers: &[0] }, Refused),
        (Close { stream: 1 }, Done),
        (FleetIs, Fleet(vec![Gone])),
        (Open { worker: 0, runs: None }, Done),
        (FleetIs, Fleet(vec![Idle])),
        (Close { stream: 2 }, Done),
        (FleetIs, Fleet(vec![Lost])),
    ]);
    Scenario { name: "only a worker's last stream speaks for it", workers: workers(1), jobs: vec![JOB], steps }
}

fn restarted() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Open { worker: 0, runs: None }, Done),
        // It is assigned again.
        (AttemptIs(0), Attempt(AttemptState::Assigned)),
        (Report(first(0, 0), STARTED), Done),
        (Open { worker: 0, runs: runs(0, 0) }, Done),
        (AttemptIs(0), Attempt(AttemptState::Starting)),
        (Open { worker: 0, runs: None }, Done),
        (AttemptIs(0), Attempt(AttemptState::Lost)),
        (LeaseOf(0), Holds(None)),
        (Open { worker: 0, runs: runs(0, 0) }, Stale),
        (Report(first(0, 0), STARTED), Stale),
    ]);
    let name = "a worker that comes back without the rank that it had has lost it";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn declared_lost() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Pass(ms(5000)), Done),
        (Lead(0), Term(1)),
        (Pass(ms(3500)), Done),
        (MarkLost { by: 0 }, Done),
        (FleetIs, Fleet(vec![Busy])),
        (Reap { by: 0 }, Ended(1)),
        (Pass(ms(1)), Done),
        (MarkLost { by: 1 }, Done),
        (Heartbeat { stream: 0, runs: None }, Done),
        (FleetIs, Fleet(vec![Idle])),
        (Pass(ms(8501)), Done),
        (Lead(0), Term(2)),
        (MarkLost { by: 0 }, Done),
        // Its stream has no meaning any more.
        (Heartbeat { stream: 0, runs: None }, Stale),
        (FleetIs, Fleet(vec![Lost])),
        (Open { worker: 0, runs: runs(0, 0) }, Stale),
        (FleetIs, Fleet(vec![Idle])),
        (Pass(ms(3_600_000)), Done),
        (Lead(0), Term(3)),
        (MarkLost { by: 0 }, Done),
        (FleetIs, Fleet(vec![Lost])),
        (Pass(ms(1)), Done),
        (MarkLost { by: 0 }, Done),
        (FleetIs, Fleet(vec![Gone])),
    ]);
    let name = "a worker that was declared lost must register anew, and is forgotten after an hour";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn one_device() -> Scenario {
    let mut steps = ready(3);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (FleetIs, Fleet(vec![Busy, Busy, Idle])),
        (Pass(ms(1)), Done),
        (Submit(&[1]), Done),
        (Claim { by: 0, job: 1, workers: &[1] }, Refused),
        (JobIs(1), Job(JobState::Queued)),
        (End(first(0, 0), RankOutcome::Succeeded), Done),
        (Pass(ms(1)), Done),
        (Submit(&[2]), Done),
        (Claim { by: 0, job: 2, workers: &[0, 1] }, Refused),
        (JobIs(2), Job(JobState::Queued)),
        (Claim { by: 0, job: 2, workers: &[1, 2] }, Done),
        (FleetIs, Fleet(vec![Busy, Busy, Busy])),
        (Claim { by: 0, job: 1, workers: &[0] }, Refused),
    ]);
    let device = |device| Worker { kind: "cpu", host: "ada", device };
    let (workers, jobs) = (vec![device(0), device(0), device(1)], vec![JOB, JOB, PAIR]);
    Scenario { name: "two workers on one device are one", workers, jobs, steps }
}

fn leased_meanwhile() -> Scenario {
    let lease = Lease { attempt: 1, rank: 0, is_over: false, has_reported: false, has_rendezvous: false, stops: false };
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Pass(ms(1)), Done),
        (Submit(&[1]), Done),
        (Claim { by: 0, job: 1, workers: &[0, 1] }, Refused),
        (Claim { by: 0, job: 0, workers: &[1] }, Refused),
        (FleetIs, Fleet(vec![Busy, Idle])),
        (QueueIs, Jobs(vec![1])),
        (End(first(0, 0), RankOutcome::JobFailed), Done),
        (JobIs(0), Job(JobState::Failed)),
        (Claim { by: 0, job: 0, workers: &[1] }, Refused),
        (Claim { by: 0, job: 1, workers: &[1, 1] }, Refused),
        (Claim { by: 0, job: 1, workers: &[1, 0] }, Done),
        (LeaseOf(1), Holds(Some(lease))),
    ]);
    let name = "a claim takes all of its gang or none, and a job once";
    Scenario { name, workers: workers(2), jobs: vec![JOB, PAIR], steps }
}
