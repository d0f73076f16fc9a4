//! Who may pass whom: by reservations and estimates, missing inputs, and devices.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{blame::MissingInput, spec::Workers};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn after(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

/// A job that takes so many minutes, if that is known.
fn job(number: u128, workers: u32, minutes: Option<u64>) -> QueuedJob {
    let estimate = minutes.map(|minutes| ("cpu".to_owned(), std::time::Duration::from_secs(60 * minutes)));
    QueuedJob {
        id: Uuid::from_u128(number),
        name: format!("job{number}"),
        owner: "ann".to_owned(),
        turn: 0,
        priority: 0,
        queued_at: now() + TimeDelta::seconds(number as i64),
        position: 0,
        workers: Workers { min: workers, max: workers },
        shards: workers,
        not_before: None,
        avoid: Vec::new(),
        any_kind: false,
        missing: Vec::new(),
        needs: Needs::default(),
        estimates: estimate.into_iter().collect(),
        assumed: BTreeMap::new(),
        time_left: None,
        made_room_at: None,
    }
}

fn on_host(number: u128, host: &str, status: WorkerStatus) -> FleetWorker {
    let (id, name, device) = (Uuid::from_u128(number), format!("cpu-{number}"), format!("device{number}"));
    FleetWorker {
        id,
        name,
        device_kind: "cpu".to_owned(),
        host: host.to_owned(),
        device,
        offers: Offers::default(),
        status,
    }
}

fn idle(number: u128) -> FleetWorker {
    on_host(number, "box", WorkerStatus::Idle)
}

fn busy(number: u128, until: Option<i64>) -> FleetWorker {
    on_host(number, "box", WorkerStatus::Busy { job_name: "other".to_owned(), until: until.map(after) })
}

fn placed(queue: &[QueuedJob], fleet: &[FleetWorker]) -> Vec<u128> {
    let decision = place(now(), queue, fleet, &Policy::default());
    decision.placements.iter().map(|placement| placement.job.as_u128()).collect()
}

#[test]
fn a_job_passes_only_if_it_ends_before_the_first_in_line_can_start() {
    let fleet = [idle(1), busy(2, Some(20))];
    let behind = |minutes| placed(&[job(1, 2, None), job(2, 1, minutes)], &fleet);
    assert_eq!(behind(Some(19)), [2]);
    assert_eq!(behind(Some(21)), [] as [u128; 0]);
    assert_eq!(behind(None), [] as [u128; 0], "nobody knows how long it takes");
    let unknown = [idle(1), busy(2, None)];
    assert_eq!(
        placed(&[job(1, 2, None), job(2, 1, Some(1))], &unknown),
        [] as [u128; 0],
        "nobody knows when it starts"
    );
    let overdue = [idle(1), busy(2, Some(-5))];
    assert_eq!(placed(&[job(1, 2, None), job(2, 1, Some(1))], &overdue), [] as [u128; 0], "it may start any moment");
}

#[test]
fn a_job_of_any_length_passes_on_workers_that_are_not_reserved() {
    // Both become free at once: with them the first in line is whole, and the idle one is not needed.
    let fleet = [idle(1), busy(2, Some(20)), busy(3, Some(20))];
    assert_eq!(placed(&[job(1, 2, None), job(2, 1, None)], &fleet), [2]);
    assert_eq!(placed(&[job(1, 3, None), job(2, 1, None)], &fleet), [] as [u128; 0]);
    // A gang on one host: another host is out of its reach.
    let status = |until| WorkerStatus::Busy { job_name: "other".to_owned(), until };
    let fleet = [on_host(1, "a", status(None)), on_host(2, "a", status(None)), on_host(3, "b", WorkerStatus::Idle)];
    let policy = Policy { across_hosts: false, ..Policy::default() };
    let decision = place(now(), &[job(1, 2, None), job(2, 1, None)], &fleet, &policy);
    assert_eq!(decision.placements[0].job, Uuid::from_u128(2));
}

#[test]
fn what_starts_now_counts_for_the_reservation_of_the_next() {
    // The first takes one of two for ten minutes: the second can be whole then, and the third ends before.
    let fleet = [idle(1), idle(2)];
    let queue = |minutes| [job(1, 1, Some(10)), job(2, 2, None), job(3, 1, Some(minutes))];
    assert_eq!(placed(&queue(9), &fleet), [1, 3]);
    assert_eq!(placed(&queue(11), &fleet), [1]);
}

#[test]
fn a_device_is_counted_once_however_many_workers_hold_it() {
    let on_device = |number, status| FleetWorker { device: "GPU-1".to_owned(), ..on_host(number, "box", status) };
    let two = [on_device(1, WorkerStatus::Idle), on_device(2, WorkerStatus::Idle)];
    let decision = place(now(), &[job(1, 2, None), job(2, 1, None), job(3, 1, None)], &two, &Policy::default());
    let reasons: Vec<_> = decision.waiting.iter().map(|waiting| waiting.reason.as_str()).collect();
    assert_eq!(
        reasons[0],
        "needs 2 workers of one kind; the fleet has 1 cpu, 1 more on a device that another worker holds"
    );
    assert_eq!(decision.placements.len(), 1, "the large one blocks nobody, and one of the small ones has the device");
    let sick = [on_device(1, WorkerStatus::Quarantined), on_device(2, WorkerStatus::Idle)];
    assert_eq!(placed(&[job(1, 1, None)], &sick), [1]);
}

