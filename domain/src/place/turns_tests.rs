//! Whose turn it is, what the policy leaves each, whom a job passed, and maximum time.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;
use crate::{
    policy::{FairShare, HousePolicy, Order},
    spec::Workers,
};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn job(number: u128, owner: &str, ranks: u32, minutes: u64) -> QueuedJob {
    QueuedJob {
        id: Uuid::from_u128(number),
        name: format!("job{number}"),
        owner: owner.to_owned(),
        priority: 0,
        turn: 0,
        queued_at: now() + TimeDelta::seconds(number as i64),
        position: 0,
        workers: Workers { min: ranks, max: ranks },
        shards: ranks,
        not_before: None,
        avoid: Vec::new(),
        any_kind: false,
        missing: Vec::new(),
        needs: Needs::default(),
        estimates: BTreeMap::from([("cuda".to_owned(), Duration::from_secs(60 * minutes))]),
        assumed: BTreeMap::new(),
        time_left: None,
        made_room_at: None,
    }
}

fn worker(number: u128, status: WorkerStatus) -> FleetWorker {
    FleetWorker {
        id: Uuid::from_u128(number),
        name: format!("gpu-{number}"),
        device_kind: "cuda".to_owned(),
        host: "box".to_owned(),
        device: format!("GPU-{number}"),
        offers: Offers::default(),
        status,
    }
}

fn idle(count: u128) -> Vec<FleetWorker> {
    (1..=count).map(|number| worker(number, WorkerStatus::Idle)).collect()
}

fn owners_in_line(queue: &[QueuedJob]) -> String {
    in_line(queue).iter().map(|job| job.owner.as_str()).collect()
}

#[test]
fn who_has_used_least_goes_first_and_lines_take_turns() {
    let mut queue: Vec<_> = (0..4).map(|number| job(number, "a", 1, 10)).collect();
    queue.extend((4..8).map(|number| job(number, "b", 1, 10)));
    take_turns(&mut queue, &BTreeMap::new(), &FairShare::default());
    assert_eq!(owners_in_line(&queue), "abababab");
    // As much as two jobs of ten minutes, and a little.
    let used = BTreeMap::from([("a".to_owned(), 1201.0)]);
    take_turns(&mut queue, &used, &FairShare::default());
    assert_eq!(owners_in_line(&queue), "bbbabaaa");
    let weights = BTreeMap::from([("a".to_owned(), 3.0)]);
    take_turns(&mut queue, &BTreeMap::new(), &FairShare { weights, ..FairShare::default() });
    assert_eq!(owners_in_line(&queue), "abaaabbb", "three shares are three turns of four");
    take_turns(&mut queue, &used, &FairShare { order: Order::FirstCome, ..FairShare::default() });
    assert_eq!(owners_in_line(&queue), "aaaabbbb");
}

#[test]
fn two_devices_count_twice_and_priority_goes_before_turns() {
    let mut queue = vec![job(1, "a", 2, 10), job(2, "a", 1, 10), job(3, "b", 1, 10), job(4, "b", 1, 10)];
    take_turns(&mut queue, &BTreeMap::new(), &FairShare::default());
    assert_eq!(owners_in_line(&queue), "abba");
    queue[1].priority = 1;
    take_turns(&mut queue, &BTreeMap::new(), &FairShare::default());
    let line: Vec<_> = in_line(&queue).iter().map(|job| job.id.as_u128()).collect();
    assert_eq!(line, [2, 3, 1, 4], "what goes first by its priority is counted, too");
}

fn limited(toml: &str, in_use: InUse) -> Policy {
    let quotas = Quotas::of(&HousePolicy::parse(toml).unwrap(), &BTreeMap::from([("a".to_owned(), in_use)]));
    Policy { quotas, ..Policy::default() }
}

fn decided(queue: &[QueuedJob], fleet: &[FleetWorker], policy: &Policy) -> (Vec<u128>, Vec<String>) {
    let Decision { placements, waiting } = place(now(), queue, fleet, policy);
    let placed = placements.iter().map(|one| one.job.as_u128()).collect();
    (placed, waiting.into_iter().map(|one| one.reason).collect())
}

#[test]
fn who_has_all_that_the_policy_allows_waits_and_holds_up_nobody() {
    let policy = limited("[limits]\nrunning_devices = 2", InUse { devices: 1, hours_this_week: 0.0 });
    let queue = [job(1, "a", 1, 10), job(2, "a", 1, 10), job(3, "b", 1, 10), job(4, "a", 3, 10)];
    let (placed, reasons) = decided(&queue, &idle(4), &policy);
    assert_eq!(placed, [1, 3]);
    assert!(reasons[0].contains("a runs on 2 devices, of 2 that the policy allows"), "{reasons:?}");
    assert!(reasons[1].contains("needs 3 devices, and the policy lets a run on 2"), "{reasons:?}");

    let elastic = QueuedJob { workers: Workers { min: 1, max: 4 }, shards: 4, ..job(1, "a", 1, 10) };
    let placed = place(now(), &[elastic], &idle(4), &limited("[limits]\nrunning_devices = 2", InUse::default()));
    assert_eq!(placed.placements[0].workers.len(), 2, "its gang is as large as the policy allows");

    let policy = limited("[limits]\ndevice_hours_a_week = 10", InUse { devices: 0, hours_this_week: 10.5 });
    let (placed, reasons) = decided(&queue[..3], &idle(4), &policy);
    assert_eq!(placed, [3]);
    assert!(reasons[0].contains("a has used 10.50 device-hours in the last seven days, of 10.00"), "{reasons:?}");
}

