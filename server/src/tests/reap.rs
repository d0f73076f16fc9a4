use super::*;
use crate::{
    reap,
    store::{leader, leases},
};

async fn running(database: &Database) -> (Uuid, i64) {
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let term = database.psql("SELECT term FROM leader").parse().unwrap();
    (job, term)
}

#[tokio::test]
async fn a_lease_that_ran_out_ends_the_attempt_and_the_job_waits_again() {
    let database = Database::new().await;
    let (job, term) = running(&database).await;
    let queued_at = format!("SELECT queued_at FROM jobs WHERE id = '{job}'");
    let place = database.psql(&queued_at);
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0, "live leases are left alone");

    database.psql("UPDATE leases SET expires_at = now() - interval '1 ms' WHERE rank = 1");
    database.psql("UPDATE leases SET dispatched_at = now()");
    database.psql("UPDATE workers SET last_seen = now() - interval '9 s' WHERE name = 'cpu-1'");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 1);
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.starts_with("rank 1 on cpu-1: its worker was not heard of for 9.0 s; attempt lost"), "{reason}");
    assert_eq!(database.psql("SELECT state FROM attempts"), "lost");
    assert_eq!(database.psql(&queued_at), place, "it keeps its place");
    // The other rank is alive and is told to stop; its worker is not free yet.
    assert_eq!(database.psql("SELECT rank FROM leases WHERE released_at IS NULL"), "0");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0, "once");
}

#[tokio::test]
async fn the_sixth_loss_is_the_last() {
    let database = Database::new().await;
    let (job, _) = running(&database).await;
    for loss in 1..=6 {
        database.psql("UPDATE leases SET expires_at = now() - interval '1 s' WHERE released_at IS NULL");
        let term = database.psql("SELECT term FROM leader").parse().unwrap();
        reap::leases(&database.store, term).await.unwrap();
        assert_eq!(database.state(job).await, if loss < 6 { "queued" } else { "failed" }, "after loss {loss}");
        // The wait is over, and another coordinator takes over meanwhile.
        database.psql("UPDATE jobs SET not_before = NULL; UPDATE leader SET expires_at = now()");
        database.psql("UPDATE workers SET last_seen = now()");
        database.schedule(&database.scheduler(), &mut None).await;
    }
    let (_, reason) = database.job(job).await;
    assert!(reason.contains("given up after 6 lost attempts"), "{reason}");
    assert_eq!(database.psql("SELECT count(*) FROM jobs WHERE state = 'cancelled'"), "2", "and its dependants");
}

#[tokio::test]
async fn a_frozen_leader_that_wakes_up_reaps_nothing() {
    let database = Database::new().await;
    let (job, term) = running(&database).await;
    database.psql("UPDATE leases SET expires_at = now() - interval '1 s'");
    database.psql("UPDATE workers SET last_seen = now() - interval '1 hour'");
    database.psql("UPDATE leader SET expires_at = now() - interval '1 s'");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0);
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(database.state(job).await, "running");
    assert_eq!(database.psql("SELECT count(*) FROM workers WHERE state = 'ready'"), "2");
}

#[tokio::test]
async fn who_takes_over_adopts_what_runs() {
    let database = Database::new().await;
    let (job, _) = running(&database).await;
    // Nobody was there for a minute.
    database.psql("UPDATE leases SET expires_at = now() - interval '1 min'; UPDATE leader SET expires_at = now()");
    database.psql("UPDATE workers SET last_seen = now() - interval '1 min'");
    let (scheduler, mut term) = (database.scheduler(), None);
    for _ in 0..2 {
        database.schedule(&scheduler, &mut term).await;
    }
    assert_eq!(database.state(job).await, "running");
    assert_eq!(database.psql("SELECT count(*) FROM leases WHERE expires_at > now()"), "2");
    assert_eq!(database.psql("SELECT count(*) FROM workers WHERE state = 'lost'"), "0");
}

#[tokio::test]
async fn a_lease_is_renewed_while_its_rank_is_vouched_for() {
    let database = Database::new().await;
    let (job, _) = running(&database).await;
    let who = database.speakers(job);
    let held: Vec<_> = who
        .iter()
        .map(|who| leases::ReportedRank {
            worker: who.worker,
            attempt: who.attempt,
            fence: who.fence,
            rank: who.rank,
            idle: std::time::Duration::ZERO,
            slowest: None,
        })
        .collect();
    let heard: Vec<_> = who.iter().map(|who| (who.worker, 0.5)).collect();
    let seconds_left = || {
        let left = database.psql("SELECT round(extract(epoch FROM expires_at - now()), 1) FROM leases ORDER BY rank");
        left.lines().map(|line| line.parse().unwrap()).collect::<Vec<f64>>()
    };
    database.psql("UPDATE leases SET expires_at = now(), last_sequence = 5");
    let mut conn = database.store.conn().await.unwrap();
    leases::renew(&mut conn, &held[..1], &heard).await.unwrap();
    let left = seconds_left();
    // It counts from the heartbeat, half a second ago.
    assert!((7.5..=8.5).contains(&left[0]), "{left:?}");
    assert!(left[1] <= 0.0, "a rank that nobody runs: {left:?}");

    // Before its first word, a rank may still be starting.
    database.psql("UPDATE leases SET last_sequence = 0");
    leases::renew(&mut conn, &[], &heard).await.unwrap();
    assert!(seconds_left().iter().all(|left| *left > 7.0));
    // But not for ever.
    database.psql("UPDATE leases SET expires_at = now(); UPDATE attempts SET assigned_at = now() - interval '10 min'");
    leases::renew(&mut conn, &[], &heard).await.unwrap();
    assert!(seconds_left().iter().all(|left| *left <= 0.0));
    // Nor under another fence.
    let stale: Vec<_> =
        held.iter().map(|held| leases::ReportedRank { fence: held.fence - 1, ..held.clone() }).collect();
    leases::renew(&mut conn, &stale, &heard).await.unwrap();
    assert!(seconds_left().iter().all(|left| *left <= 0.0));
}

#[tokio::test]
async fn silent_workers_are_lost_and_then_forgotten() {
    let database = Database::new().await;
    database.workers(2).await;
    let mut conn = database.store.conn().await.unwrap();
    let term = leader::hold(&mut conn, Uuid::new_v4(), "test").await.unwrap().unwrap();
    database.psql("UPDATE workers SET last_seen = now() - interval '10 s' WHERE name = 'cpu-1'");
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(database.psql("SELECT name, state FROM workers ORDER BY name"), "cpu-0|ready\ncpu-1|lost");
    let event = database.psql("SELECT kind, message FROM events");
    assert_eq!(event, "worker lost|cpu-1 was not heard of for 10 s");
    database.psql("UPDATE workers SET last_seen = now() - interval '2 hours' WHERE name = 'cpu-1'");
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(database.psql("SELECT state FROM workers WHERE name = 'cpu-1'"), "gone");
}
