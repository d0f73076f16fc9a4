//! What ranks report: each event once, and nothing under a fence that is stale.

use tandem_domain::state::{AttemptState, JobState, RankOutcome};

use super::{
    operation::{
        Answer::*,
        Event::{self, Checkpoint, Metric, Result as Figure, Started, Training},
        Holder,
        Operation::*,
    },
    scenario::{JOB, PAIR, STARTED, Scenario, first, ms, ready, runs, starts, workers},
};

const SECOND: Holder = Holder { worker: 1, attempt: 0, rank: 1 };
const SAVED: &[(u64, Event)] =
    &[(1, Started), (2, Training), (3, Metric { step: 9 }), (4, Checkpoint { step: 9, hash: 7 })];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![repeated(), stale(), after_the_end(), states(), replaced(), verdicts()]
}

fn repeated() -> Scenario {
    let other: &[_] = &[(4, Checkpoint { step: 9, hash: 8 }), (5, Metric { step: 10 })];
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), SAVED), Done),
        (Report(first(0, 0), SAVED), Done),
        (Report(first(0, 0), other), Done),
        // Number 4 was stored before.
        (CheckpointsOf(0), Checkpoints(vec![(9, 7)])),
        (MetricsOf(0), Steps(vec![9, 10])),
        (Report(first(0, 0), &[(5, Metric { step: 11 })]), Done),
        (Report(first(0, 0), &[(2, Metric { step: 12 }), (6, Metric { step: 13 })]), Done),
        (MetricsOf(0), Steps(vec![9, 10, 13])),
        (End(first(0, 0), RankOutcome::Succeeded), Done),
        (End(first(0, 0), RankOutcome::Succeeded), Stale),
        (JobIs(0), Job(JobState::Succeeded)),
    ]);
    Scenario { name: "an event that is reported again is stored once", workers: workers(1), jobs: vec![JOB], steps }
}

fn stale() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(Holder { worker: 1, attempt: 0, rank: 0 }, SAVED), Stale),
        (Report(Holder { worker: 0, attempt: 0, rank: 1 }, SAVED), Stale),
        (End(Holder { worker: 1, attempt: 0, rank: 0 }, RankOutcome::Succeeded), Stale),
        (End(Holder { worker: 0, attempt: 0, rank: 1 }, RankOutcome::Succeeded), Stale),
        (AttemptIs(0), Attempt(AttemptState::Assigned)),
        (Report(first(0, 0), STARTED), Done),
        (End(first(0, 0), RankOutcome::Lost), Done),
        (Claim { by: 0, job: 0, workers: &[1] }, Done),
        (Dispatch { attempt: 1, rank: 0 }, Done),
        (Report(first(1, 1), STARTED), Done),
        // It does not know yet, and goes on.
        (Report(first(0, 0), SAVED), Stale),
        (Heartbeat { stream: 0, runs: runs(0, 0) }, Stale),
        (End(first(0, 0), RankOutcome::Succeeded), Stale),
        (End(first(1, 0), RankOutcome::Succeeded), Stale),
        (End(first(0, 1), RankOutcome::Succeeded), Stale),
        (CheckpointsOf(0), Checkpoints(vec![])),
        (MetricsOf(0), Steps(vec![])),
        (AttemptIs(1), Attempt(AttemptState::Starting)),
        (JobIs(0), Job(JobState::Running)),
    ]);
    Scenario { name: "a stale fence changes nothing", workers: workers(2), jobs: vec![JOB], steps }
}

