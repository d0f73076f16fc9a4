//! The life of a rank: its end, a stop, a coordinator that goes or falls silent, a rendezvous.

use std::{io::Write, path::Path, process::Stdio};

use rustix::process::{Signal, kill_process};
use tandem_proto::v1::{
    Assignment, RankEvent, RankOutcome, Stop, coordinator_message, rank_event::Event as Kind, worker_message,
};
use tokio::{process::Command, time::timeout};

use crate::{
    coordinator::{Coordinator, DEADLINE},
    worker::{Gang, Training, Worker, assign, ended, endless, eventually, hopeless, is_training, parent_of, pid},
};

#[tokio::test]
async fn a_job_whose_data_are_not_here_says_so_and_the_worker_takes_the_next() {
    let mut coordinator = Coordinator::start().await;
    let worker = Worker::start(&coordinator.url());
    let mut session = coordinator.session().await;
    assert_eq!((session.register.name.as_str(), session.register.running.len()), ("left", 0));

    for (attempt, fence) in [("first", 7), ("second", 8)] {
        assign(&session, hopeless(attempt, fence)).await;
        let mut seen = Vec::new();
        let end = session.until(&mut seen, ended).await;
        assert_eq!((end.attempt_id.as_str(), end.fence, end.outcome()), (attempt, fence, RankOutcome::InputMissing));
        assert!(end.cause.contains("nowhere"), "{}", end.cause);
        let mut log = seen.iter().filter_map(|event| match &event.event {
            Some(Kind::Log(log)) => Some(log.line.as_str()),
            _ => None,
        });
        assert_eq!(log.next_back(), Some(end.cause.as_str()), "the reason is in the log, too, and before the end");
        let numbers: Vec<_> = seen.iter().map(|event| event.sequence).collect();
        assert!(numbers.is_sorted() && numbers[0] == 1, "{numbers:?}");
    }
    drop(session);
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended().await, Some(0));
}

#[tokio::test]
async fn an_assignment_that_this_version_cannot_read_is_not_the_jobs_fault() {
    let mut coordinator = Coordinator::start().await;
    let worker = Worker::start(&coordinator.url());
    let mut session = coordinator.session().await;
    assign(&session, Assignment { spec_json: "{}".to_owned(), ..endless("a", 1) }).await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!(end.outcome(), RankOutcome::Unknown);
    assert!(end.cause.contains(&format!("version {}", env!("CARGO_PKG_VERSION"))), "{}", end.cause);
    assert_eq!(worker.rank(), None);
}

#[tokio::test]
async fn too_little_memory_on_a_machine_is_not_the_jobs_fault() {
    let mut coordinator = Coordinator::start().await;
    // Enough to load libtorch, not enough for the step.
    let worker = Worker::start_with_little_memory(1_200_000, &coordinator.url());
    let mut session = coordinator.session().await;
    let mut assignment = endless("a", 3);
    assignment.spec_json = assignment.spec_json.replace("\"batch_size\":32", "\"batch_size\":2048");
    assign(&session, assignment).await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert!(matches!(end.outcome(), RankOutcome::Lost | RankOutcome::Unknown), "{end:?}");
    assert!(!end.cause.contains("frame #") && !end.cause.contains("exchange"), "{}", end.cause);
    drop(worker);
}

#[tokio::test]
async fn output_of_any_bytes_reaches_the_coordinator() {
    let Training { coordinator: _coordinator, worker, mut session } = Training::start(&[]).await;
    // As a library that prints into the rank's log.
    let mut log =
        std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/2", worker.rank().unwrap())).unwrap();
    let writes = std::thread::spawn(move || {
        let line = [&[0xff; 4090][..], b"\n"].concat();
        (0..1500).for_each(|_| log.write_all(&line).unwrap());
        log.write_all(b"that was all\n").unwrap();
    });
    let last = |message: &worker_message::Message| {
        let worker_message::Message::Report(report) = message else { return None };
        let is_last = |event: &RankEvent| matches!(&event.event, Some(Kind::Log(log)) if log.line == "that was all");
        report.events.iter().any(is_last).then_some(())
    };
    let mut seen = Vec::new();
    // On the same stream: the test's coordinator takes 4 MiB, as the real one.
    session.until(&mut seen, last).await;
    writes.join().unwrap();
    let lines =
        seen.iter().filter(|event| matches!(&event.event, Some(Kind::Log(log)) if log.line.contains('\u{fffd}')));
    assert_eq!(lines.count(), 1500);
}

