//! A coordinator that is away, another one that is there, and a worker that was away itself.

use std::{fs, time::Duration};

use rustix::process::Signal;
use tandem_proto::v1::{RankOutcome, rank_event::Event as Kind, worker_message};
use tokio::time::timeout;

use crate::{
    coordinator::{Coordinator, Session},
    worker::{Worker, assign, ended, endless, eventually, hopeless, is_training, state_of, store},
};

#[tokio::test]
async fn a_second_coordinator_takes_over_where_the_first_one_died() {
    let store = store();
    let mut first = Coordinator::start("127.0.0.1:0", store.path()).await;
    let mut second = Coordinator::start("127.0.0.1:0", store.path()).await;
    let worker = Worker::start(&format!("{},{}", first.url(), second.url()));
    let mut session = first.session().await;
    assign(&session, endless("a", 3)).await;
    session.until(&mut Vec::new(), is_training).await;
    let rank = worker.rank();
    drop(session);
    let address = first.die().await;

    let mut session = second.session().await;
    assert_eq!(session.register.running.len(), 1);
    session.until(&mut Vec::new(), is_training).await;
    assert_eq!(worker.rank(), rank, "it went on");
    // And back again.
    let mut first = Coordinator::start(&address.to_string(), store.path()).await;
    drop(session);
    second.die().await;
    let mut session = first.session().await;
    session.until(&mut Vec::new(), is_training).await;
    assert_eq!(worker.rank(), rank);
}

#[tokio::test]
async fn a_rank_without_a_coordinator_for_too_long_writes_a_checkpoint_and_says_so_later() {
    let store = store();
    let mut coordinator = Coordinator::start("127.0.0.1:0", store.path()).await;
    let worker = Worker::start_in(tempfile::tempdir().unwrap(), &coordinator.url(), &["--away-grace", "1s"]);
    let mut session = coordinator.session().await;
    assign(&session, endless("a", 3)).await;
    session.until(&mut Vec::new(), is_training).await;
    drop(session);
    let address = coordinator.die().await;
    let spool = worker.spool("a");
    eventually(|| fs::read(&spool).unwrap().windows(12).any(|word| word == b"--away-grace")).await;
    assert_eq!(worker.rank(), None);

    let mut coordinator = Coordinator::start(&address.to_string(), store.path()).await;
    let mut session = coordinator.session().await;
    let mut seen = Vec::new();
    let end = session.until(&mut seen, ended).await;
    assert_eq!(end.outcome(), RankOutcome::Preempted, "{}", end.cause);
    assert!(end.cause.contains("stopped with a checkpoint") && end.cause.contains("1s"), "{}", end.cause);
    assert!(seen.iter().any(|event| matches!(event.event, Some(Kind::Checkpoint(_)))));
}

/// A rank that trains, and its worker stopped for longer than its lease; everything it had sent is read.
async fn frozen(coordinator: &mut Coordinator) -> (Worker, Session) {
    let worker = Worker::start(&coordinator.url());
    let mut session = coordinator.session().await;
    assign(&session, endless("a", 3)).await;
    session.until(&mut Vec::new(), is_training).await;
    let process = worker.process.id().unwrap();
    worker.signal(Signal::STOP);
    eventually(|| state_of(process).is_some_and(|(state, _)| state == "T")).await;
    // The lease is 1.5 s. This is no waiting for something to happen: it is what happens.
    while timeout(Duration::from_secs(3), session.next()).await.is_ok_and(|message| message.is_some()) {}
    (worker, session)
}

#[tokio::test]
async fn a_worker_that_was_stopped_ends_its_rank_before_it_says_anything() {
    let store = store();
    let mut coordinator = Coordinator::start("127.0.0.1:0", store.path()).await;
    let (worker, mut session) = frozen(&mut coordinator).await;
    worker.signal(Signal::CONT);
    if let Some(said) = session.next().await {
        panic!("sent without a lease: {said:?}");
    }
    let mut session = coordinator.session().await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("a", RankOutcome::Lost));
    assert!(end.cause.contains("did not run for"), "{}", end.cause);
    assert_eq!(worker.rank(), None);
}

#[tokio::test]
async fn a_worker_that_comes_back_stale_reports_nothing_and_takes_the_next_attempt() {
    let store = store();
    let mut coordinator = Coordinator::start("127.0.0.1:0", store.path()).await;
    let (worker, session) = frozen(&mut coordinator).await;
    coordinator.give_up("a");
    // The stream is closed on the worker while it is stopped, as a coordinator does that hears no heartbeat.
    drop(session);
    worker.signal(Signal::CONT);
    let mut session = coordinator.session().await;
    // At once: the stale rank may still be dying.
    assign(&session, hopeless("b", 4)).await;
    let end = session
        .until(&mut Vec::new(), |message| {
            if let worker_message::Message::Report(report) = message {
                assert_eq!(report.attempt_id, "b");
            }
            ended(message)
        })
        .await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("b", RankOutcome::JobFailed), "{}", end.cause);
    assert!(!worker.spool("a").exists());
}