#[test]
fn a_job_whose_input_is_missing_avoids_the_worker_and_holds_none() {
    let missing = |worker: u128| MissingInput {
        worker: Uuid::from_u128(worker),
        worker_name: format!("cpu-{worker}"),
        cause: "cannot read a.png".to_owned(),
        until: after(1),
    };
    let broken = |on: &[u128]| QueuedJob { missing: on.iter().map(|&on| missing(on)).collect(), ..job(1, 1, None) };
    let fleet = [idle(1), idle(2)];
    let decision = place(now(), &[broken(&[1]), job(2, 1, None)], &fleet, &Policy::default());
    assert_eq!(decision.placements[0].workers, [Uuid::from_u128(2)]);
    let decision = place(now(), &[broken(&[1, 2]), job(2, 2, None)], &fleet, &Policy::default());
    assert_eq!(decision.placements[0].job, Uuid::from_u128(2), "nobody waits behind it");
    assert_eq!(
        decision.waiting[0].reason,
        "its files cannot be read on cpu-1, cpu-2: cannot read a.png; no others are there, and it is tried again at \
         22:14:20 UTC"
    );
    assert_eq!(place(after(1), &[broken(&[1, 2])], &fleet, &Policy::default()).placements.len(), 1);
}

#[test]
fn another_host_is_tried_before_another_worker_of_the_same() {
    let host = |number, host| on_host(number, host, WorkerStatus::Idle);
    let fleet = [host(1, "a"), host(2, "a"), host(3, "a"), host(4, "b")];
    let avoids = |workers| QueuedJob { avoid: vec![Uuid::from_u128(1)], ..job(1, workers, None) };
    let gang = |job| place(now(), &[job], &fleet, &Policy::default()).placements.remove(0).workers;
    assert_eq!(gang(avoids(1)), [Uuid::from_u128(4)]);
    assert_eq!(gang(avoids(2)), [2, 3].map(Uuid::from_u128), "but no gang is smaller for that");
}

#[test]
fn jobs_that_were_queued_together_go_by_their_place_in_the_file() {
    let at = |number, position| QueuedJob { position, queued_at: now(), ..job(number, 1, None) };
    assert_eq!(placed(&[at(1, 3), at(2, 1), at(3, 2)], &[idle(1), idle(2)]), [2, 3]);
}

/// A fleet of one kind and one host; minutes until each is free, 0 for idle.
fn fleets() -> impl Strategy<Value = Vec<FleetWorker>> {
    prop::collection::vec(prop_oneof![2 => Just(0i64), 3 => 1i64..40], 1..8).prop_map(|minutes| {
        let worker =
            |(number, minutes): (u128, i64)| if minutes == 0 { idle(number) } else { busy(number, Some(minutes)) };
        (1..).zip(minutes).map(worker).collect()
    })
}

proptest! {
    /// Whoever passes, the first in line starts no later than it would if nobody did and all estimates were right.
    #[test]
    fn who_passes_delays_the_first_in_line_by_nothing(
        fleet in fleets(),
        jobs in prop::collection::vec((1u32..5, prop::option::of(1u64..50)), 1..8),
    ) {
        let queue: Vec<_> = (1..).zip(jobs).map(|(number, (workers, minutes))| job(number, workers, minutes)).collect();
        let decision = place(now(), &queue, &fleet, &Policy::default());
        let is_placed = |job: &QueuedJob| decision.placements.iter().any(|placement| placement.job == job.id);
        let fits = |job: &&QueuedJob| job.workers.min as usize <= fleet.len();
        let Some(head) = queue.iter().filter(fits).find(|job| !is_placed(job)) else { return Ok(()) };
        let passes: BTreeSet<Uuid> = queue.iter().filter(|job| job.id > head.id).map(|job| job.id).collect();
        // When each worker is free, with or without those who passed; never, where that is not known.
        let starts = |count_passing: bool| {
            let mut free: BTreeMap<Uuid, Option<DateTime<Utc>>> = BTreeMap::new();
            for worker in &fleet {
                let at = match worker.status { WorkerStatus::Busy { until, .. } => until, _ => Some(now()) };
                free.insert(worker.id, at);
            }
            for placement in &decision.placements {
                if count_passing || !passes.contains(&placement.job) {
                    let of = queue.iter().find(|job| job.id == placement.job).unwrap();
                    let end = of.estimates.get("cpu").map(|length| now() + TimeDelta::from_std(*length).unwrap());
                    placement.workers.iter().for_each(|worker| { free.insert(*worker, end); });
                }
            }
            let mut known: Vec<_> = free.into_values().flatten().collect();
            known.sort();
            known.get(head.workers.min as usize - 1).copied()
        };
        prop_assert_eq!(starts(true), starts(false));
    }
}
