//! Heartbeats: what they renew, for how long, and that they cost the same however long a backup reads.

use std::{path::Path, time::Duration};

use tandem_domain::state::RankOutcome;
use tandem_harness::until_async;
use tandem_proto::v1::{MetricEvent, coordinator_message::Message, rank_event::Event};
use tokio::sync::mpsc;
use tonic::Status;

use super::*;
use crate::{
    dispatch::{Dispatcher, sessions::Session},
    reap,
    report::{Receipt, report},
    store::{leader, leases::ReportedRank},
    store_folder::StoreFolder,
};

type Answers = mpsc::Receiver<Result<v1::CoordinatorMessage, Status>>;

fn dispatcher(database: &TestStore) -> Dispatcher {
    let (store, notifier) = (database.store.clone(), Arc::new(Notifier::new()));
    Dispatcher::new(store, notifier, StoreFolder { root: "/srv/store".into(), id: String::new() })
}

fn rank(holder: &LeaseHolder) -> ReportedRank {
    let LeaseHolder { worker, attempt, fence, rank } = *holder;
    ReportedRank {
        worker,
        attempt,
        fence,
        rank,
        idle: Duration::from_secs(2),
        slowest: Some(Duration::from_millis(300)),
    }
}

/// A stream of a worker that was registered before.
async fn stream(
    dispatcher: &Dispatcher,
    worker: Uuid,
    index: u32,
    running: Vec<ReportedRank>,
) -> (Arc<Session>, Answers) {
    let (outbound, answers) = mpsc::channel(64);
    let session = Arc::new(Session::new(worker, format!("cpu-{index}"), running, outbound));
    dispatcher.open(&registration(worker, index), &session).await.unwrap();
    dispatcher.sessions.add(session.clone());
    (session, answers)
}

fn acknowledged(answers: &mut Answers) -> Vec<u64> {
    let mut sequences = Vec::new();
    while let Ok(Ok(message)) = answers.try_recv() {
        if let Some(Message::HeartbeatAck(ack)) = message.message {
            sequences.push(ack.sequence);
        }
    }
    sequences
}

/// Two ranks that train, and their workers' streams.
async fn training(database: &TestStore) -> (Uuid, Vec<LeaseHolder>) {
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE leader SET expires_at = now(); UPDATE leases SET has_reported = true");
    database.execute("UPDATE leases SET dispatched_at = now()");
    (job, database.lease_holders(job))
}

async fn lead(database: &TestStore) -> i64 {
    let mut conn = database.store.conn().await.unwrap();
    leader::hold(&mut conn, Uuid::new_v4(), "test").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_heartbeat_renews_the_ranks_that_it_reports_and_is_acknowledged_once() {
    let database = TestStore::open().await;
    let (job, holders) = training(&database).await;
    let dispatcher = dispatcher(&database);
    let (first, mut answers) = stream(&dispatcher, holders[0].worker, 0, vec![rank(&holders[0])]).await;
    let (second, mut others) = stream(&dispatcher, holders[1].worker, 1, vec![rank(&holders[1])]).await;
    // Rank 1 is not reported any more, and under another fence there is nothing to renew.
    first.receive(7, vec![rank(&holders[0])], Some(serde_json::json!({ "power_watts": 90 })));
    second.receive(8, vec![ReportedRank { fence: holders[1].fence - 1, ..rank(&holders[1]) }], None);
    dispatcher.store_heartbeats().await.unwrap();
    database.execute("UPDATE leases SET expires_at = now() - interval '1 min', progress_at = NULL");
    assert_eq!(acknowledged(&mut answers), [7]);
    assert!(acknowledged(&mut others).is_empty(), "a stale rank");
    dispatcher.store_heartbeats().await.unwrap();
    assert!(acknowledged(&mut answers).is_empty(), "once");
    assert_eq!(database.values::<i32>("SELECT rank FROM leases_heard()"), [0]);
    assert_eq!(database.text("SELECT facts ->> 'power_watts' FROM workers_heard() WHERE facts IS NOT NULL"), "90");

    let term = lead(&database).await;
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 1);
    let outcome = database.values::<String>("SELECT outcome::text FROM leases WHERE outcome IS NOT NULL");
    assert_eq!(outcome, [RankOutcome::Lost.label()]);
    let (_, reason) = database.job(job).await;
    assert!(reason.starts_with("rank 1 on cpu-1: its worker is there but does not run it"), "{reason}");
}

#[tokio::test]
async fn a_rank_that_was_assigned_lately_needs_no_report_yet() {
    let database = TestStore::open().await;
    let (_, holders) = training(&database).await;
    let dispatcher = dispatcher(&database);
    database.execute("UPDATE leases SET has_reported = false; UPDATE received SET last_sequence = 0");
    let stream = stream(&dispatcher, holders[0].worker, 0, Vec::new()).await;
    // How long ago it was renewed, in heartbeats.
    let renewed = async || {
        stream.0.receive(1, Vec::new(), None);
        dispatcher.store_heartbeats().await.unwrap();
        let is_now = "SELECT lease.at = worker.at FROM leases_heard() lease, workers_heard() worker";
        database.value::<bool>(is_now)
    };
    assert!(renewed().await);
    database.execute("UPDATE leases SET has_reported = true");
    assert!(!renewed().await, "it has reported, and its worker does not run it");
    database.execute("UPDATE leases SET has_reported = false; UPDATE received SET last_sequence = 0");
    database.execute("UPDATE attempts SET assigned_at = now() - interval '10 min'");
    assert!(!renewed().await, "not for ever");
}

