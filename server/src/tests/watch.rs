use tandem_harness::until_async;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    cancel::cancel,
    query::{
        logs::{Request, logs},
        watch::{Snapshot, Watches},
    },
    store::targets::Target,
};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

type Answers = mpsc::Receiver<Result<Arc<Snapshot>, tonic::Status>>;

fn watch(watches: &Watches, target: Target) -> Answers {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(watches.clone().watch(target, sender, CancellationToken::new()));
    receiver
}

async fn next(answers: &mut Answers) -> Arc<Snapshot> {
    tokio::time::timeout(LIMIT, answers.recv()).await.unwrap().unwrap().unwrap()
}

/// The tests notify of nothing: whatever is seen is seen by polling.
fn watches(database: &TestStore) -> Watches {
    Watches::new(database.store.clone(), Arc::new(Notifier::new()), TaskTracker::new())
}

#[tokio::test]
async fn all_who_watch_an_experiment_share_one_reader() {
    let database = TestStore::open().await;
    let watches = watches(&database);
    let experiment = database.submit(&experiment(1)).await.experiment.unwrap();
    let target = Target::Experiment(experiment);
    let mut all: Vec<_> = (0..5).map(|_| watch(&watches, target)).collect();
    let mut first = Vec::new();
    for answers in &mut all {
        first.push(next(answers).await);
    }
    assert!(first.iter().all(|snapshot| Arc::ptr_eq(snapshot, &first[0])), "each was read for itself");
    assert_eq!((watches.count(), first[0].jobs.len(), first[0].done), (1, 3, false));

    // One who lags gets the newest, and everybody the end.
    let reason = |text: &str| database.execute(&format!("UPDATE jobs SET reason = '{text}'"));
    let (mut lagging, mut eager) = (all.pop().unwrap(), all.pop().unwrap());
    for text in ["one", "two", "three", "four", "five"] {
        reason(text);
        while next(&mut eager).await.jobs[0].reason != text {}
    }
    let mut seen = 0;
    while next(&mut lagging).await.jobs[0].reason != "five" {
        seen += 1;
    }
    assert!(seen <= 3, "{seen} old snapshots were kept for it");
    cancel(&database.store, &experiment.to_string(), &person("ada")).await.unwrap();
    while !next(&mut lagging).await.done {}
    assert!(tokio::time::timeout(LIMIT, lagging.recv()).await.unwrap().is_none(), "the stream ends");
    until_async("the reader ends", LIMIT, async || (watches.count() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_reader_ends_when_nobody_watches_any_more() {
    let database = TestStore::open().await;
    let watches = watches(&database);
    let target = Target::Job(ids(&database.submit(&single(1)).await)[0]);
    let (mut one, mut other) = (watch(&watches, target), watch(&watches, target));
    next(&mut one).await;
    drop(one);
    next(&mut other).await;
    database.execute("UPDATE jobs SET reason = 'still watched'");
    while next(&mut other).await.jobs[0].reason != "still watched" {}
    drop(other);
    until_async("the reader ends", LIMIT, async || (watches.count() == 0).then_some(())).await;
}

#[tokio::test]
async fn lines_of_several_ranks_come_in_order_of_time_across_pages() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    // Rank 0 writes a line a second, more than a page; rank 1 one a minute.
    database.execute(
        "INSERT INTO logs (attempt_id, rank, sequence, at, line)
         SELECT a.id, 0, n, 'epoch'::timestamptz + make_interval(secs => n), 'line' FROM attempts a, generate_series(1, 1300) n
         UNION ALL
         SELECT a.id, 1, n, 'epoch'::timestamptz + make_interval(secs => 60 * n), 'line' FROM attempts a, generate_series(1, 30) n",
    );
    let (sender, mut receiver) = mpsc::channel(2000);
    let request = Request { jobs: vec![job], follow: false, tail: None };
    logs(database.store.clone(), Arc::new(Notifier::new()), request, sender, CancellationToken::new()).await;
    let mut times = Vec::new();
    while let Some(line) = receiver.recv().await {
        times.push(line.unwrap().at);
    }
    assert_eq!(times.len(), 1330);
    assert!(times.is_sorted(), "not in order of time");
}
