//! A database that is slow, stalls or is asked by too many, over the coordinator's real port.

use futures::future::join_all;
use sqlx::{Connection, Executor};
use tandem_harness::{TestDatabase, until, until_async};
use tandem_proto::v1::{
    self, MetricEvent, PhaseEvent, coordinator_message::Message as Theirs, rank_event::Event,
    worker_message::Message as Ours,
};
use tonic::Code;
use uuid::Uuid;

use crate::{
    LIMIT,
    fake_worker::{FakeWorker, event, running_rank},
    server::{Server, submit},
};

fn single(name: &str) -> String {
    format!(
        "name = \"{name}\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\n\
         epochs = 2\nbatch_size = 64\nworkers = 1\nseed = {}\n",
        name.len()
    )
}

fn training() -> v1::RankEvent {
    event(1, Event::Phase(PhaseEvent { name: "training".to_owned(), first_step: 0 }))
}

fn metric(sequence: u64) -> v1::RankEvent {
    event(sequence, Event::Metric(MetricEvent { name: "loss".to_owned(), step: sequence, value: 1.0 }))
}

/// Sends a heartbeat and waits until it is acknowledged; returns whether the last of `reports` was, too.
async fn beat(worker: &mut FakeWorker, to: &v1::Assignment, sequence: u64, last_report: u64) -> bool {
    worker.send(Ours::Heartbeat(v1::Heartbeat { sequence, facts: None, running: vec![running_rank(to)] })).await;
    let mut reported = false;
    loop {
        match worker.next().await.unwrap() {
            Some(Theirs::HeartbeatAck(ack)) if ack.sequence == sequence => return reported,
            Some(Theirs::HeartbeatAck(_)) => {}
            Some(Theirs::ReportAck(ack)) => reported |= ack.sequence == last_report,
            other => panic!("expected an acknowledgement, got {other:?}"),
        }
    }
}

fn now(database: &TestDatabase) -> f64 {
    database.value("SELECT extract(epoch FROM clock_timestamp())::float8")
}

/// Longer than a lease.
const LONG: f64 = 10.0;

