//! Who leads, for how long, and what is done under a term that is over.

use tandem_domain::state::JobState;

use super::{
    operation::{
        Answer::{self, *},
        Operation::{self, *},
    },
    scenario::{JOB, STARTED, Scenario, first, idles, ms, ready, starts, workers},
};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![old_term(), renewed_in_time(), adopted(), progress_of_the_adopted()]
}

fn scenario(name: &'static str, steps: Vec<(Operation, Answer)>) -> Scenario {
    Scenario { name, workers: workers(2), jobs: vec![JOB, JOB], steps }
}

fn old_term() -> Scenario {
    let claim = |by| Claim { by, job: 0, workers: &[0] };
    let steps = vec![
        (Submit(&[0]), Done),
        (claim(0), Refused),
        (Lead(0), Term(1)),
        (Pass(ms(5999)), Done),
        (Lead(1), Refused),
        (Pass(ms(1)), Done),
        // It is over although nobody else leads yet.
        (claim(0), Refused),
        (Reap { by: 0 }, Ended(0)),
        (Lead(1), Term(2)),
        (claim(0), Refused),
        (claim(1), Done),
        (JobIs(0), Job(JobState::Running)),
        (Lead(0), Refused),
        (Pass(ms(5000)), Done),
        (Lead(1), Term(2)),
        (Pass(ms(3500)), Done),
        (Reap { by: 0 }, Ended(0)),
        (Reap { by: 1 }, Ended(1)),
    ];
    let steps = [(Open { worker: 0, runs: None }, Done)].into_iter().chain(steps).collect();
    scenario("what is decided under an old term is not done", steps)
}

fn renewed_in_time() -> Scenario {
    let steps = vec![
        (Lead(0), Term(1)),
        (Pass(ms(5999)), Done),
        (Lead(0), Term(1)),
        // It has missed as much as any other coordinator.
        (Pass(ms(6000)), Done),
        (Lead(0), Term(2)),
        (Lead(0), Term(2)),
    ];
    scenario("a leader that renews too late has another term", steps)
}

fn adopted() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), STARTED), Done),
        (Pass(ms(60_000)), Done),
        (Reap { by: 0 }, Ended(0)),
        (Lead(1), Term(2)),
        (Reap { by: 1 }, Ended(0)),
        (JobIs(0), Job(JobState::Running)),
        (Pass(ms(5000)), Done),
        // The same term renews no leases.
        (Lead(1), Term(2)),
        (Pass(ms(3499)), Done),
        (Reap { by: 1 }, Ended(0)),
        (Pass(ms(1)), Done),
        (Reap { by: 1 }, Ended(1)),
        (JobIs(0), Job(JobState::Queued)),
    ]);
    scenario("a new leader adopts what runs, for one lease", steps)
}

fn progress_of_the_adopted() -> Scenario {
    let idle = |seconds: u64| Heartbeat { stream: 0, runs: idles(0, 0, ms(seconds * 1000), Some(ms(200))) };
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), STARTED), Done),
        (idle(50), Done),
        (Pass(ms(6000)), Done),
        // As far as it knows, there was progress just now; the worker knows better.
        (Lead(1), Term(2)),
        (Pass(ms(1000)), Done),
        (idle(57), Done),
        (Pass(ms(1000)), Done),
        (Reap { by: 1 }, Ended(0)),
        (Pass(ms(2000)), Done),
        (Reap { by: 1 }, Ended(1)),
    ]);
    scenario("what a worker says of its rank's progress counts, whatever was stored", steps)
}