#[tokio::test]
async fn a_report_that_the_coordinator_refuses_is_not_sent_for_ever() {
    let Training { mut coordinator, worker, session } = Training::start(&[]).await;
    let mut log =
        std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/2", worker.rank().unwrap())).unwrap();
    log.write_all(b"poison\n").unwrap();
    let is_poison = |event: &RankEvent| matches!(&event.event, Some(Kind::Log(log)) if log.line == "poison");
    let (mut open, mut refusals) = (session, 0);
    let note = loop {
        open.confirm = false;
        let report = loop {
            match open.next().await {
                Some(worker_message::Message::Report(report)) => break report,
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        };
        if report.events.iter().any(is_poison) {
            refusals += 1;
            assert!(refusals < 30, "it is sent for ever");
            open.refuse().await;
            open = coordinator.session().await;
            continue;
        }
        let note = report.events.iter().find_map(|event| match &event.event {
            Some(Kind::Note(note)) if note.kind == "refused" => Some(note.message.clone()),
            _ => None,
        });
        open.confirm(&report).await;
        if let Some(note) = note {
            break note;
        }
    };
    assert!(note.contains("poison"), "{note}");
    // The rank has gone on, and so do its reports.
    open.confirm = true;
    open.until(&mut Vec::new(), is_training).await;
}

#[tokio::test]
async fn a_worker_that_starts_before_its_network_dials_again() {
    let worker = Worker::start("http://no-such-host.invalid:7077");
    let id = worker.folders.path().join("state/worker-id");
    eventually(|| id.exists()).await;
    // It lives on, and hears a signal.
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended().await, Some(0));
}

#[tokio::test]
async fn a_killed_rank_ended_by_nobody_knows_whose_fault_and_the_cause_names_the_signal() {
    let Training { coordinator: _coordinator, worker, mut session } = Training::start(&[]).await;

    // While it is busy, it takes nothing else, and what it has goes on.
    assign(&session, endless("b", 2)).await;
    let refused = session.until(&mut Vec::new(), ended).await;
    assert_eq!((refused.attempt_id.as_str(), refused.outcome()), ("b", RankOutcome::PeerLost));
    assert!(refused.cause.contains("busy"), "{}", refused.cause);

    kill_process(pid(worker.rank().unwrap()), Signal::KILL).unwrap();
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("a", RankOutcome::Unknown));
    assert!(end.cause.contains("signal 9 (SIGKILL)"), "{}", end.cause);
}

#[tokio::test]
async fn a_leaving_worker_drains_checkpoints_and_exits_cleanly() {
    let Training { coordinator, worker, mut session } = Training::start(&[]).await;

    worker.signal(Signal::TERM);
    let drain = |message: &worker_message::Message| matches!(message, worker_message::Message::Drain(_)).then_some(());
    let mut seen = Vec::new();
    session.until(&mut seen, drain).await;
    let end = session.until(&mut seen, ended).await;
    assert_eq!(end.outcome(), RankOutcome::Preempted, "{}", end.cause);
    let checkpoint = seen.iter().find_map(|event| match &event.event {
        Some(Kind::Checkpoint(checkpoint)) => Some(checkpoint.clone()),
        _ => None,
    });
    let path = checkpoint.expect("a checkpoint was reported before the end").path;
    assert!(Path::new(&path).is_relative() && coordinator.store.path().join(&path).exists(), "{path}");

    assert!(session.next().await.is_none(), "the worker closes its half of the stream");
    drop(session);
    assert_eq!(worker.ended().await, Some(0));
}

#[tokio::test]
async fn an_idle_worker_leaves_even_if_there_is_no_coordinator() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let worker = Worker::start(&format!("http://{address}"));
    // Its signal handlers stand before it takes its state folder.
    let id = worker.folders.path().join("state/worker-id");
    eventually(|| id.exists()).await;
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended().await, Some(0));
}

