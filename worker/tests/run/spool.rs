//! What a killed worker had not reported, the next process in its place reports, once.

use std::fs;

use rustix::process::{Signal, kill_process};
use tandem_proto::v1::{
    Assignment, RankEvent, RankOutcome, coordinator_message, rank_event::Event as Kind, worker_message,
};

use crate::{
    coordinator::{Coordinator, Session},
    worker::{
        Training, Worker, assign, ended, endless, eventually, hopeless, is_training, only_b_is_reported, pid, spool,
    },
};

fn running(session: &Session) -> Vec<(&str, i64)> {
    session.register.running.iter().map(|rank| (rank.attempt_id.as_str(), rank.fence)).collect()
}

/// Waits until the worker has dealt with all that was sent before.
async fn catch_up(session: &mut Session, seen: &mut Vec<RankEvent>) {
    assign(session, endless("busy", 99)).await;
    let refused = session.until(seen, ended).await;
    assert_eq!(refused.attempt_id, "busy");
}

#[tokio::test]
async fn a_killed_worker_loses_no_event_and_reports_none_twice() {
    let mut coordinator = Coordinator::start().await;
    let worker = Worker::start(&coordinator.url());
    let mut session = coordinator.session().await;
    assign(&session, endless("a", 3)).await;
    let mut confirmed = Vec::new();
    session.until(&mut confirmed, is_training).await;
    let last_confirmed = confirmed.last().unwrap().sequence;
    session.confirm = false;
    let mut sent = Vec::new();
    catch_up(&mut session, &mut sent).await;
    for _ in 0..2 {
        session.until(&mut sent, is_training).await;
    }

    let folders = worker.killed().await;
    let worker = Worker::start_in(folders, &coordinator.url(), &[]);
    let mut session = coordinator.session().await;
    assert_eq!(running(&session), [("a", 3)]);
    assert_eq!(worker.rank(), None);
    let mut again = Vec::new();
    let end = session.until(&mut again, ended).await;
    assert_eq!((end.attempt_id.as_str(), end.fence, end.rank, end.outcome()), ("a", 3, 0, RankOutcome::Lost));
    assert!(end.cause.contains("killed or restarted"), "{}", end.cause);
    let numbers: Vec<_> = again.iter().map(|event| event.sequence).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert_eq!(numbers.first(), Some(&(last_confirmed + 1)));
    for event in &sent {
        assert!(again.contains(event), "{event:?} came as it was");
    }

    // Another assignment shows that the end is known.
    assert!(worker.spool("a").exists());
    assign(&session, hopeless("b", 4)).await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("b", RankOutcome::InputMissing));
    assert!(!worker.spool("a").exists());
}

#[tokio::test]
async fn a_killed_worker_takes_the_next_attempt_at_once_and_drops_what_nobody_wants() {
    let Training { mut coordinator, worker, session: _first } = Training::start(&[]).await;
    let folders = worker.killed().await;
    assert!(spool(&folders, "a").exists());

    coordinator.give_up("a");
    let worker = Worker::start_in(folders, &coordinator.url(), &[]);
    let mut session = coordinator.session().await;
    assert_eq!(running(&session), [("a", 3)]);
    assign(&session, hopeless("b", 4)).await;
    only_b_is_reported(&mut session).await;
    assert!(!worker.spool("a").exists());

    // A worker whose last reports are read leaves no spool.
    worker.signal(Signal::TERM);
    while session.next().await.is_some() {}
    drop(session);
    let Worker { mut process, folders } = worker;
    assert!(process.wait().await.unwrap().success());
    assert!(!spool(&folders, "b").exists());
}

#[tokio::test]
async fn a_verdict_that_nobody_received_outlives_the_worker() {
    let Training { coordinator, worker, session } = Training::start(&[]).await;
    drop(session);
    let dead = coordinator.die().await;
    kill_process(pid(worker.rank().unwrap()), Signal::KILL).unwrap();
    let file = worker.spool("a");
    eventually(|| fs::read(&file).unwrap().windows(7).any(|word| word == b"SIGKILL")).await;

    let folders = worker.killed().await;
    let mut coordinator = dead.restart().await;
    let _worker = Worker::start_in(folders, &coordinator.url(), &[]);
    let mut session = coordinator.session().await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert!(end.cause.contains("signal 9 (SIGKILL)"), "{}", end.cause);
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_stops_nothing_and_is_tried_again() {
    let mut coordinator = Coordinator::start().await;
    let folders = tempfile::tempdir().unwrap();
    let in_the_way = folders.path().join("state/spool");
    fs::create_dir_all(folders.path().join("state")).unwrap();
    fs::write(&in_the_way, "no folder").unwrap();
    let worker = Worker::start_in(folders, &coordinator.url(), &[]);
    let mut session = coordinator.session().await;
    assign(&session, endless("a", 3)).await;
    let mut seen = Vec::new();
    session.until(&mut seen, is_training).await;
    session.until(&mut seen, is_training).await;
    let notes = seen.iter().filter(|event| matches!(&event.event, Some(Kind::Note(note)) if note.kind == "spool"));
    assert_eq!(notes.count(), 1);

    fs::remove_file(&in_the_way).unwrap();
    let spool = worker.spool("a");
    let come = async {
        while !spool.exists() {
            session
                .until(&mut Vec::new(), |message| matches!(message, worker_message::Message::Report(_)).then_some(()))
                .await;
        }
    };
    tokio::time::timeout(crate::coordinator::DEADLINE, come).await.expect("it is not tried again");
}

#[tokio::test]
async fn an_assignment_that_comes_again_to_a_restarted_worker_starts_nothing() {
    let Training { mut coordinator, worker, session: _first } = Training::start(&[]).await;
    let folders = worker.killed().await;
    let worker = Worker::start_in(folders, &coordinator.url(), &[]);
    let mut session = coordinator.session().await;
    session.until(&mut Vec::new(), ended).await;
    let again: Assignment = endless("a", 3);
    session.send(coordinator_message::Message::Assignment(again)).await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("a", RankOutcome::Lost));
    assert_eq!(worker.rank(), None);
}