#[tokio::test]
async fn a_lease_runs_from_the_last_heartbeat_of_a_stream_that_has_ended() {
    let database = TestStore::open().await;
    let (_, holders) = training(&database).await;
    let dispatcher = dispatcher(&database);
    let (first, _) = stream(&dispatcher, holders[0].worker, 0, vec![rank(&holders[0])]).await;
    let _second = stream(&dispatcher, holders[1].worker, 1, vec![rank(&holders[1])]).await;
    dispatcher.store_heartbeats().await.unwrap();
    database.execute("UPDATE leases SET expires_at = now() - interval '1 min'");
    dispatcher.close(&first).await.unwrap();
    dispatcher.store_heartbeats().await.unwrap();
    let term = lead(&database).await;
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 0, "it may dial again");

    // A coordinator that was killed leaves its row behind: leases run out by it.
    let earlier = |what: &str, by: &str| format!("{what} = ARRAY(SELECT at - interval '{by}' FROM UNNEST({what}) at)");
    database.execute(&format!("UPDATE heartbeats SET {}, {}", earlier("heard", "9 s"), earlier("renewed", "9 s")));
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 2);
    database.execute("UPDATE workers SET last_seen = now() - interval '1 min'");
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(
        database.values::<String>("SELECT message FROM events WHERE kind = 'worker lost' ORDER BY message"),
        ["cpu-0 sent no heartbeat for 9 s", "cpu-1 sent no heartbeat for 9 s"]
    );
    database.execute("UPDATE heartbeats SET at = at - interval '2 hours'");
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(database.count("heartbeats"), 0);
}

#[tokio::test]
async fn a_lease_whose_report_is_being_stored_is_renewed() {
    let database = TestStore::open().await;
    let (_, holders) = training(&database).await;
    let dispatcher = dispatcher(&database);
    let (session, mut answers) = stream(&dispatcher, holders[0].worker, 0, vec![rank(&holders[0])]).await;
    session.receive(1, vec![rank(&holders[0])], None);
    let metric = Event::Metric(MetricEvent { name: "loss".to_owned(), step: 1, value: 1.0 });
    // The table of metrics answers only after a while.
    let mut blocker = database.store.conn().await.unwrap();
    sqlx::Executor::execute(&mut *blocker, sqlx::raw_sql("BEGIN; LOCK TABLE metrics")).await.unwrap();
    let (store, holder, events) = (database.store.clone(), holders[0], [event(9, metric)]);
    let reported = tokio::spawn(async move { report(&store, Path::new("/srv/store"), holder, &events).await });
    let waits = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until_async("the report waits", Duration::from_secs(30), async || (database.count(waits) == 1).then_some(())).await;
    dispatcher.store_heartbeats().await.unwrap();
    assert_eq!(acknowledged(&mut answers), [1]);
    assert_eq!(database.values::<i32>("SELECT rank FROM leases_heard()"), [0]);
    sqlx::Executor::execute(&mut *blocker, sqlx::raw_sql("ROLLBACK")).await.unwrap();
    assert_eq!(reported.await.unwrap().unwrap(), Receipt::Stored);
}

#[tokio::test]
async fn heartbeats_leave_no_dead_rows_of_leases_and_workers_while_a_backup_reads() {
    let database = TestStore::open().await;
    let (_, holders) = training(&database).await;
    let dispatcher = dispatcher(&database);
    let (session, _answers) = stream(&dispatcher, holders[0].worker, 0, vec![rank(&holders[0])]).await;
    dispatcher.store_heartbeats().await.unwrap();
    let sizes = || database.rows::<(i64, i64)>("SELECT pg_relation_size('leases'), pg_relation_size('workers')");
    let before = sizes();
    let mut backup = database.store.conn().await.unwrap();
    let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs";
    sqlx::Executor::execute(&mut *backup, sqlx::raw_sql(snapshot)).await.unwrap();
    for sequence in 1..=300 {
        session.receive(sequence, vec![rank(&holders[0])], None);
        dispatcher.store_heartbeats().await.unwrap();
    }
    assert_eq!(sizes(), before);
    sqlx::Executor::execute(&mut *backup, sqlx::raw_sql("ROLLBACK")).await.unwrap();
}

#[tokio::test]
async fn the_first_report_renews_the_lease_and_later_ones_leave_it_to_heartbeats() {
    let database = TestStore::open().await;
    let (_, holders) = training(&database).await;
    database.execute("UPDATE leases SET has_reported = false; UPDATE received SET last_sequence = 0");
    let mut sequence = 0;
    let mut renews = async || {
        database.execute("UPDATE leases SET expires_at = now()");
        sequence += 1;
        let metric = Event::Metric(MetricEvent { name: "loss".to_owned(), step: sequence, value: 1.0 });
        let events = [event(sequence, metric)];
        report(&database.store, Path::new("/srv/store"), holders[0], &events).await.unwrap();
        database.count("leases WHERE expires_at > now() + interval '1 s'") == 1
    };
    // A heartbeat that was sent before the rank started does not report it.
    assert!(renews().await);
    assert!(!renews().await);
}
