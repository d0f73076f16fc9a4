use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;
use crate::{
    policy::{FairShare, HousePolicy},
    spec::Workers,
};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn job(number: u128, owner: &str, ranks: u32, minutes: u64) -> QueuedJob {
    QueuedJob {
        id: Uuid::from_u128(1000 + number),
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
        host: format!("box{}", number % 2),
        device: format!("GPU-{number}"),
        offers: Offers::default(),
        status,
    }
}

fn busy(number: u128, minutes: i64) -> FleetWorker {
    let until = Some(now() + TimeDelta::minutes(minutes));
    worker(number, WorkerStatus::Busy { job_name: "other".to_owned(), until })
}

fn expected(
    queue: &[QueuedJob],
    fleet: &[FleetWorker],
    policy: &Policy,
    wrong_by: f64,
    habits: &BTreeMap<String, Habit>,
) -> BTreeMap<Uuid, Expected> {
    let (used, shares) = (BTreeMap::new(), FairShare::default());
    let (now, running) = (now(), &[]);
    forecast(&Outlook { now, queue, running, fleet, policy, used: &used, shares: &shares, habits, wrong_by })
}

/// Minutes until each starts.
fn minutes(queue: &[QueuedJob], fleet: &[FleetWorker], policy: &Policy, wrong_by: f64) -> Vec<Option<(i64, i64, i64)>> {
    let expected = expected(queue, fleet, policy, wrong_by, &BTreeMap::new());
    let of = |moment: DateTime<Utc>| (moment - now()).num_minutes();
    let one = |job: &QueuedJob| expected[&job.id].start.map(|start| (of(start.early), of(start.at), of(start.late)));
    queue.iter().map(one).collect()
}

fn exact(queue: &[QueuedJob], fleet: &[FleetWorker]) -> Vec<Option<i64>> {
    minutes(queue, fleet, &Policy::default(), 0.0).into_iter().map(|start| start.map(|(_, at, _)| at)).collect()
}

#[test]
fn each_starts_in_the_first_gap_that_holds_it() {
    let fleet = [busy(1, 10), busy(2, 30)];
    // The gang waits for both; the short one fits before it, the longer one does not.
    let queue = [job(1, "a", 2, 60), job(2, "a", 1, 20), job(3, "a", 1, 21)];
    assert_eq!(exact(&queue, &fleet), [Some(30), Some(10), Some(90)]);
    assert_eq!(exact(&[job(1, "a", 3, 60)], &fleet), [None], "no such gang");
    assert_eq!(exact(&[job(1, "a", 1, 60)], &[]), [None]);
}

#[test]
fn a_device_that_is_held_comes_back_and_one_that_is_drained_does_not() {
    let held = WorkerStatus::Held { until: now() + TimeDelta::minutes(45) };
    let queue = [job(1, "a", 1, 60)];
    assert_eq!(exact(&queue, &[worker(1, held), worker(2, WorkerStatus::Drained)]), [Some(45)]);
    assert_eq!(exact(&queue, &[worker(2, WorkerStatus::Drained)]), [None]);
}

#[test]
fn who_may_run_on_one_device_has_one_at_a_time() {
    let policy = HousePolicy::parse("[limits]\nrunning_devices = 1").unwrap();
    let quotas = Quotas::of(&policy, &BTreeMap::from([("a".to_owned(), InUse::default())]));
    let policy = Policy { quotas, ..Policy::default() };
    let fleet = [worker(1, WorkerStatus::Idle), worker(2, WorkerStatus::Idle)];
    let queue = [job(1, "a", 1, 60), job(2, "a", 1, 60), job(3, "b", 1, 60)];
    let starts: Vec<_> = minutes(&queue, &fleet, &policy, 0.0).into_iter().map(|start| start.unwrap().1).collect();
    assert_eq!(starts, [0, 60, 0]);
}

#[test]
fn a_gang_of_one_host_waits_for_that_host() {
    let fleet = [busy(1, 10), busy(2, 20), busy(3, 30), busy(4, 40)];
    let apart = Policy { across_hosts: false, ..Policy::default() };
    let start = |policy| minutes(&[job(1, "a", 2, 5)], &fleet, policy, 0.0)[0].unwrap().1;
    assert_eq!((start(&Policy::default()), start(&apart)), (20, 30));
}

#[test]
fn the_less_is_known_the_wider_the_spread_and_the_middle_stays() {
    let fleet = [busy(1, 100)];
    let queue: Vec<_> = (1..20).map(|number| job(number, "a", 1, 100)).collect();
    let last = |wrong_by| minutes(&queue, &fleet, &Policy::default(), wrong_by)[18].unwrap();
    assert_eq!(last(0.0), (1900, 1900, 1900));
    let (early, at, late) = last(0.25);
    assert!(early < at && at < late && (1750..2150).contains(&at), "{early} {at} {late}");
    let (wider, _, widest) = last(0.5);
    assert!(widest - wider > late - early);
}

