//! Who stops, for whom, and when nobody does.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;
use crate::spec::Workers;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn policy() -> Policy {
    Policy { least_run: Duration::from_secs(30), ..Policy::default() }
}

fn job(number: u128, priority: i32, workers: u32) -> QueuedJob {
    QueuedJob {
        id: Uuid::from_u128(number),
        name: format!("job{number}"),
        owner: "ann".to_owned(),
        turn: 0,
        priority,
        queued_at: now() + TimeDelta::seconds(number as i64),
        position: 0,
        workers: Workers { min: workers, max: workers },
        shards: workers,
        not_before: None,
        avoid: Vec::new(),
        any_kind: false,
        missing: Vec::new(),
        needs: Needs::default(),
        estimates: BTreeMap::new(),
        assumed: BTreeMap::new(),
        time_left: None,
        made_room_at: None,
    }
}

/// Workers 1, 2, ... of one host; those in `gangs` are busy.
fn fleet(count: u128, gangs: &[RunningGang]) -> Vec<FleetWorker> {
    let busy = |id| gangs.iter().find(|gang| gang.workers.contains(&id));
    let worker = |number| {
        let id = Uuid::from_u128(number);
        let status = match busy(id) {
            Some(gang) => WorkerStatus::Busy { job_name: gang.name.clone(), until: None },
            None => WorkerStatus::Idle,
        };
        let (name, device) = (format!("gpu-{number}"), format!("GPU-{number}"));
        FleetWorker {
            id,
            name,
            device_kind: "cuda".to_owned(),
            host: "box".to_owned(),
            device,
            offers: Offers::default(),
            status,
        }
    };
    (1..=count).map(worker).collect()
}

/// It trains for a minute and kept its last checkpoint `unsaved` seconds ago.
fn gang(number: u128, priority: i32, workers: &[u128], unsaved: i64) -> RunningGang {
    RunningGang {
        attempt: Uuid::from_u128(1000 + number),
        job: Uuid::from_u128(100 + number),
        name: format!("gang{number}"),
        owner: "ann".to_owned(),
        passed: None,
        time_left: None,
        priority,
        queued_at: now() - TimeDelta::hours(1),
        position: 0,
        avoid: Vec::new(),
        missing: Vec::new(),
        needs: Needs::default(),
        workers: workers.iter().map(|&number| Uuid::from_u128(number)).collect(),
        wanted: Workers { min: 1, max: 4 },
        shards: 4,
        training_since: Some(now() - TimeDelta::seconds(60)),
        saved_at: Some(now() - TimeDelta::seconds(unsaved)),
        seconds_left: Some(1000.0),
        slowest: None,
        wasted_stops: 0,
        is_stopping: false,
    }
}

fn stopped(queue: &[QueuedJob], running: &[RunningGang], count: u128) -> Vec<u128> {
    let stops = make_room(now(), queue, running, &fleet(count, running), &policy());
    stops.iter().map(|stop| stop.attempt.as_u128() - 1000).collect()
}

fn grown(queue: &[QueuedJob], running: &[RunningGang], count: u128) -> Vec<u128> {
    let fleet = fleet(count, running);
    let decision = place(now(), queue, &fleet, &policy());
    let stops = grow(now(), queue, &decision, running, &fleet, &policy());
    stops.iter().map(|stop| stop.attempt.as_u128() - 1000).collect()
}

#[test]
fn the_higher_priority_is_placed_first_and_lower_ones_do_not_pass() {
    let queue = [job(1, 0, 1), job(2, 5, 2)];
    let decision = place(now(), &queue, &fleet(2, &[]), &policy());
    assert_eq!(decision.placements[0].job, Uuid::from_u128(2));
    let one_idle = [gang(1, 9, &[1], 0)];
    assert!(place(now(), &queue, &fleet(2, &one_idle), &policy()).placements.is_empty());
}

#[test]
fn those_stop_who_lose_least_and_no_more_than_needed() {
    let running = [gang(1, 0, &[1], 50), gang(2, 0, &[2], 5), gang(3, 0, &[3, 4], 1)];
    assert_eq!(stopped(&[job(1, 1, 1)], &running, 4), [3], "2 device-seconds are less than 5");
    assert_eq!(stopped(&[job(1, 1, 2)], &running, 4), [3]);
    // Two and five; then the two alone would not do, and the five alone neither.
    assert_eq!(stopped(&[job(1, 1, 3)], &running, 4), [3, 2]);
    let cheap_and_small = [gang(1, 0, &[1], 1), gang(2, 0, &[2, 3], 20)];
    assert_eq!(stopped(&[job(1, 1, 2)], &cheap_and_small, 3), [2], "the small one would have stopped for nothing");
}

#[test]
fn nobody_stops_in_vain() {
    let running = [gang(1, 0, &[1], 5), gang(2, 1, &[2], 5)];
    assert_eq!(stopped(&[job(1, 1, 2)], &running, 2), [] as [u128; 0], "one of them is as important as the job");
    assert_eq!(stopped(&[job(1, 0, 1)], &running, 2), [] as [u128; 0]);
    let mut young = running.clone();
    young[0].training_since = Some(now() - TimeDelta::seconds(10));
    assert_eq!(stopped(&[job(1, 1, 1)], &young, 2), [] as [u128; 0]);
    // Only for the first in line: what is freed would not be the second's.
    assert_eq!(stopped(&[job(1, 5, 3), job(2, 1, 1)], &running[..1], 1), [1], "three workers there never are");
    assert_eq!(stopped(&[job(1, 1, 2), job(2, 1, 1)], &running, 2), [] as [u128; 0]);
}

