//! Reasons by example, invariants by random queues and fleets.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{images::Images, spec::Workers};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn job(number: u128, workers: (u32, u32), shards: u32) -> QueuedJob {
    QueuedJob {
        id: Uuid::from_u128(number),
        name: format!("job{number}"),
        owner: "ann".to_owned(),
        turn: 0,
        priority: 0,
        queued_at: now() + TimeDelta::seconds(number as i64),
        position: 0,
        workers: Workers { min: workers.0, max: workers.1 },
        shards,
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

fn worker(number: u128, kind: &str, host: &str, status: WorkerStatus) -> FleetWorker {
    let (name, device) = (format!("{kind}{number}"), format!("device{number}"));
    FleetWorker {
        id: Uuid::from_u128(number),
        name,
        device_kind: kind.to_owned(),
        host: host.to_owned(),
        device,
        offers: Offers::default(),
        status,
    }
}

fn idle(number: u128, kind: &str) -> FleetWorker {
    worker(number, kind, "box", WorkerStatus::Idle)
}

fn busy(number: u128, kind: &str, minutes: Option<i64>) -> FleetWorker {
    let until = minutes.map(|minutes| now() + TimeDelta::minutes(minutes));
    worker(number, kind, "box", WorkerStatus::Busy { job_name: "other".to_owned(), until })
}

/// So many minutes, on either kind of device.
fn estimated(minutes: u64) -> BTreeMap<String, std::time::Duration> {
    ["cpu", "cuda"].map(|kind| (kind.to_owned(), std::time::Duration::from_secs(60 * minutes))).into()
}

fn decide(queue: &[QueuedJob], fleet: &[FleetWorker]) -> Decision {
    place(now(), queue, fleet, &Policy::default())
}

fn reasons(decision: &Decision) -> Vec<&str> {
    decision.waiting.iter().map(|waiting| waiting.reason.as_str()).collect()
}

#[test]
fn the_largest_world_size_that_divides_the_shards_is_taken() {
    let fleet: Vec<_> = (1..=3).map(|number| idle(number, "cpu")).collect();
    let sizes = |workers, shards| decide(&[job(1, workers, shards)], &fleet).placements[0].workers.len();
    assert_eq!(sizes((1, 4), 4), 2, "3 are idle, but 3 does not divide 4");
    assert_eq!(sizes((1, 4), 3), 3);
    assert_eq!(sizes((1, 1), 4), 1);
}

#[test]
fn the_head_is_not_overtaken_on_its_own_kind_of_device() {
    let fleet = [idle(1, "cuda"), busy(2, "cuda", Some(20)), idle(3, "cpu")];
    let decision = decide(&[job(1, (2, 2), 2), job(2, (1, 1), 1)], &fleet);
    assert!(decision.placements.is_empty());
    assert_eq!(
        reasons(&decision),
        [
            "waits for 2 cuda workers: 1 idle, cuda2 busy with `other` until about 22:35 UTC",
            "waits behind `job1`, which is first in line for cuda workers",
        ]
    );
}

#[test]
fn a_job_that_the_fleet_cannot_hold_says_so_and_blocks_nobody() {
    let fleet = [idle(1, "cpu"), worker(2, "cpu", "box", WorkerStatus::Lost)];
    let decision = decide(&[job(1, (2, 2), 2), job(2, (1, 1), 1)], &fleet);
    assert_eq!(reasons(&decision), ["needs 2 workers of one kind; the fleet has 1 cpu, 1 lost"]);
    assert_eq!(decision.placements[0].job, Uuid::from_u128(2));
    assert_eq!(reasons(&decide(&[job(1, (1, 1), 1)], &[])), ["needs 1 worker; the fleet has no worker"]);
}

#[test]
fn a_job_in_backoff_keeps_its_place_and_not_the_workers() {
    let mut first = job(1, (1, 1), 1);
    first.not_before = Some(now() + TimeDelta::seconds(5));
    let queue = [first, job(2, (1, 1), 1)];
    let decision = decide(&queue, &[idle(1, "cpu")]);
    let reason = "is tried again at 22:13:25 UTC, after a lost attempt; others start meanwhile";
    assert_eq!(reasons(&decision), [reason]);
    assert_eq!(decision.placements[0].job, Uuid::from_u128(2));
    let later = place(now() + TimeDelta::seconds(5), &queue, &[idle(1, "cpu")], &Policy::default());
    assert_eq!(later.placements[0].job, Uuid::from_u128(1));
}

#[test]
fn a_gang_stays_on_one_host_where_it_can() {
    let on = |number, host| worker(number, "cuda", host, WorkerStatus::Idle);
    let fleet = [on(1, "a"), on(2, "b"), on(3, "b"), on(4, "c"), on(5, "c"), on(6, "c")];
    let gang = |size: u32, across_hosts| {
        let policy = Policy { across_hosts, ..Policy::default() };
        let decision = place(now(), &[job(1, (size, size), size)], &fleet, &policy);
        decision.placements.first().map(|placement| placement.workers.iter().map(Uuid::as_u128).collect::<Vec<_>>())
    };
    assert_eq!(gang(2, true), Some(vec![2, 3]), "the fullest host that holds it");
    assert_eq!(gang(4, true), Some(vec![4, 5, 6, 2]), "as few hosts as possible");
    assert_eq!(gang(4, false), None);
}

#[test]
fn a_job_that_is_lost_again_and_again_on_its_only_gpu_goes_to_another_kind_of_device() {
    let fleet = [idle(1, "cuda"), idle(2, "cpu")];
    let lost = QueuedJob { avoid: vec![Uuid::from_u128(1)], ..job(1, (1, 1), 1) };
    let chosen = |job: &QueuedJob, fleet: &[FleetWorker]| {
        let decision = decide(std::slice::from_ref(job), fleet);
        decision.placements.first().map(|placement| placement.workers[0].as_u128())
    };
    assert_eq!(chosen(&lost, &fleet), Some(1), "once is no pattern: a CPU is no GPU");
    let lost = QueuedJob { any_kind: true, ..lost };
    assert_eq!(chosen(&lost, &fleet), Some(2));
    assert_eq!(chosen(&lost, &[idle(1, "cuda"), busy(2, "cpu", None)]), Some(1), "there is no other");
    assert_eq!(chosen(&lost, &[idle(1, "cuda"), idle(3, "cuda"), idle(2, "cpu")]), Some(3), "another GPU is better");
    // Nobody who waits for that kind is passed.
    let first = QueuedJob { priority: 1, ..job(2, (2, 2), 2) };
    let cpus = [idle(1, "cuda"), idle(2, "cpu"), busy(3, "cpu", None)];
    let decision = decide(&[first, lost.clone()], &cpus);
    assert_eq!(decision.placements[0].workers, [Uuid::from_u128(1)]);
    // A card that is quarantined for what it is, is not there at all.
    let quarantined = worker(1, "cuda", "box", WorkerStatus::Quarantined);
    assert_eq!(chosen(&job(1, (1, 1), 1), &[quarantined, idle(2, "cpu")]), Some(2));
}

fn withheld(number: u128, kind: &str) -> FleetWorker {
    let why = "in use by ann: python (pid 4711, 3.2 GiB)".to_owned();
    worker(number, kind, "box", WorkerStatus::Withheld { why })
}

#[test]
fn a_device_in_use_is_waited_for_and_given_to_nobody() {
    let fleet = [withheld(1, "cuda"), idle(2, "cpu")];
    let decision = decide(&[job(1, (1, 1), 1)], &fleet);
    assert!(decision.placements.is_empty(), "a job for a GPU does not fall to a CPU because of a guest");
    let reason = "waits for 1 cuda worker: cuda1 is in use by ann: python (pid 4711, 3.2 GiB); 1 cpu worker is idle, and it does \
                  not fall to cpu: jobs go to cuda where the house has it";
    assert_eq!(reasons(&decision), [reason]);
    // Nobody knows when it will be free: who comes later and needs it waits, and who needs another kind does not.
    let fleet = [withheld(1, "cuda"), busy(2, "cuda", Some(20)), idle(3, "cuda")];
    let queue = [job(1, (3, 3), 3), QueuedJob { estimates: estimated(1), ..job(2, (1, 1), 1) }];
    let decision = decide(&queue, &fleet);
    let reasons = reasons(&decision);
    assert!(
        reasons[0].ends_with(
            "1 idle, cuda2 busy with `other` until about 22:35 UTC, cuda1 is in use by ann: python (pid 4711, 3.2 GiB)"
        ),
        "{reasons:?}"
    );
    assert!(decision.placements.is_empty() && reasons[1].contains("waits behind"), "{reasons:?}");
    assert_eq!(decide(&[job(1, (1, 1), 1)], &fleet).placements[0].workers, [Uuid::from_u128(3)]);
}

fn status() -> impl Strategy<Value = WorkerStatus> {
    prop_oneof![
        4 => Just(WorkerStatus::Idle),
        1 => Just(WorkerStatus::Busy { job_name: "other".to_owned(), until: None }),
        2 => (0i64..60).prop_map(|minutes| busy(1, "cpu", Some(minutes)).status),
        1 => Just(withheld(1, "cpu").status),
        1 => Just(WorkerStatus::Draining),
        1 => Just(WorkerStatus::Lost),
    ]
}

fn fleets() -> impl Strategy<Value = Vec<FleetWorker>> {
    let one = (prop_oneof![Just("cuda"), Just("cpu")], prop_oneof![Just("a"), Just("b"), Just("c")], status());
    prop::collection::vec(one, 0..9).prop_map(|workers| {
        workers.into_iter().zip(1..).map(|((kind, host, status), number)| worker(number, kind, host, status)).collect()
    })
}

fn queues() -> impl Strategy<Value = Vec<QueuedJob>> {
    let one = (1u32..5, 0u32..4, 1u32..9, prop::option::weighted(0.2, 1i64..10), prop::option::of(1u64..90));
    prop::collection::vec(one, 0..9).prop_map(|jobs| {
        type Drawn = (u32, u32, u32, Option<i64>, Option<u64>);
        let make = |((min, more, shards, wait, minutes), number): (Drawn, u128)| QueuedJob {
            not_before: wait.map(|seconds| now() + TimeDelta::seconds(seconds)),
            estimates: minutes.map(estimated).unwrap_or_default(),
            ..job(number, (min, min + more), shards)
        };
        jobs.into_iter().zip(1..).map(make).collect()
    })
}

proptest! {
    #[test]
    fn gangs_are_disjoint_idle_of_one_kind_and_of_a_right_size(
        queue in queues(), fleet in fleets(), across_hosts: bool,
    ) {
        let policy = Policy { across_hosts, ..Policy::default() };
        let decision = place(now(), &queue, &fleet, &policy);
        let jobs: HashMap<_, _> = queue.iter().map(|job| (job.id, job)).collect();
        let workers: HashMap<_, _> = fleet.iter().map(|worker| (worker.id, worker)).collect();
        let mut taken = HashSet::new();
        for Placement { job, workers: gang, .. } in &decision.placements {
            let job = jobs[job];
            let size = gang.len() as u32;
            prop_assert!((job.workers.min..=job.workers.max).contains(&size));
            prop_assert_eq!(job.shards % size, 0);
            prop_assert!(job.not_before.is_none());
            for id in gang {
                prop_assert!(taken.insert(*id), "a worker in two gangs");
                prop_assert_eq!(&workers[id].status, &WorkerStatus::Idle);
                prop_assert_eq!(&workers[id].device_kind, &workers[&gang[0]].device_kind);
                prop_assert!(across_hosts || workers[id].host == workers[&gang[0]].host);
            }
        }
        let mut decided: Vec<_> = decision.placements.iter().map(|placement| placement.job).collect();
        decided.extend(decision.waiting.iter().map(|waiting| waiting.job));
        decided.sort();
        prop_assert_eq!(decided, queue.iter().map(|job| job.id).collect::<Vec<_>>(), "each job once");
    }

    /// FIFO: what came later changes nothing for what came before, in whatever order both are given.
    #[test]
    fn later_jobs_change_nothing_for_earlier_ones(queue in queues(), fleet in fleets(), cut in 0usize..9) {
        let whole = decide(&queue, &fleet);
        let early = &queue[..cut.min(queue.len())];
        let alone = decide(early, &fleet);
        let ids: HashSet<_> = early.iter().map(|job| job.id).collect();
        let of_early: Vec<_> = whole.placements.iter().filter(|placement| ids.contains(&placement.job)).collect();
        prop_assert_eq!(of_early, alone.placements.iter().collect::<Vec<_>>());

        let (mut queue, mut fleet) = (queue, fleet);
        queue.reverse();
        fleet.reverse();
        prop_assert_eq!(decide(&queue, &fleet), whole);
    }

    /// No worker stands idle while the first job that it could serve wants no more than what is idle.
    #[test]
    fn the_head_waits_only_for_want_of_workers(queue in queues(), fleet in fleets()) {
        let decision = decide(&queue, &fleet);
        let devices = gang::one_per_device(&fleet, |_| false);
        let kinds = gang::Kinds::of(&devices, &Policy::default());
        let Some(head) = queue.iter().find(|job| job.not_before.is_none() && kinds.for_job(job).is_some()) else {
            prop_assert!(decision.placements.is_empty());
            return Ok(());
        };
        let kind = kinds.for_job(head).unwrap();
        let need = head.workers.world_sizes(head.shards).next().unwrap() as usize;
        let idle = fleet.iter().filter(|w| w.status == WorkerStatus::Idle && w.device_kind == kind).count();
        let placed = decision.placements.iter().any(|placement| placement.job == head.id);
        prop_assert_eq!(placed, idle >= need);
    }
}

fn cats(sha256: &str) -> Images {
    Images { dataset: "folder:cats".to_owned(), sha256: sha256.to_owned() }
}

fn sees(number: u128, images: &[Images]) -> FleetWorker {
    let images = std::sync::Arc::new(images.iter().cloned().collect());
    FleetWorker { offers: Offers { spec_version: 1, images }, ..idle(number, "cpu") }
}

#[test]
fn a_job_goes_only_where_its_images_are_seen_and_its_spec_can_be_read() {
    let needs = Needs { spec_version: 1, images: Some(cats("abcdefabcdef")) };
    let queue = [QueuedJob { needs: needs.clone(), ..job(1, (1, 1), 1) }, job(2, (1, 1), 1)];
    let fleet = [sees(1, &[cats("0123456789")]), sees(2, &[cats("abcdefabcdef")])];
    let placed = place(now(), &queue, &fleet, &Policy::default()).placements;
    let on = |job: u128| placed.iter().find(|it| it.job == Uuid::from_u128(job)).map(|it| it.workers.clone());
    assert_eq!(on(1), Some(vec![Uuid::from_u128(2)]));
    assert_eq!(on(2), Some(vec![Uuid::from_u128(1)]));

    // Nobody has them: it holds up nobody, and says what is not where.
    let nowhere = place(now(), &queue, &fleet[..1], &Policy::default());
    assert_eq!(nowhere.placements.len(), 1);
    assert_eq!(
        nowhere.waiting[0].reason,
        "`folder:cats` with the images of the submit (checksum abcdefab) is not on cpu1"
    );
    // Those of the same name that are not the same images do not count, nor does an older program.
    let newer = [QueuedJob { needs: Needs { spec_version: 2, images: None }, ..job(1, (1, 1), 1) }];
    let reason = &place(now(), &newer, &fleet, &Policy::default()).waiting[0].reason;
    assert_eq!(reason, "its spec (version 2) is too new for cpu1, cpu2: update that worker's program");
}

#[test]
fn an_unfit_worker_gets_nothing_and_the_reason_says_so() {
    let unfit = FleetWorker { status: WorkerStatus::Unfit, ..idle(1, "cpu") };
    let reason = &place(now(), &[job(1, (1, 1), 1)], &[unfit], &Policy::default()).waiting[0].reason;
    assert_eq!(reason, "needs 1 worker; the fleet has 1 unfit (`tandem status` says why)");
}