#[test]
fn maximum_times_are_not_wrong_whatever_estimates_are() {
    let gang = |number: u128, workers: &[u128], left| RunningGang {
        attempt: Uuid::from_u128(5000 + number),
        job: Uuid::from_u128(6000 + number),
        name: "running".to_owned(),
        owner: "a".to_owned(),
        priority: 0,
        queued_at: now(),
        position: 0,
        avoid: Vec::new(),
        missing: Vec::new(),
        needs: Needs::default(),
        workers: workers.iter().copied().map(Uuid::from_u128).collect(),
        wanted: Workers { min: 2, max: 2 },
        shards: 2,
        training_since: Some(now()),
        saved_at: None,
        seconds_left: None,
        slowest: None,
        wasted_stops: 0,
        is_stopping: false,
        passed: None,
        time_left: left,
    };
    // It would go on for an hour and may for 15 minutes; who waits may train for 5, and would for 60.
    let start = |number: u128, estimate: i64, left: Option<i64>, own: Option<u64>| {
        let mut running = [gang(number, &[1, 3], left.map(TimeDelta::minutes))];
        let mut fleet = [busy(1, estimate), busy(3, estimate)];
        end_with_time(now(), &mut running, &mut fleet);
        let mut queue = [job(number, "a", 2, 60), job(number + 100, "b", 2, 60)];
        own.iter().for_each(|minutes| queue[0].end_with_time(Duration::from_secs(60 * minutes)));
        let (used, shares, habits) = (BTreeMap::new(), FairShare::default(), BTreeMap::new());
        let policy = &Policy::default();
        let (now, queue, running, fleet) = (now(), &queue, &running, &fleet);
        let outlook = Outlook {
            now,
            queue,
            running,
            fleet,
            policy,
            used: &used,
            shares: &shares,
            habits: &habits,
            wrong_by: 0.5,
        };
        let minutes = |start: Start| [start.early, start.at, start.late].map(|at| (at - now).num_minutes());
        let found = forecast(&outlook);
        queue.each_ref().map(|job| minutes(found[&job.id].start.unwrap()))
    };
    for number in 1..40 {
        assert_eq!(start(number, 60, Some(15), Some(5)), [[15; 3], [20; 3]], "{number}");
        let [[early, at, late], [_, _, last]] = start(number, 10, Some(15), Some(90));
        assert!(early <= at && at <= late && late <= 15 && last <= 15 + 90, "{number}: {early} {at} {late}, {last}");
    }
    let spread = start(1, 60, None, None);
    assert!(spread[0][0] < 60 && spread[0][2] > 60, "without one it is unsure: {spread:?}");
}

#[test]
fn a_long_line_is_counted_behind_those_that_are_looked_at() {
    let fleet = [worker(1, WorkerStatus::Idle), worker(2, WorkerStatus::Idle)];
    let queue: Vec<_> = (0..1000).map(|number| job(number, "a", 1, 10)).collect();
    let starts = exact(&queue, &fleet);
    assert_eq!((starts[100], starts[999]), (Some(500), Some(4995)));
    let expected = expected(&queue, &fleet, &Policy::default(), 0.0, &BTreeMap::new());
    assert_eq!((expected[&queue[0].id].place, expected[&queue[999].id].place), (1, 1000));
}

#[test]
fn who_submits_day_after_day_is_expected_to_go_on() {
    let fleet = [worker(1, WorkerStatus::Idle), worker(2, WorkerStatus::Idle)];
    let queue: Vec<_> = (1..41).map(|number| job(number, "a", 1, 60)).collect();
    let last = |who: &str, hours: f64| {
        let (next, every) = (now() + TimeDelta::hours(4), TimeDelta::hours(12));
        let habits = BTreeMap::from([(who.to_owned(), Habit { next, every, asks: 3600.0 * hours })]);
        let expected = expected(&queue, &fleet, &Policy::default(), 0.0, &habits);
        assert_eq!(expected.len(), queue.len(), "what has not come is nobody's");
        (expected[&queue[39].id].start.unwrap().at - now()).num_hours()
    };
    assert_eq!(last("b", 0.0), 19);
    let with_b = last("b", 12.0);
    assert!((30..44).contains(&with_b), "b has half of the devices: {with_b}");
    assert_eq!(last("a", 12.0), 19, "its own jobs come behind those that wait");
}

#[test]
fn nobody_knows_when_a_device_is_free_that_others_use() {
    let withheld = || WorkerStatus::Withheld { why: "in use by ann".to_owned() };
    assert_eq!(exact(&[job(1, "a", 1, 10)], &[worker(1, withheld())]), [None]);
    // One of two is enough, and the gang of two waits for both.
    let queue = [job(1, "a", 2, 10), job(2, "a", 1, 10)];
    assert_eq!(exact(&queue, &[worker(1, withheld()), busy(2, 30)]), [None, Some(30)]);
    // It is waited for: no job of its kind is expected to fall to another.
    let cpu = FleetWorker { device_kind: "cpu".to_owned(), ..worker(2, WorkerStatus::Idle) };
    assert_eq!(exact(&[job(1, "a", 1, 10)], &[worker(1, withheld()), cpu]), [None]);
}

#[test]
fn who_is_tried_again_later_starts_then() {
    let until = now() + TimeDelta::minutes(45);
    let waits = QueuedJob { not_before: Some(until), ..job(1, "a", 1, 10) };
    assert_eq!(exact(&[waits], &[worker(1, WorkerStatus::Idle)]), [Some(45)]);
    let (worker_name, cause) = ("gpu-1".to_owned(), "not there".to_owned());
    let missing = crate::blame::MissingInput { worker: Uuid::from_u128(1), worker_name, cause, until };
    let unread = QueuedJob { missing: vec![missing], ..job(1, "a", 1, 10) };
    assert_eq!(exact(&[unread], &[worker(1, WorkerStatus::Idle)]), [Some(45)]);
}

#[test]
fn what_is_assumed_of_new_work_is_looked_ahead_by() {
    let kinds = BTreeMap::from([("cuda".to_owned(), Duration::from_secs(3600))]);
    let new = |number| QueuedJob { estimates: BTreeMap::new(), assumed: kinds.clone(), ..job(number, "a", 1, 0) };
    assert_eq!(exact(&[new(1), new(2)], &[worker(1, WorkerStatus::Idle)]), [Some(0), Some(60)]);
}
