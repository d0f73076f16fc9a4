//! Which rank or worker is at fault, and what follows: quarantine, another worker, the recorded cause.

use tandem_domain::state::RankOutcome;

use super::*;
use crate::{reap, release::release, report::rank_ended};

#[tokio::test]
async fn three_jobs_lost_on_a_worker_are_one_too_many_until_somebody_has_looked() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    let mut jobs = Vec::new();
    for seed in 1..=4 {
        let job = ids(&database.submit(&single(seed)).await)[0];
        jobs.push(job);
        database.schedule(&scheduler, &mut term).await;
        let Some(&holder) = database.lease_holders(job).first() else { break };
        rank_ended(&database.store, holder, RankOutcome::Lost, "the disk is full").await.unwrap();
        // Out of the way of the next.
        database
            .execute(&format!("UPDATE jobs SET not_before = now() + interval '1 h', priority = -9 WHERE id = '{job}'"));
    }
    let (state, reason) = database.job(jobs[3]).await;
    assert_eq!(
        (state.as_str(), reason.as_str()),
        ("queued", "needs 1 worker; the fleet has 1 quarantined (`tandem status` says why)")
    );
    let event = database.text("SELECT message FROM events WHERE kind = 'worker quarantined'");
    assert!(event.contains("3 different jobs") && event.contains("the disk is full"), "{event}");

    let (worker, was_quarantined) = release(&database.store, &person("root"), "cpu-0").await.unwrap();
    assert!(was_quarantined && worker.quarantined_until.is_none());
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(jobs[3]).await, "running");
    assert!(!release(&database.store, &person("root"), "cpu-0").await.unwrap().1);
    assert!(release(&database.store, &person("root"), "cpu-7").await.unwrap_err().to_string().contains("cpu-0"));
}

#[tokio::test]
async fn the_cause_is_that_of_the_rank_at_fault_however_late_it_is_heard_of() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE leases SET dispatched_at = now()");
    let holders = database.lease_holders(job);
    rank_ended(&database.store, holders[0], RankOutcome::PeerLost, "connection closed by peer").await.unwrap();
    assert_eq!(database.state(job).await, "queued", "nobody waits for the rank that is gone");
    rank_ended(&database.store, holders[1], RankOutcome::Lost, "ended by signal 9").await.unwrap();
    let cause = database.text("SELECT cause FROM attempts");
    assert_eq!(cause, "rank 1 on cpu-1: ended by signal 9");
}

#[tokio::test]
async fn a_rank_that_stands_still_is_given_up_by_the_other_clock() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    let term = database.value("SELECT term FROM leader");
    database.execute("UPDATE leases SET progress_at = now() - interval '70 s', slowest_ms = 9000");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0, "its passes take nine seconds");
    database.execute("UPDATE leases SET slowest_ms = 200 WHERE rank = 1");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 1);
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.contains("made no progress for 70 s (its slowest unit of work so far took 0.2 s)"), "{reason}");
}

#[tokio::test]
async fn a_device_is_leased_once_however_many_workers_hold_it() {
    let database = TestStore::open().await;
    database.workers(2).await;
    database.execute("UPDATE workers SET device_uuid = 'GPU-1', device_kind = 'cuda'");
    let (scheduler, mut term) = (database.scheduler(), None);
    let first = ids(&database.submit(&single(1)).await)[0];
    let second = ids(&database.submit(&single(2)).await)[0];
    for _ in 0..3 {
        database.schedule(&scheduler, &mut term).await;
    }
    assert_eq!(database.state(first).await, "running");
    assert_eq!(database.state(second).await, "queued");
    assert_eq!(database.count("leases WHERE released_at IS NULL"), 1);
}
