//! Gangs that are asked to stop at a checkpoint.

use tandem_domain::state::{AttemptState, JobState, RankOutcome};

use super::{
    operation::{
        Answer::{self, *},
        Event::{self, Checkpoint, Training},
        Gang, Holder, Lease, NewJob,
        Operation::{self, *},
    },
    scenario::{JOB, PAIR, STARTED, Scenario, TRAINING, first, ms, ready, starts, workers},
};

const GANG: Gang = Gang { trains: true, is_stopping: false, has_saved: false, wasted_stops: 0 };
const SAVED: &[(u64, Event)] = &[(1, Training), (2, Checkpoint { step: 5, hash: 5 })];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![asked(), all_or_none(), one_rank_stops(), saved_nothing(), place_is_kept()]
}

fn asked() -> Scenario {
    let ask = AskStop { by: 0, attempts: &[0], room_for: None };
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (ask.clone(), Refused),
        (Report(first(0, 0), STARTED), Done),
        (ask.clone(), Refused),
        (Report(first(0, 0), SAVED), Done),
        // Number 1 was stored before.
        (GangIs(0), Looks(Gang { has_saved: true, trains: false, ..GANG })),
        (ask.clone(), Refused),
        (Report(first(0, 0), &[(3, Training)]), Done),
        (GangIs(0), Looks(Gang { has_saved: true, ..GANG })),
        (Pass(ms(6000)), Done),
        (ask.clone(), Refused),
        (Lead(1), Term(2)),
        (ask.clone(), Refused),
        (AskStop { by: 1, attempts: &[0], room_for: None }, Done),
        (GangIs(0), Looks(Gang { has_saved: true, is_stopping: true, ..GANG })),
        (AskStop { by: 1, attempts: &[0], room_for: None }, Refused),
        (End(first(0, 0), RankOutcome::Preempted), Done),
        (AttemptIs(0), Attempt(AttemptState::Preempted)),
        (JobIs(0), Job(JobState::Queued)),
        (AskStop { by: 1, attempts: &[0], room_for: None }, Refused),
    ]);
    let name = "a gang is asked once, while it trains, under the present term";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn all_or_none() -> Scenario {
    let lease =
        |attempt| Lease { attempt, rank: 0, is_over: false, has_reported: true, has_rendezvous: false, stops: false };
    let both = |room_for| AskStop { by: 0, attempts: &[0, 1], room_for };
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend(starts(&[1], 1, &[1]));
    steps.extend([
        (Submit(&[2]), Done),
        (Report(first(0, 0), TRAINING), Done),
        (Report(first(1, 1), STARTED), Done),
        (both(Some(2)), Refused),
        (LeaseOf(0), Holds(Some(lease(0)))),
        (Report(first(1, 1), TRAINING), Done),
        (both(Some(2)), Done),
        (LeaseOf(0), Holds(Some(Lease { stops: true, ..lease(0) }))),
        (LeaseOf(1), Holds(Some(Lease { stops: true, ..lease(1) }))),
        (End(first(0, 0), RankOutcome::Preempted), Done),
        (End(first(1, 1), RankOutcome::Preempted), Done),
        (QueueIs, Jobs(vec![2, 0, 1])),
        (Claim { by: 0, job: 2, workers: &[0, 1] }, Done),
    ]);
    let jobs = vec![JOB, JOB, NewJob { priority: 3, ..PAIR }];
    let steps = after_each_submit(steps);
    Scenario { name: "several gangs make room, all or none", workers: workers(2), jobs, steps }
}

/// Jobs that are submitted at the same moment have no order.
fn after_each_submit(steps: Vec<(Operation, Answer)>) -> Vec<(Operation, Answer)> {
    let tick = |step: (Operation, Answer)| {
        let pass = matches!(step.0, Submit(_)).then_some((Pass(ms(1)), Done));
        [Some(step), pass]
    };
    steps.into_iter().flat_map(tick).flatten().collect()
}

fn one_rank_stops() -> Scenario {
    let lease = Lease { attempt: 0, rank: 1, is_over: false, has_reported: true, has_rendezvous: false, stops: false };
    let second = Holder { worker: 1, attempt: 0, rank: 1 };
    let mut steps = ready(2);
    steps.extend(starts(&[0], 0, &[0, 1]));
    steps.extend([
        (Report(first(0, 0), TRAINING), Done),
        (Report(second, TRAINING), Done),
        (LeaseOf(1), Holds(Some(lease))),
        (GangIs(0), Looks(GANG)),
        // Its worker leaves.
        (End(first(0, 0), RankOutcome::Preempted), Done),
        (LeaseOf(1), Holds(Some(Lease { stops: true, ..lease }))),
        (GangIs(0), Looks(Gang { is_stopping: true, ..GANG })),
        (End(second, RankOutcome::Preempted), Done),
        (AttemptIs(0), Attempt(AttemptState::Preempted)),
    ]);
    let name = "a rank that stops takes the others along";
    Scenario { name, workers: workers(2), jobs: vec![PAIR], steps }
}

fn saved_nothing() -> Scenario {
    let ask = |attempts| (AskStop { by: 0, attempts, room_for: None }, Done);
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    let again = |attempt| {
        [
            (Claim { by: 0, job: 0, workers: &[0] }, Done),
            (Dispatch { attempt, rank: 0 }, Done),
            (Report(first(0, attempt), TRAINING), Done),
        ]
    };
    steps.extend([
        (Report(first(0, 0), SAVED), Done),
        (Pass(ms(1)), Done),
        // Its checkpoint is older than the request.
        ask(&[0]),
        (End(first(0, 0), RankOutcome::Lost), Done),
    ]);
    steps.extend(again(1));
    steps.extend([
        (GangIs(1), Looks(Gang { wasted_stops: 1, ..GANG })),
        ask(&[1]),
        (Report(first(0, 1), &[(3, Checkpoint { step: 6, hash: 6 })]), Done),
        (End(first(0, 1), RankOutcome::Preempted), Done),
    ]);
    steps.extend(again(2));
    steps.extend([
        (GangIs(2), Looks(Gang { wasted_stops: 1, ..GANG })),
        ask(&[2]),
        (End(first(0, 2), RankOutcome::Preempted), Done),
    ]);
    steps.extend(again(3));
    // It was not asked: nothing of that counts.
    steps.push((GangIs(3), Looks(Gang { wasted_stops: 2, ..GANG })));
    steps.push((End(first(0, 3), RankOutcome::Lost), Done));
    steps.extend(again(4));
    steps.push((GangIs(4), Looks(Gang { wasted_stops: 2, ..GANG })));
    let name = "a stop that saved nothing is remembered";
    Scenario { name, workers: workers(1), jobs: vec![JOB], steps }
}

fn place_is_kept() -> Scenario {
    let mut steps = ready(1);
    steps.extend(starts(&[0], 0, &[0]));
    steps.extend([
        (Submit(&[1]), Done),
        (Submit(&[2]), Done),
        (Report(first(0, 0), TRAINING), Done),
        (QueueIs, Jobs(vec![2, 1])),
        (AskStop { by: 0, attempts: &[0], room_for: Some(2) }, Done),
        (End(first(0, 0), RankOutcome::Preempted), Done),
        (RetryDelay(0), Delay(ms(0))),
        (QueueIs, Jobs(vec![2, 0, 1])),
    ]);
    let jobs = vec![JOB, JOB, NewJob { priority: 1, ..JOB }];
    let name = "a job that was stopped keeps its place";
    Scenario { name, workers: workers(1), jobs, steps: after_each_submit(steps) }
}
