//! What follows when nobody knows whose fault a loss was, and when an input is missing.

use tandem_domain::state::RankOutcome;

use super::*;
use crate::{release::release, report::rank_ended};

/// Ends the one rank of a job as its worker reports it; returns the worker's name.
async fn end(database: &TestStore, job: Uuid, outcome: RankOutcome, cause: &str) -> String {
    let holder = database.lease_holders(job)[0];
    rank_ended(&database.store, holder, outcome, cause).await.unwrap();
    database.execute(&format!("UPDATE jobs SET not_before = NULL WHERE id = '{job}'"));
    database.text(&format!("SELECT name FROM workers WHERE id = '{}'", holder.worker))
}

#[tokio::test]
async fn a_crash_is_tried_elsewhere_and_workers_of_two_hosts_that_say_the_same_blame_the_job() {
    let database = TestStore::open().await;
    database.workers(3).await;
    database.execute("UPDATE workers SET host = CASE name WHEN 'cpu-2' THEN 'other' ELSE 'box' END");
    let job = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let first = end(&database, job, RankOutcome::Unknown, "libtorch: bad shape at step 3").await;
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.ends_with("retry 1 of 5, at once, on another worker if there is one"), "{reason}");

    database.schedule(&scheduler, &mut term).await;
    let second = end(&database, job, RankOutcome::Unknown, "libtorch: bad shape at step 4").await;
    assert_ne!(first == "cpu-2", second == "cpu-2", "the other host is tried: {first}, {second}");
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "failed");
    assert!(reason.contains("workers on two hosts say the same") && reason.contains("cpu-2 on other"), "{reason}");
    assert_eq!(database.count("workers WHERE quarantined_until IS NOT NULL"), 0);
}

#[tokio::test]
async fn a_worker_is_quarantined_for_crashes_once_the_jobs_went_well_elsewhere() {
    let database = TestStore::open().await;
    let sick = database.workers(2).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    for seed in 1..=3 {
        assert_eq!(database.count("workers WHERE quarantined_until IS NOT NULL"), 0, "before job {seed}");
        let job = ids(&database.submit(&single(seed)).await)[0];
        database.schedule(&scheduler, &mut term).await;
        let holder = database.lease_holders(job)[0];
        assert_eq!(holder.worker, sick);
        end(&database, job, RankOutcome::Unknown, "CUDA error: ECC").await;
        database.schedule(&scheduler, &mut term).await;
        assert_eq!(end(&database, job, RankOutcome::Succeeded, "").await, "cpu-1");
        assert_eq!(database.state(job).await, "succeeded");
    }
    let quarantined: Vec<String> = database.values("SELECT name FROM workers WHERE quarantined_until IS NOT NULL");
    assert_eq!(quarantined, ["cpu-0"]);
}

#[tokio::test]
async fn jobs_that_are_lost_everywhere_quarantine_nobody() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    for seed in 1..=4 {
        let job = ids(&database.submit(&single(seed)).await)[0];
        for _ in 0..2 {
            database.schedule(&scheduler, &mut term).await;
            end(&database, job, RankOutcome::Lost, "cannot create folder: Read-only file system").await;
        }
        // Out of the way of the next.
        database.execute(&format!("UPDATE jobs SET not_before = now() + interval '1 h' WHERE id = '{job}'"));
    }
    assert_eq!(database.count("leases WHERE outcome = 'lost'"), 8);
    assert_eq!(database.count("workers WHERE quarantined_until IS NOT NULL"), 0);
}

#[tokio::test]
async fn losses_before_a_release_do_not_count() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    let lose = async |seed, term: &mut Option<LeadershipTerm>| {
        let job = ids(&database.submit(&single(seed)).await)[0];
        database.schedule(&scheduler, term).await;
        end(&database, job, RankOutcome::Lost, "the disk is full").await;
        database.execute(&format!("UPDATE jobs SET priority = {seed} - 99 WHERE id = '{job}'"));
        database.count("workers WHERE quarantined_until IS NOT NULL")
    };
    assert_eq!((lose(1, &mut term).await, lose(2, &mut term).await, lose(3, &mut term).await), (0, 0, 1));
    assert!(release(&database.store, &person("root"), "cpu-0").await.unwrap().1);
    assert_eq!(lose(4, &mut term).await, 0, "the first since somebody has looked");
}

#[tokio::test]
async fn a_missing_input_uses_up_no_retry_and_is_given_up_only_after_a_while() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    for attempt in 1..=8 {
        database.execute("UPDATE leases SET released_at = released_at - interval '20 min'");
        database.schedule(&scheduler, &mut term).await;
        end(&database, job, RankOutcome::InputMissing, "cannot read a.png: No such file").await;
        let (state, reason) = database.job(job).await;
        let said = "its files cannot be read on cpu-0: cannot read a.png: No such file";
        assert!(reason.contains(said), "attempt {attempt}: {reason}");
        if attempt <= 3 {
            assert_eq!(state, "queued", "attempt {attempt}: {reason}");
            assert!(reason.contains("no other worker is there, and it is tried again after"), "{reason}");
        } else {
            assert_eq!(state, "failed", "{reason}");
            assert!(reason.ends_with("given up after 4 attempts in 60 min"), "{reason}");
            return;
        }
    }
}

#[tokio::test]
async fn the_reason_names_the_rank_at_fault_even_if_its_peers_were_reported_first() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE leases SET dispatched_at = now()");
    let holders = database.lease_holders(job);
    rank_ended(&database.store, holders[1], RankOutcome::PeerLost, "connection closed by peer").await.unwrap();
    assert!(database.job(job).await.1.contains("connection closed by peer; "));
    rank_ended(&database.store, holders[0], RankOutcome::Unknown, "ended by signal 11").await.unwrap();
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.starts_with("rank 0 on cpu-0: ended by signal 11; ") && !reason.contains("closed"), "{reason}");
}