#[test]
fn what_is_under_way_or_was_tried_is_not_tried_again() {
    let mut running = [gang(1, 0, &[1], 5), gang(2, 0, &[2], 9)];
    running[0].is_stopping = true;
    assert_eq!(stopped(&[job(1, 1, 1)], &running, 2), [] as [u128; 0], "one is about to be free");
    assert_eq!(stopped(&[job(1, 1, 2)], &running, 2), [2]);

    running[0].is_stopping = false;
    let fleet = fleet(2, &running);
    let tried = QueuedJob { made_room_at: Some(fingerprint(&fleet, &running)), ..job(1, 1, 1) };
    assert_eq!(stopped(std::slice::from_ref(&tried), &running, 2), [] as [u128; 0]);
    assert_eq!(stopped(&[tried], &running, 3), [] as [u128; 0], "and now there is a free one");
    let changed = QueuedJob { made_room_at: Some("another world".to_owned()), ..job(1, 1, 1) };
    assert_eq!(stopped(&[changed], &running, 2), [1]);
}

#[test]
fn a_gang_grows_into_what_is_idle_and_wanted_by_nobody() {
    let running = [gang(1, 0, &[1, 2], 5)];
    assert_eq!(grown(&[], &running, 4), [1]);
    assert_eq!(grown(&[], &running, 3), [] as [u128; 0], "3 does not divide 4 shards");
    assert_eq!(grown(&[job(1, -5, 1)], &running, 3), [] as [u128; 0]);
    assert_eq!(grown(&[job(1, -5, 3)], &running, 4), [] as [u128; 0], "a job waits for them");
    let mut ending = running.clone();
    ending[0].seconds_left = Some(40.0);
    assert_eq!(grown(&[], &ending, 4), [] as [u128; 0], "it is done before it would have grown");
    let mut blamed = running.clone();
    blamed[0].avoid = vec![Uuid::from_u128(3)];
    assert_eq!(grown(&[], &blamed, 4), [] as [u128; 0], "it would be placed without the one at fault, as it is");
    let two = [gang(1, 0, &[1], 5), gang(2, 0, &[2], 5)];
    assert_eq!(grown(&[], &two, 4).len(), 1, "one at a time");
}

#[test]
fn a_worker_at_fault_is_avoided_while_there_are_others() {
    let blamed = |workers| QueuedJob { avoid: vec![Uuid::from_u128(1)], ..job(1, 0, workers) };
    let placed = |job: QueuedJob| place(now(), &[job], &fleet(2, &[]), &policy()).placements.remove(0).workers;
    assert_eq!(placed(blamed(1)), [Uuid::from_u128(2)]);
    assert_eq!(placed(blamed(2)).len(), 2, "it is better than none");
}

#[test]
fn a_gang_of_slow_steps_or_wasted_stops_is_left_alone_for_longer() {
    let ran = |seconds, slowest, wasted_stops| {
        let training_since = Some(now() - TimeDelta::seconds(seconds));
        let slowest = Some(Duration::from_secs(slowest));
        RunningGang { training_since, slowest, wasted_stops, ..gang(1, 0, &[1, 2], 5) }
    };
    assert_eq!(grown(&[], &[ran(31, 1, 0)], 4), [1]);
    assert_eq!(grown(&[], &[ran(199, 20, 0)], 4), [] as [u128; 0], "ten steps of 20 s");
    assert_eq!(grown(&[], &[ran(201, 20, 0)], 4), [1]);
    assert_eq!(grown(&[], &[ran(59, 1, 1)], 4), [] as [u128; 0], "a stop saved nothing");
    assert_eq!(grown(&[], &[ran(61, 1, 1)], 4), [1]);
    assert_eq!(stopped(&[job(1, 5, 1)], &[ran(59, 1, 1)], 2), [] as [u128; 0], "nor to make room");
    let policy = policy();
    assert_eq!(ran(0, 0, 6).least_run(&policy), ran(0, 0, 60).least_run(&policy), "it has an end");
}

#[test]
fn room_is_made_beside_what_starts_now_and_nobody_long_takes_it() {
    // One idle worker is about to be given to the first job; the second is then first in line.
    let running = [gang(1, 0, &[2], 5)];
    let queue = [job(1, 9, 1), job(2, 5, 2)];
    assert_eq!(stopped(&queue, &running, 3), [1], "the third worker alone is not enough");
    let stops = make_room(now(), &queue, &running, &fleet(3, &running), &policy());
    let soon = soon_free(now(), &fleet(3, &running), &running, &stops);
    let until = now() + TimeDelta::seconds(20);
    let freed =
        soon.iter().any(|worker| matches!(worker.status, WorkerStatus::Busy { until: Some(at), .. } if at == until));
    assert!(freed, "{soon:?}");
    let short = QueuedJob { estimates: BTreeMap::from([("cuda".to_owned(), Duration::from_secs(60))]), ..job(3, 0, 1) };
    let decision = place(now(), &[queue.to_vec(), vec![short]].concat(), &soon, &policy());
    assert_eq!(decision.placements.iter().map(|placement| placement.job.as_u128()).collect::<Vec<_>>(), [1]);
}
