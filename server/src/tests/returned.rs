use std::time::Duration;

use tandem_domain::state::RankOutcome;
use tokio::sync::mpsc;

use super::*;
use crate::{
    dispatch::{Dispatcher, sessions::Session},
    reap,
    report::rank_ended,
    store::leases::ReportedRank,
    store_folder::StoreFolder,
};

fn dispatcher(database: &TestStore) -> Dispatcher {
    let (store, notifier) = (database.store.clone(), Arc::new(Notifier::new()));
    Dispatcher::new(store, notifier, StoreFolder { root: "/srv/store".into(), id: String::new() })
}

fn reported(LeaseHolder { worker, attempt, fence, rank }: LeaseHolder) -> ReportedRank {
    ReportedRank { worker, attempt, fence, rank, idle: Duration::ZERO, slowest: None }
}

/// The worker of `who` connects, with the rank that it had.
async fn connect(dispatcher: &Dispatcher, holder: LeaseHolder) -> v1::Registered {
    let LeaseHolder { worker, rank, .. } = holder;
    let held = reported(holder);
    let (registration, (outbound, _answers)) = (registration(worker, rank), mpsc::channel(1));
    let session = Session::new(worker, registration.name.clone(), vec![held], outbound);
    dispatcher.open(&registration, &session).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_was_given_up_is_refused_and_the_job_records_it() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    let (dispatcher, holders) = (dispatcher(&database), database.lease_holders(job));
    let query = format!("SELECT message FROM events WHERE job_id = '{job}' AND kind = 'refused'");
    let refused = || database.values::<String>(&query);

    // Only its connection broke.
    assert!(connect(&dispatcher, holders[1]).await.stale_attempt_ids.is_empty());
    assert!(refused().is_empty());

    database.execute("UPDATE leases SET dispatched_at = now(), expires_at = now() - interval '1 s' WHERE rank = 1");
    database.execute("UPDATE workers SET last_seen = now() - interval '1 min' WHERE name = 'cpu-1'");
    let term = database.value("SELECT term FROM leader");
    assert_eq!(reap::leases(&database.store, term).await.unwrap(), 1);
    reap::workers(&database.store, term).await.unwrap();
    assert_eq!(connect(&dispatcher, holders[1]).await.stale_attempt_ids, [holders[1].attempt.to_string()]);
    assert!(refused()[0].starts_with("cpu-1 was declared lost and has reconnected with its rank"), "{:?}", refused());
    // It is recorded once.
    connect(&dispatcher, holders[1]).await;
    assert_eq!(refused().len(), 1);
}

#[tokio::test]
async fn the_return_of_a_rank_that_had_ended_is_not_recorded() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let job = ids(&database.submit(&single(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    let holder = database.lease_holders(job)[0];
    rank_ended(&database.store, holder, RankOutcome::Succeeded, "").await.unwrap();
    database.execute("UPDATE workers SET last_seen = now() - interval '1 min'");
    reap::workers(&database.store, database.value("SELECT term FROM leader")).await.unwrap();
    assert_eq!(database.text("SELECT state::text FROM workers"), "lost");
    assert_eq!(connect(&dispatcher(&database), holder).await.stale_attempt_ids, [holder.attempt.to_string()]);
    assert_eq!(database.count("events WHERE kind = 'refused'"), 0);
}

#[tokio::test]
async fn a_heartbeat_that_crosses_the_end_of_its_rank_is_acknowledged() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let job = ids(&database.submit(&single(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    let (dispatcher, holder) = (dispatcher(&database), database.lease_holders(job)[0]);
    let (outbound, mut answers) = mpsc::channel(8);
    let session = Arc::new(Session::new(holder.worker, "cpu-0".to_owned(), vec![reported(holder)], outbound));
    dispatcher.open(&registration(holder.worker, 0), &session).await.unwrap();
    dispatcher.sessions.add(session.clone());

    session.receive(1, vec![reported(holder)], None);
    session.end(holder);
    rank_ended(&database.store, holder, RankOutcome::Succeeded, "").await.unwrap();
    dispatcher.store_heartbeats().await.unwrap();
    assert!(answers.try_recv().is_ok(), "its worker would take the coordinator for deaf");
    // Another rank that has no lease is promised nothing.
    session.receive(2, vec![reported(LeaseHolder { fence: holder.fence - 1, ..holder })], None);
    dispatcher.store_heartbeats().await.unwrap();
    assert!(answers.try_recv().is_err());
}

#[tokio::test]
async fn a_worker_is_told_when_its_device_counts_as_used_by_others() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    let (dispatcher, holder) = (dispatcher(&database), database.lease_holders(job)[1]);
    let told = async || connect(&dispatcher, holder).await.foreign_use.unwrap();
    let default = v1::ForeignUse { memory_bytes: 512_000_000, utilization: 20, seconds: 0 };
    assert_eq!(told().await, default);
    database.execute(
        "INSERT INTO policies (toml, who) VALUES (E'[foreign_use]\\nmemory_mb = 100\\nutilization = 5\\nafter = \"1m\"', 'root')",
    );
    assert_eq!(told().await, v1::ForeignUse { memory_bytes: 100_000_000, utilization: 5, seconds: 60 });
}
