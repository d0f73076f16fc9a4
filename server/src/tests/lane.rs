//! A database that is slow or stalls: what keeps ranks alive goes on, and nothing is done twice.

use std::time::Duration;

use futures::future::join_all;
use tandem_domain::place::Placement;
use tandem_harness::{until, until_async};
use tokio::time::timeout;

use super::*;
use crate::{
    error::Error,
    reap,
    schedule::claim,
    store::{attempts, files, leader, retry, within, worker_leases},
};

const LIMIT: Duration = Duration::from_secs(30);

/// Statements of other connections to this database that are under way.
fn active(database: &TestStore) -> i64 {
    database.count(
        "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_sleep%'
             AND state = 'active'",
    )
}

async fn sleep_in_database(database: &TestStore) {
    let mut conn = database.store.reader().await.unwrap();
    let _: String = sqlx::query_scalar("SELECT pg_sleep(9)::text").fetch_one(&mut *conn).await.unwrap();
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_is_cancelled_and_its_connection_serves_others() {
    let database = TestStore::open().await;
    let calls = || join_all((0..10).map(|_| sleep_in_database(&database)));
    for _ in 0..2 {
        let under_way =
            until_async("all connections are taken", LIMIT, async || (active(&database) == 10).then_some(()));
        tokio::select! {
            _ = calls() => panic!("they end only when they are cancelled"),
            () = under_way => {}
        }
        until_async("nothing is under way", LIMIT, async || (active(&database) == 0).then_some(())).await;
    }
    // A transaction is rolled back, too.
    let mut tx = database.store.begin().await.unwrap();
    let lock = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM (SELECT pg_sleep(9) FROM leader FOR UPDATE) AS slow");
    database.execute("INSERT INTO leader (holder, name, term, expires_at) VALUES (gen_random_uuid(), '', 1, now())");
    assert!(timeout(Duration::from_millis(100), lock.fetch_one(&mut *tx)).await.is_err());
    drop(tx);
    until_async("the row is free", LIMIT, async || {
        let free = database.values::<i64>("SELECT term FROM leader FOR UPDATE SKIP LOCKED");
        (!free.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn readers_that_take_every_connection_hold_up_no_scheduling() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let schedule = async {
        until_async("all readers are busy", LIMIT, async || (active(&database) == 10).then_some(())).await;
        database.scheduler().pass(&mut None, true).await.unwrap();
        let lane = database.store.lane.conn().await;
        assert!(lane.is_ok() && database.store.reports.conn().await.is_ok());
    };
    tokio::select! {
        _ = join_all((0..10).map(|_| sleep_in_database(&database))) => panic!("scheduling waited for readers"),
        () = schedule => {}
    }
    let state = database.text(&format!("SELECT state::text FROM jobs WHERE id = '{job}'"));
    assert_eq!(state, "running");
}

#[tokio::test]
async fn a_claim_whose_commit_was_not_answered_is_found_again_and_not_made_twice() {
    let database = TestStore::open().await;
    let name = database.text("SELECT current_database()::text");
    // Commits of this database wait for a standby, once one is named; those of other tests do not.
    database.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = on"));
    let workers = database.workers(1).await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let term = {
        let mut conn = database.store.conn().await.unwrap();
        leader::hold(&mut conn, Uuid::new_v4(), "test").await.unwrap().unwrap()
    };
    stall(&database);
    let placement = Placement { job, workers: workers.clone(), passed: None };
    let try_claim = || within(Duration::from_secs(1), retry(|| claim(&database.store, term, &placement, None)));
    let unanswered = try_claim().await.unwrap_err();
    assert!(matches!(unanswered, Error::DatabaseSlow(_)) && unanswered.is_absence(), "{unanswered}");
    until_async("the same is refused", LIMIT, async || match try_claim().await {
        Ok(false) => Some(()),
        Ok(true) => panic!("claimed twice"),
        Err(_) => None,
    })
    .await;
    resume(&database);

    assert_eq!(
        database.rows::<(String, i32)>("SELECT state::text, number FROM attempts"),
        [("assigned".to_owned(), 1)]
    );
    let mut conn = database.store.conn().await.unwrap();
    let found = worker_leases::of_workers(&mut conn, &workers).await.unwrap();
    assert_eq!(found.leases.iter().map(|lease| (lease.job, lease.is_dispatched)).collect::<Vec<_>>(), [(job, false)]);
    drop(conn);
    database.scheduler().pass(&mut None, true).await.unwrap();
    assert_eq!(database.count("attempts"), 1);
}

/// Every commit waits, as if a synchronous standby were gone.
fn stall(database: &TestStore) {
    database.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    reload(database, "nobody");
}

fn resume(database: &TestStore) {
    database.execute("ALTER SYSTEM RESET synchronous_standby_names");
    reload(database, "");
}

fn reload(database: &TestStore, value: &str) {
    database.execute("SELECT pg_reload_conf()");
    until("the setting holds", LIMIT, || {
        (database.text("SELECT current_setting('synchronous_standby_names')") == value).then_some(())
    });
}

async fn running(database: &TestStore, toml: &str) -> (Uuid, Vec<LeaseHolder>) {
    let job = ids(&database.submit(toml).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE leader SET expires_at = now()");
    (job, database.lease_holders(job))
}

async fn lead(database: &TestStore) -> i64 {
    let mut conn = database.store.conn().await.unwrap();
    leader::hold(&mut conn, Uuid::new_v4(), "test").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_lease_that_somebody_speaks_for_is_not_taken() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let (job, _) = running(&database, &experiment(1)).await;
    let term = lead(&database).await;
    database.execute("UPDATE leases SET expires_at = now() - interval '1 s'");
    let mut speaking = database.store.conn().await.unwrap();
    // One rank's report is being stored: its lease is locked.
    let lock = "BEGIN; SELECT FROM leases WHERE rank = 1 FOR NO KEY UPDATE";
    sqlx::Executor::execute(&mut *speaking, sqlx::raw_sql(lock)).await.unwrap();
    let ended = timeout(Duration::from_secs(5), reap::leases(&database.store, term)).await;
    assert_eq!(ended.expect("the reaper waits for a lock").unwrap(), 0);
    assert_eq!(database.state(job).await, "running");
    sqlx::Executor::execute(&mut *speaking, sqlx::raw_sql("ROLLBACK")).await.unwrap();
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 2);
}

#[tokio::test]
async fn what_only_a_newer_version_can_read_stops_nobody_else() {
    let database = TestStore::open().await;
    let workers = database.workers(3).await;
    let (strange, holders) = running(&database, &experiment(1)).await;
    let (plain, _) = running(&database, &single(2)).await;
    database.execute("ALTER TYPE rank_outcome ADD VALUE 'from_the_future'");
    database.execute("ALTER TYPE attempt_state ADD VALUE 'dreaming'");
    let ended = "released_at = now(), outcome = 'from_the_future'";
    let attempt = holders[0].attempt;
    database.execute(&format!("UPDATE leases SET {ended} WHERE attempt_id = '{attempt}' AND rank = 0"));
    database.execute("UPDATE leases SET expires_at = now() - interval '1 s'");
    let term = lead(&database).await;
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 1);
    assert_eq!(
        (database.state(strange).await, database.state(plain).await),
        ("running".to_owned(), "queued".to_owned())
    );

    database.execute(&format!("UPDATE attempts SET state = 'dreaming' WHERE id = '{attempt}'"));
    let mut conn = database.store.conn().await.unwrap();
    let found = worker_leases::of_workers(&mut conn, &workers).await.unwrap();
    assert!(found.leases.is_empty() && found.unreadable.iter().eq([&attempt]), "{found:?}");
}

#[tokio::test]
async fn submits_of_the_same_content_at_a_higher_priority_wait_for_each_other() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    let again = |priority| Submission { priority: Some(priority), ..submission(&experiment(1)) };
    let submissions: Vec<Submission> = (1..=8).map(again).collect();
    let submitted = join_all(submissions.iter().map(|submission| submit(&database.store, submission))).await;
    assert!(submitted.into_iter().all(|submitted| submitted.unwrap().jobs.iter().all(|job| job.reused.is_some())));
    assert_eq!(database.value::<i32>(&format!("SELECT priority FROM jobs WHERE id = '{job}'")), 8);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.value::<i64>(deadlocks), 0);
}

#[tokio::test]
async fn a_key_too_long_for_an_index_is_refused() {
    let database = TestStore::open().await;
    let long = Submission { idempotency_key: "k".repeat(9000), ..submission(&single(1)) };
    let refused = submit(&database.store, &long).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)) && refused.to_string().contains("has 9000 bytes"), "{refused}");
}