fn only_attempt(database: &TestDatabase) -> Vec<(String, i32)> {
    database.rows("SELECT state::text, number FROM attempts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_that_wait_longer_than_a_lease_cost_no_rank_however_many_they_are() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut worker = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    server.jobs().await.submit(submit(&single("a"))).await.unwrap();
    let to = worker.assignment().await;
    worker.report(&to, vec![training()]).await;

    let mut blocker = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    blocker.execute("BEGIN; LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE").await.unwrap();
    const REPORTS: u64 = 200;
    for sequence in 2..=REPORTS {
        let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
        worker.send(Ours::Report(v1::Report { attempt_id, fence, rank, events: vec![metric(sequence)] })).await;
    }
    let start = now(&database);
    let mut sequence = 1;
    while now(&database) < start + LONG {
        assert!(!beat(&mut worker, &to, sequence, REPORTS).await, "a report was stored although it cannot be");
        sequence += 1;
    }
    blocker.execute("ROLLBACK").await.unwrap();
    while !beat(&mut worker, &to, sequence, REPORTS).await {
        assert!(now(&database) < start + 6.0 * LONG, "the reports are not stored");
        sequence += 1;
    }
    assert_eq!(only_attempt(&database), [("training".to_owned(), 1)]);
    assert_eq!(database.count("metrics"), i64::try_from(REPORTS - 1).unwrap());
    assert_eq!(database.count("leases WHERE released_at IS NOT NULL"), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stalls_counts_as_away_and_costs_no_attempt() {
    let database = TestDatabase::create();
    let name = database.text("SELECT current_database()::text");
    // Commits of this database wait for a standby, once one is named; those of other tests do not.
    database.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = on"));
    let reload = |value: &str| {
        database.execute("SELECT pg_reload_conf()");
        until("the setting holds", LIMIT, || {
            (database.text("SELECT current_setting('synchronous_standby_names')") == value).then_some(())
        });
    };
    let server = Server::start(&database).await;
    let id = Uuid::new_v4();
    // Made before: while nothing can be stored, no token can.
    let token = server.token("worker", "").await.secret;
    let mut worker = FakeWorker::register_with(&server, &token, "cpu-0", id, Vec::new()).await.unwrap();
    server.jobs().await.submit(submit(&single("a"))).await.unwrap();
    let to = worker.assignment().await;
    worker.report(&to, vec![training()]).await;
    beat(&mut worker, &to, 1, 0).await;

    database.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    reload("nobody");
    let start = now(&database);
    worker.send(Ours::Heartbeat(v1::Heartbeat { sequence: 2, facts: None, running: vec![running_rank(&to)] })).await;
    // The stream ends before a worker would end its rank (6.5 s), so it knows that nobody is there.
    assert_eq!(worker.end().await.code(), Code::Unavailable);
    let ended = now(&database);
    assert!(ended - start < 6.5, "{}", ended - start);
    // It dials again in vain, for longer than its lease.
    while now(&database) < start + LONG {
        let registered = FakeWorker::register_with(&server, &token, "cpu-0", id, vec![running_rank(&to)]).await;
        let refused = registered.err().expect("a registration was stored although nothing can be");
        assert!([Code::DeadlineExceeded, Code::Unavailable].contains(&refused.code()), "{refused:?}");
    }
    database.execute("ALTER SYSTEM RESET synchronous_standby_names");
    reload("");

    let mut worker = until_async("the worker is registered", LIMIT, async || {
        FakeWorker::register_with(&server, &token, "cpu-0", id, vec![running_rank(&to)]).await.ok()
    })
    .await;
    assert!(worker.registered.stale_attempt_ids.is_empty());
    let start = now(&database);
    let mut sequence = 1;
    while now(&database) < start + LONG / 2.0 {
        // It panics at a stop.
        beat(&mut worker, &to, sequence, 0).await;
        sequence += 1;
    }
    assert_eq!(only_attempt(&database), [("training".to_owned(), 1)]);
    assert_eq!(database.count("leases WHERE released_at IS NULL AND expires_at > now()"), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_cancels_and_repeated_submits_at_once_are_all_answered() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let jobs = server.jobs().await;
    let names: Vec<String> = (1..=24).map(|length| "x".repeat(length)).collect();
    for name in &names {
        jobs.clone().submit(submit(&single(name))).await.unwrap();
    }
    let cancels = names.iter().map(|name| {
        let (mut jobs, target) = (jobs.clone(), name.clone());
        async move { jobs.cancel(v1::CancelRequest { target }).await }
    });
    assert!(join_all(cancels).await.into_iter().all(|answer| answer.unwrap().into_inner().cancelled.len() == 1));

    let repeated = (0..50).map(|_| {
        let (mut jobs, idempotency_key) = (jobs.clone(), "once".to_owned());
        async move { jobs.submit(v1::SubmitRequest { idempotency_key, ..submit(&single("repeated")) }).await }
    });
    let answers = join_all(repeated).await.into_iter().map(|answer| answer.unwrap().into_inner().experiment_id);
    assert_eq!(answers.collect::<std::collections::HashSet<_>>().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_numbers_and_texts_harm_nobody_else() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut worker = FakeWorker::register(&server, &"w".repeat(64), Uuid::new_v4(), Vec::new()).await;
    let mut other = FakeWorker::register(&server, "other", Uuid::new_v4(), Vec::new()).await;
    let mut jobs = server.jobs().await;
    for toml in [single("a"), single("bb")] {
        jobs.submit(submit(&toml)).await.unwrap();
    }
    let (to, others) = (worker.assignment().await, other.assignment().await);
    let endless = v1::RunningRank { idle_ms: u64::MAX, slowest_ms: Some(u64::MAX), ..running_rank(&to) };
    worker.send(Ours::Heartbeat(v1::Heartbeat { sequence: 7, facts: None, running: vec![endless] })).await;
    beat(&mut other, &others, 1, 0).await;
    beat(&mut other, &others, 2, 0).await;
    let long = (0..100).map(|_| running_rank(&to)).collect();
    worker.send(Ours::Heartbeat(v1::Heartbeat { sequence: 8, facts: None, running: long })).await;
    assert_eq!(worker.end().await.code(), Code::InvalidArgument);

    let nul = || "a\0b".to_owned();
    let refused = [
        jobs.show(v1::ShowRequest { target: nul() }).await.err(),
        jobs.watch(v1::WatchRequest { target: nul() }).await.err(),
        jobs.logs(v1::LogsRequest { target: nul(), ..Default::default() }).await.err(),
        jobs.cancel(v1::CancelRequest { target: nul() }).await.err(),
        jobs.list(v1::ListRequest { experiment: nul(), ..Default::default() }).await.err(),
        jobs.submit(v1::SubmitRequest { idempotency_key: nul(), ..submit(&single("n")) }).await.err(),
        server.results().await.metrics(v1::MetricsRequest { target: nul(), ..Default::default() }).await.err(),
        server.results().await.query(v1::QueryRequest { best: nul(), ..Default::default() }).await.err(),
        server.results().await.fetch(v1::FetchRequest { artifact_id: nul(), ..Default::default() }).await.err(),
        server.fleet().await.release(v1::ReleaseRequest { worker: nul() }).await.err(),
    ];
    for status in refused {
        assert_eq!(status.as_ref().map(tonic::Status::code), Some(Code::InvalidArgument), "{status:?}");
    }
    server.stop().await;
}