#[tokio::test]
async fn training_goes_on_without_the_coordinator_and_everything_is_told_afterwards() {
    let mut coordinator = Coordinator::start().await;
    let worker = Worker::start(&coordinator.url());
    let mut session = coordinator.session().await;
    assign(&session, endless("a", 3)).await;
    let mut first: Vec<RankEvent> = Vec::new();
    session.until(&mut first, is_training).await;
    let confirmed = first.last().unwrap().sequence;

    drop(session);
    let dead = coordinator.die().await;
    let rank = worker.rank().expect("the rank goes on");
    let mut coordinator = dead.restart().await;
    let mut session = coordinator.session().await;
    let running: Vec<_> = session.register.running.iter().map(|rank| (rank.attempt_id.as_str(), rank.fence)).collect();
    assert_eq!(running, [("a", 3)]);
    assert_eq!(worker.rank(), Some(rank));

    let mut again = Vec::new();
    session.until(&mut again, is_training).await;
    let numbers: Vec<_> = again.iter().map(|event| event.sequence).collect();
    assert!(
        numbers[0] <= confirmed + 1 && numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{confirmed}, {numbers:?}"
    );

    let stop = Stop { attempt_id: "a".to_owned(), fence: 3, graceful: false, reason: "cancelled by ada".to_owned() };
    session.send(coordinator_message::Message::Stop(stop)).await;
    let end = session.until(&mut again, ended).await;
    assert_eq!((end.outcome(), end.cause.as_str()), (RankOutcome::Cancelled, "cancelled by ada"));
}

#[tokio::test]
async fn a_silent_coordinator_ends_the_rank() {
    let Training { mut coordinator, worker, mut session } = Training::start(&[]).await;
    session.acknowledge = false;
    // The old stream is given up; on the new one the verdict comes.
    while session.next().await.is_some() {}
    let mut session = coordinator.session().await;
    let end = session.until(&mut Vec::new(), ended).await;
    assert_eq!(end.outcome(), RankOutcome::PeerLost, "a silence is not this machine's fault");
    assert!(end.cause.contains("answered no heartbeat") && !end.cause.contains("reachable"), "{}", end.cause);
    assert_eq!(worker.rank(), None);
}

#[tokio::test]
async fn a_rank_dies_with_its_worker() {
    let Training { coordinator: _coordinator, worker, session: _session } = Training::start(&[]).await;
    let rank = worker.rank().unwrap();
    worker.signal(Signal::KILL);
    assert_eq!(worker.ended().await, None);
    eventually(|| parent_of(rank).is_none()).await;
}

#[tokio::test]
async fn a_rank_refuses_what_it_cannot_read_and_whom_it_does_not_belong_to() {
    for (worker_pid, expected, word) in [(std::process::id(), 70, "task"), (1, 74, "pid 1")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-worker"));
        command.args(["rank", "--worker-pid", &worker_pid.to_string()]).stdin(Stdio::null());
        let output = timeout(DEADLINE, command.output()).await.expect("it does not end").unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(expected), &b""[..]), "{log}");
        assert!(log.lines().count() == 1 && log.contains(word), "{log}");
    }
}

#[tokio::test]
async fn two_workers_ranks_meet_through_the_coordinator() {
    let Gang { coordinator: _coordinator, workers: [left, right], sessions: [mut zero, mut one] } =
        Gang::start(&[]).await;
    // One dies; the other cannot go on and says that it was the other.
    kill_process(pid(left.rank().or(right.rank()).unwrap()), Signal::KILL).unwrap();
    let (mut of_zero, mut of_one) = (Vec::new(), Vec::new());
    let (first, second) = tokio::join!(zero.until(&mut of_zero, ended), one.until(&mut of_one, ended));
    let mut outcomes = [first.outcome(), second.outcome()];
    outcomes.sort_unstable();
    assert_eq!(outcomes, [RankOutcome::PeerLost, RankOutcome::Unknown], "{first:?} {second:?}");
}