fn after_the_end() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    steps.extend([
        (Report(first(0, 0), SAVED), Done),
        (Report(SECOND, STARTED), Done),
        (End(SECOND, RankOutcome::Lost), Done),
        (AttemptIs(0), Attempt(AttemptState::Lost)),
        (Pass(ms(5000)), Done),
        (Lead(0), Term(1)),
        // An acknowledgement would read as if the checkpoint were committed.
        (Report(first(0, 0), &[(5, Checkpoint { step: 19, hash: 8 }), (6, Figure(3))]), Stale),
        (Report(first(0, 0), &[(7, Metric { step: 20 })]), Stale),
        (CheckpointsOf(0), Checkpoints(vec![(9, 7)])),
        (MetricsOf(0), Steps(vec![9])),
        (ResultOf(0), Result(None)),
        (Heartbeat { stream: 0, runs: runs(0, 0) }, Done),
        // Until it ends, its worker is not free.
        (Pass(ms(5000)), Done),
        (Lead(0), Term(1)),
        (Reap { by: 0 }, Ended(0)),
        (Claim { by: 0, job: 0, workers: &[0, 1] }, Refused),
        (Pass(ms(3500)), Done),
        (Reap { by: 0 }, Ended(1)),
        (Claim { by: 0, job: 0, workers: &[0, 1] }, Done),
    ]);
    let name = "a report of an attempt that is over is refused";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}

fn states() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    steps.extend([
        (AttemptIs(0), Attempt(AttemptState::Assigned)),
        (Report(SECOND, STARTED), Done),
        (AttemptIs(0), Attempt(AttemptState::Starting)),
        (Report(first(0, 0), &[(1, Started), (2, Metric { step: 1 })]), Done),
        (AttemptIs(0), Attempt(AttemptState::Training)),
        (Report(SECOND, &[(2, Started)]), Done),
        (AttemptIs(0), Attempt(AttemptState::Training)),
        (End(SECOND, RankOutcome::Succeeded), Done),
        (JobIs(0), Job(JobState::Running)),
        (Report(first(0, 0), &[(3, Figure(5))]), Done),
        (End(first(0, 0), RankOutcome::Succeeded), Done),
        (AttemptIs(0), Attempt(AttemptState::Succeeded)),
        (JobIs(0), Job(JobState::Succeeded)),
        (ResultOf(0), Result(Some(5))),
    ]);
    Scenario { name: "an attempt never goes back", workers: workers(2), jobs: vec![PAIR], steps }
}

fn replaced() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Report(first(0, 0), SAVED), Done),
        (Report(first(0, 0), &[(5, Checkpoint { step: 19, hash: 8 }), (6, Figure(1))]), Done),
        (End(first(0, 0), RankOutcome::Unknown), Done),
        (Claim { by: 0, job: 0, workers: &[1] }, Done),
        (Report(first(1, 1), &[(1, Training), (2, Metric { step: 9 }), (3, Metric { step: 10 })]), Done),
        (Report(first(1, 1), &[(4, Checkpoint { step: 19, hash: 9 }), (5, Figure(2))]), Done),
        (CheckpointsOf(0), Checkpoints(vec![(19, 9), (9, 7)])),
        (MetricsOf(0), Steps(vec![9, 10])),
        (ResultOf(0), Result(Some(2))),
    ]);
    let name = "a later attempt replaces checkpoints and results of the same step";
    Scenario { name, workers: workers(2), jobs: vec![JOB], steps }
}

fn verdicts() -> Scenario {
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    steps.extend([
        // All ranks stop at the same step: the other one is about to say so.
        (End(first(0, 0), RankOutcome::Preempted), Done),
        (AttemptIs(0), Attempt(AttemptState::Assigned)),
        (End(SECOND, RankOutcome::PeerLost), Done),
        (AttemptIs(0), Attempt(AttemptState::Preempted)),
        (JobIs(0), Job(JobState::Queued)),
        (RetryDelay(0), Delay(ms(0))),
        (Claim { by: 0, job: 0, workers: &[1, 0] }, Done),
        (Dispatch { attempt: 1, rank: 0 }, Done),
        (Dispatch { attempt: 1, rank: 1 }, Done),
        (End(Holder { worker: 0, attempt: 1, rank: 1 }, RankOutcome::PeerLost), Done),
        (AttemptIs(1), Attempt(AttemptState::Lost)),
        // Too late to be the verdict.
        (End(first(1, 1), RankOutcome::JobFailed), Done),
        (JobIs(0), Job(JobState::Queued)),
        (Claim { by: 0, job: 0, workers: &[0, 1] }, Done),
        (End(first(0, 2), RankOutcome::JobFailed), Done),
        (JobIs(0), Job(JobState::Failed)),
    ]);
    let name = "the first rank that fails or is lost decides, and one that stops does not";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}