#[tokio::test]
async fn only_the_newest_stream_of_a_worker_drains_it() {
    let database = TestStore::open().await;
    let (id, before, now) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let mut conn = database.store.conn().await.unwrap();
    for session in [before, now] {
        workers::register(&mut conn, &registration(id, 0), session).await.unwrap();
    }
    assert!(!workers::drain(&mut conn, id, before).await.unwrap());
    assert_eq!(database.text("SELECT state::text FROM workers"), "ready");
    assert!(workers::drain(&mut conn, id, now).await.unwrap());
}

#[tokio::test]
async fn whether_a_stop_was_answered_does_not_depend_on_the_clock_of_a_worker() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (job, holders) = running(&database, &single(1)).await;
    let mut conn = database.store.conn().await.unwrap();
    let put = async |conn: &mut crate::store::Conn, step, minutes| {
        let (path, sha256, at) =
            (String::new(), String::new(), chrono::Utc::now() + chrono::TimeDelta::minutes(minutes));
        let checkpoint = files::Checkpoint { step, path, sha256, state_sha256: String::new(), bytes: 1, at };
        files::put_checkpoint(conn, job, holders[0].fence, &checkpoint).await.unwrap();
    };
    put(&mut conn, 1, 60).await;
    database.execute("UPDATE attempts SET stop_asked_at = clock_timestamp(), stop_reason = 'room'");
    let is_saved = async |conn: &mut crate::store::Conn| {
        attempts::lock(conn, holders[0].attempt).await.unwrap().unwrap().stop.unwrap().is_saved
    };
    assert!(!is_saved(&mut conn).await, "written before the request, by a clock that is ahead");
    put(&mut conn, 2, -60).await;
    assert!(is_saved(&mut conn).await, "written after it, by a clock that is behind");
}

#[tokio::test]
async fn a_queue_that_is_read_too_slowly_keeps_no_dead_worker_alive() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let (job, _) = running(&database, &experiment(1)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    scheduler.pass(&mut term, true).await.unwrap();
    // The queue is read with the names of experiments; leases are not.
    let mut blocker = database.store.conn().await.unwrap();
    sqlx::Executor::execute(&mut *blocker, sqlx::raw_sql("BEGIN; LOCK TABLE experiments")).await.unwrap();
    database.execute("UPDATE leases SET dispatched_at = now(), expires_at = now() - interval '1 s'");
    let ended = async || {
        let slow = scheduler.pass(&mut term, true).await.unwrap_err();
        assert!(matches!(slow, Error::PassSlow(_)) && !slow.is_absence(), "{slow}");
        (database.count("leases WHERE outcome = 'lost'") == 2).then_some(())
    };
    until_async("the ranks are given up", LIMIT, ended).await;
    sqlx::Executor::execute(&mut *blocker, sqlx::raw_sql("ROLLBACK")).await.unwrap();
    assert_eq!(database.state(job).await, "queued");
}
