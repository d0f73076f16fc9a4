//! Leases of ranks: what renews them, and when they run out.

use tandem_domain::state::{AttemptState, JobState, RankOutcome};

use super::{
    operation::{
        Answer::*,
        Holder, Lease,
        Operation::*,
        Status::{Busy, Idle, Lost},
    },
    scenario::{JOB, PAIR, STARTED, Scenario, TRAINING, first, idles, ms, ready, runs, starts, workers},
};

const SECOND: Holder = Holder { worker: 1, attempt: 0, rank: 1 };
const LEASE: Lease =
    Lease { attempt: 0, rank: 0, is_over: false, has_reported: true, has_rendezvous: false, stops: false };

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![silent(), never_reported(), not_reported(), no_progress(), not_dispatched(), rendezvous()]
}

fn silent() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    steps.extend([
        (FleetIs, Fleet(vec![Busy, Busy])),
        (Report(first(0, 0), TRAINING), Done),
        (Report(SECOND, TRAINING), Done),
        (Pass(ms(5000)), Done),
        (Lead(0), Term(1)),
        (Heartbeat { stream: 0, runs: runs(0, 0) }, Done),
        (Pass(ms(3499)), Done),
        (Reap { by: 0 }, Ended(0)),
        (Pass(ms(1)), Done),
        (Reap { by: 0 }, Ended(1)),
        (Reap { by: 0 }, Ended(0)),
        (AttemptIs(0), Attempt(AttemptState::Lost)),
        (JobIs(0), Job(JobState::Queued)),
        // Rank 0 runs until its worker has ended it.
        (LeaseOf(0), Holds(Some(Lease { is_over: true, ..LEASE }))),
        (LeaseOf(1), Holds(None)),
        (FleetIs, Fleet(vec![Busy, Idle])),
        (Pass(ms(1)), Done),
        (FleetIs, Fleet(vec![Busy, Lost])),
        // Nobody promises it anything any more.
        (Heartbeat { stream: 1, runs: runs(0, 1) }, Stale),
        (Heartbeat { stream: 1, runs: None }, Done),
        (Report(SECOND, STARTED), Stale),
        (End(SECOND, RankOutcome::Succeeded), Stale),
        (Heartbeat { stream: 0, runs: runs(0, 0) }, Done),
        (End(first(0, 0), RankOutcome::PeerLost), Done),
        (Heartbeat { stream: 0, runs: runs(0, 0) }, Stale),
        (FleetIs, Fleet(vec![Idle, Idle])),
    ]);
    Scenario { name: "a silent worker loses its lease", workers: workers(2), jobs: vec![PAIR], steps }
}

fn never_reported() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    for _ in 0..12 {
        steps.extend([
            (Pass(ms(5000)), Done),
            (Lead(0), Term(1)),
            (Heartbeat { stream: 0, runs: None }, Done),
            (Reap { by: 0 }, Ended(0)),
        ]);
    }
    // The last of them came a minute after the claim, and renewed nothing.
    steps.extend([
        (Pass(ms(1500)), Done),
        (Reap { by: 0 }, Ended(0)),
        (Pass(ms(2000)), Done),
        (Reap { by: 0 }, Ended(1)),
    ]);
    Scenario { name: "a rank may take a minute to report", workers: workers(1), jobs: vec![JOB], steps }
}

fn not_reported() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), STARTED), Done),
        (Pass(ms(5000)), Done),
        (Lead(0), Term(1)),
        (Heartbeat { stream: 0, runs: None }, Done),
        (Pass(ms(3500)), Done),
        (Reap { by: 0 }, Ended(1)),
        (FleetIs, Fleet(vec![Idle])),
        (JobIs(0), Job(JobState::Queued)),
    ]);
    let name = "a worker that is there and does not report its rank loses its lease";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn no_progress() -> Scenario {
    let idle = |milliseconds, slowest: Option<u64>| Heartbeat {
        stream: 0,
        runs: idles(0, 0, ms(milliseconds), slowest.map(ms)),
    };
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), STARTED), Done),
        (idle(238_000, None), Done),
        (Reap { by: 0 }, Ended(0)),
        // Its passes take nine seconds.
        (idle(178_000, Some(9000)), Done),
        (Reap { by: 0 }, Ended(0)),
        (idle(178_000, Some(200)), Done),
        (Reap { by: 0 }, Ended(0)),
        (idle(180_000, Some(200)), Done),
        (Reap { by: 0 }, Ended(1)),
        (JobIs(0), Job(JobState::Queued)),
    ]);
    let name = "a rank that makes no progress is given up, by the measure of its slowest step";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn not_dispatched() -> Scenario {
    let mut steps = ready(2);
    steps.extend([
        (Submit(&[0]), Done),
        (Claim { by: 0, job: 0, workers: &[0, 1] }, Done),
        (Dispatch { attempt: 0, rank: 0 }, Done),
        (Cancel(0), Done),
        (AttemptIs(0), Attempt(AttemptState::Cancelled)),
        (LeaseOf(0), Holds(Some(Lease { is_over: true, has_reported: false, ..LEASE }))),
        (LeaseOf(1), Holds(None)),
        (Dispatch { attempt: 0, rank: 1 }, Refused),
        (End(SECOND, RankOutcome::Cancelled), Stale),
        (End(first(0, 0), RankOutcome::Cancelled), Done),
        (End(first(0, 0), RankOutcome::Cancelled), Stale),
        (FleetIs, Fleet(vec![Idle, Idle])),
    ]);
    let name = "a rank that was sent to no worker ends with its attempt";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}

fn rendezvous() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    let of_rank_1 = Lease { rank: 1, has_reported: false, ..LEASE };
    steps.extend([
        (Listen(SECOND), Stale),
        (LeaseOf(1), Holds(Some(of_rank_1))),
        (Listen(first(0, 0)), Done),
        (LeaseOf(1), Holds(Some(Lease { has_rendezvous: true, ..of_rank_1 }))),
        (End(SECOND, RankOutcome::Lost), Done),
        (Listen(first(0, 0)), Stale),
    ]);
    let name = "ranks meet where rank 0 of a live attempt listens";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}
