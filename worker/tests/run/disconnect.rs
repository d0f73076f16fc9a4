//! A coordinator that cannot be reached, another one that can, and a worker that was frozen.

use std::{fs, sync::Arc, time::Duration};

use rustix::process::Signal;
use tandem_proto::v1::{RankOutcome, rank_event::Event as Kind};
use tokio::time::timeout;

use crate::{
    coordinator::Coordinator,
    worker::{
        Training, Worker, assign, ended, endless, eventually, hopeless, is_training, only_b_is_reported, state_of,
    },
};

#[tokio::test]
async fn a_second_coordinator_takes_over_where_the_first_one_died() {
    let mut first = Coordinator::start().await;
    let mut second = Coordinator::listen("127.0.0.1:0", Arc::clone(&first.store)).await;
    let worker = Worker::start(&format!("{},{}", first.url(), second.url()));
    let mut session = first.session().await;
    assign(&session, endless("a", 3)).await;
    session.until(&mut Vec::new(), is_training).await;
    let rank = worker.rank();
    drop(session);
    let dead = first.die().await;

    let mut session = second.session().await;
    assert_eq!(session.register.running.len(), 1);
    session.until(&mut Vec::new(), is_training).await;
    assert_eq!(worker.rank(), rank, "it went on");
    // And back again.
    let mut first = dead.restart().await;
    drop(session);
    second.die().await;
    let mut session = first.session().await;
    session.until(&mut Vec::new(), is_training).await;
    assert_eq!(worker.rank(), rank);
}

#[tokio::test]
async fn a_rank_without_a_coordinator_for_too_long_writes_a_checkpoint_which_is_reported_later() {
    let Training { coordinator, worker, session } = Training::start(&["--away-grace", "1s"]).await;
    drop(session);
    let dead = coordinator.die().await;
    let spool = worker.spool("a");
    eventually(|| fs::read(&spool).unwrap().windows(12).any(|word| word == b"--away-grace")).await;
    assert_eq!(worker.rank(), None);

    let mut coordinator = dead.restart().await;
    let mut session = coordinator.session().await;
    let mut seen = Vec::new();
    let end = session.until(&mut seen, ended).await;
    assert_eq!(end.outcome(), RankOutcome::Preempted, "{}", end.cause);
    assert!(end.cause.contains("stopped with a checkpoint") && end.cause.contains("1s"), "{}", end.cause);
    assert!(seen.iter().any(|event| matches!(event.event, Some(Kind::Checkpoint(_)))));
}

/// A worker that was stopped for longer than its lease; everything that it had sent is read.
async fn frozen() -> Training {
    let Training { coordinator, worker, mut session } = Training::start(&[]).await;
    let process = worker.process.id().unwrap();
    worker.signal(Signal::STOP);
    eventually(|| state_of(process).is_some_and(|(state, _)| state == "T")).await;
    // The lease is 1.5 s: this lets it run out.
    while timeout(Duration::from_secs(3), session.next()).await.is_ok_and(|message| message.is_some()) {}
    Training { coordinator, worker, session }
}

#[tokio::test]
async fn a_worker_that_was_frozen_ends_its_rank_before_it_sends_anything() {
    let Training { mut coordinator, worker, mut session } = frozen().await;
    worker.signal(Signal::CONT);
    if let Some(sent) = session.next().await {
        panic!("sent without a lease: {sent:?}");
    }
    let mut session = coordinator.session().await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("a", RankOutcome::Lost));
    assert!(end.cause.contains("did not run for"), "{}", end.cause);
    assert_eq!(worker.rank(), None);
}

#[tokio::test]
async fn a_worker_that_comes_back_stale_reports_nothing_and_takes_the_next_attempt() {
    let Training { mut coordinator, worker, session } = frozen().await;
    coordinator.give_up("a");
    // The stream is closed on the worker while it is stopped, as a coordinator does that hears no heartbeat.
    drop(session);
    worker.signal(Signal::CONT);
    let mut session = coordinator.session().await;
    // At once: the stale rank may still be dying.
    assign(&session, hopeless("b", 4)).await;
    only_b_is_reported(&mut session).await;
    assert!(!worker.spool("a").exists());
}
