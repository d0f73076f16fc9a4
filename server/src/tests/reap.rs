use super::*;
use crate::{reap, store::leader};

async fn running(database: &TestStore) -> (Uuid, i64) {
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let term = database.value("SELECT term FROM leader");
    (job, term)
}

#[tokio::test]
async fn a_lease_that_ran_out_ends_the_attempt_and_the_job_waits_again() {
    let database = TestStore::open().await;
    let (job, term) = running(&database).await;
    let queued_at = format!("SELECT queued_at::text FROM jobs WHERE id = '{job}'");
    let place = database.text(&queued_at);
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0, "live leases are left alone");

    database.execute("UPDATE leases SET expires_at = now() - interval '1 ms' WHERE rank = 1");
    database.execute("UPDATE leases SET dispatched_at = now()");
    database.execute("UPDATE workers SET last_seen = now() - interval '9 s' WHERE name = 'cpu-1'");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 1);
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.starts_with("rank 1 on cpu-1: its worker sent no heartbeat for "), "{reason}");
    let silence: f64 = reason.split(' ').find_map(|word| word.parse().ok().filter(|seconds| *seconds >= 2.0)).unwrap();
    // Nine seconds, and what this test itself took on a busy machine.
    assert!((9.0..60.0).contains(&silence) && reason.contains(" s; attempt lost"), "{reason}");
    assert_eq!(database.text("SELECT state::text FROM attempts"), "lost");
    assert_eq!(database.text(&queued_at), place, "it keeps its place");
    // The other rank is alive and will be sent a stop; its worker is not free yet.
    assert_eq!(database.values::<i32>("SELECT rank FROM leases WHERE released_at IS NULL"), [0]);
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0, "once");
}

#[tokio::test]
async fn the_sixth_loss_is_the_last() {
    let database = TestStore::open().await;
    let (job, _) = running(&database).await;
    for loss in 1..=6 {
        database.execute("UPDATE leases SET expires_at = now() - interval '1 s' WHERE released_at IS NULL");
        let term = database.value("SELECT term FROM leader");
        reap::leases(&database.store, term).await.unwrap();
        assert_eq!(database.state(job).await, if loss < 6 { "queued" } else { "failed" }, "after loss {loss}");
        // The back-off has passed, and another coordinator takes over.
        database.execute("UPDATE jobs SET not_before = NULL; UPDATE leader SET expires_at = now()");
        database.execute("UPDATE workers SET last_seen = now()");
        database.schedule(&database.scheduler(), &mut None).await;
    }
    let (_, reason) = database.job(job).await;
    assert!(reason.contains("given up after 6 lost attempts"), "{reason}");
    assert_eq!(database.count("jobs WHERE state = 'cancelled'"), 2, "and its dependants");
}

#[tokio::test]
async fn a_frozen_leader_that_wakes_up_reaps_nothing() {
    let database = TestStore::open().await;
    let (job, term) = running(&database).await;
    database.execute("UPDATE leases SET expires_at = now() - interval '1 s'");
    database.execute("UPDATE workers SET last_seen = now() - interval '1 hour'");
    database.execute("UPDATE leader SET expires_at = now() - interval '1 s'");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0);
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(database.state(job).await, "running");
    assert_eq!(database.count("workers WHERE state = 'ready'"), 2);
}

#[tokio::test]
async fn a_new_leader_adopts_what_runs() {
    let database = TestStore::open().await;
    let (job, _) = running(&database).await;
    // No coordinator ran for a minute.
    database.execute("UPDATE leases SET expires_at = now() - interval '1 min'; UPDATE leader SET expires_at = now()");
    database.execute("UPDATE workers SET last_seen = now() - interval '1 min'");
    let (scheduler, mut term) = (database.scheduler(), None);
    for _ in 0..2 {
        database.schedule(&scheduler, &mut term).await;
    }
    assert_eq!(database.state(job).await, "running");
    assert_eq!(database.count("leases WHERE expires_at > now()"), 2);
    assert_eq!(database.count("workers WHERE state = 'lost'"), 0);
}

#[tokio::test]
async fn silent_workers_are_lost_and_then_forgotten() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let mut conn = database.store.conn().await.unwrap();
    let term = leader::hold(&mut conn, Uuid::new_v4(), "test").await.unwrap().unwrap();
    database.execute("UPDATE workers SET last_seen = now() - interval '10 s' WHERE name = 'cpu-1'");
    reap::workers(&database.store, term).await.unwrap();
    let states = database.values::<String>("SELECT name || ' ' || state::text FROM workers ORDER BY name");
    assert_eq!(states, ["cpu-0 ready", "cpu-1 lost"]);
    let events = database.values::<String>("SELECT kind || ': ' || message FROM events");
    assert_eq!(events, ["worker lost: cpu-1 sent no heartbeat for 10 s"]);
    database.execute("UPDATE workers SET last_seen = now() - interval '2 hours' WHERE name = 'cpu-1'");
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(database.text("SELECT state::text FROM workers WHERE name = 'cpu-1'"), "gone");
}