#[test]
fn held_and_drained_devices_get_nothing_and_the_reason_says_so() {
    let held = WorkerStatus::Held { until: now() + TimeDelta::hours(1) };
    let fleet = [worker(1, held), worker(2, WorkerStatus::Drained)];
    let (placed, reasons) = decided(&[job(1, "a", 1, 10)], &fleet, &Policy::default());
    assert!(placed.is_empty());
    assert!(reasons[0].contains("1 drained") && reasons[0].contains("1 held"), "{reasons:?}");
}

fn gang(number: u128, workers: &[u128]) -> RunningGang {
    RunningGang {
        attempt: Uuid::from_u128(1000 + number),
        job: Uuid::from_u128(100 + number),
        name: format!("gang{number}"),
        owner: "b".to_owned(),
        priority: 0,
        queued_at: now() - TimeDelta::hours(1),
        position: 0,
        avoid: Vec::new(),
        missing: Vec::new(),
        needs: Needs::default(),
        workers: workers.iter().map(|&number| Uuid::from_u128(number)).collect(),
        wanted: Workers { min: 1, max: 1 },
        shards: 1,
        training_since: Some(now() - TimeDelta::hours(1)),
        saved_at: None,
        seconds_left: None,
        slowest: None,
        wasted_stops: 0,
        is_stopping: false,
        passed: None,
        time_left: None,
    }
}

#[test]
fn who_passed_the_first_in_line_and_has_not_ended_in_time_stops_for_it() {
    let busy = |until| WorkerStatus::Busy { job_name: "other".to_owned(), until };
    let later = now() + TimeDelta::minutes(30);
    let first = job(1, "a", 2, 60);
    // It ends before the first can start, on a worker that is reserved for that.
    let fleet = [worker(1, WorkerStatus::Idle), worker(2, busy(Some(later)))];
    let decision = place(now(), &[first.clone(), job(2, "b", 1, 20)], &fleet, &Policy::default());
    assert_eq!(decision.placements[0].passed, Some(Passed { job: first.id, until: later }));

    let fleet = [worker(1, busy(None)), worker(2, WorkerStatus::Idle)];
    let passed = |minutes| Some(Passed { job: first.id, until: now() + TimeDelta::minutes(minutes) });
    let stops = |gang| make_room(now(), std::slice::from_ref(&first), &[gang], &fleet, &Policy::default());
    assert_eq!(stops(gang(1, &[1])), [], "it passed nobody");
    assert_eq!(stops(RunningGang { passed: passed(1), ..gang(1, &[1]) }), [], "it has a minute left");
    let stopped = stops(RunningGang { passed: passed(-1), ..gang(1, &[1]) });
    assert!(stopped[0].reason.contains("makes room for `job1`, which it passed"), "{stopped:?}");
}

#[test]
fn a_gang_whose_time_is_over_stops_once() {
    let over = |left, is_stopping| RunningGang { time_left: left, is_stopping, ..gang(1, &[1]) };
    let stops = |gang| over_time(now(), &[gang]).len();
    assert_eq!(stops(over(None, false)), 0);
    assert_eq!(stops(over(Some(TimeDelta::seconds(1)), false)), 0);
    assert_eq!(stops(over(Some(TimeDelta::seconds(-1)), false)), 1);
    assert_eq!(stops(over(Some(TimeDelta::seconds(-1)), true)), 0);
}

#[test]
fn a_gang_and_its_workers_end_with_the_time_that_they_have() {
    let until = now() + TimeDelta::hours(5);
    let busy = || worker(1, WorkerStatus::Busy { job_name: "gang1".to_owned(), until: Some(until) });
    let ends = |left: Option<i64>| {
        let time_left = left.map(TimeDelta::minutes);
        let mut running = [RunningGang { time_left, seconds_left: Some(18_000.0), ..gang(1, &[1]) }];
        let mut fleet = [busy()];
        end_with_time(now(), &mut running, &mut fleet);
        let WorkerStatus::Busy { until, .. } = fleet[0].status else { panic!("{fleet:?}") };
        (running[0].seconds_left.unwrap(), (until.unwrap() - now()).num_minutes())
    };
    assert_eq!(ends(None), (18_000.0, 300));
    assert_eq!(ends(Some(60)), (3600.0, 60));
    assert_eq!(ends(Some(-1)), (0.0, 0), "it is about to stop");
    assert_eq!(ends(Some(600)), (18_000.0, 300), "it ends before");
}
