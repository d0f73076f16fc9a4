use std::path::Path;

use tandem_domain::timing::{DEFAULT, STOP_GRACE};
use tandem_learn::report::Event;
use tokio::time::timeout;

use super::*;
use crate::spool::{SpoolHeader, Writer};

const DEADLINE: Duration = Duration::from_secs(30);

/// A shell in the place of a rank: it says `events`, then does `script`.
fn attempt(state: &Path, rank: u32, events: &[Event], script: &str) -> Attempt {
    let echoes = events.iter().map(|event| format!("echo '{}'\n", serde_json::to_string(event).unwrap()));
    let launch = Launch {
        executable: "/bin/sh".into(),
        arg0: "sh",
        arguments: vec!["-c".to_owned(), echoes.chain([script.to_owned()]).collect()],
        environment: Vec::new(),
        hidden_environment: &[],
        first_line: "task".to_owned(),
    };
    let report_log =
        ReportLog::new(state, SpoolHeader { attempt_id: "a".to_owned(), fence: 3, rank }, Writer::start().unwrap());
    Attempt::start(Instant::now(), report_log, "/srv/store".into(), Surroundings::default(), DEFAULT.progress, &launch)
        .unwrap()
}

fn checkpoint(step: u64) -> Event {
    Event::Checkpoint {
        step,
        path: "/srv/store/jobs/7".into(),
        sha256: "ab".to_owned(),
        bytes: 9,
        state_sha256: "cd".to_owned(),
    }
}

/// Takes in what comes until `enough`.
async fn listen(attempt: &mut Attempt, now: Instant, enough: impl Fn(&Attempt) -> bool) {
    while !enough(attempt) {
        let output = timeout(DEADLINE, attempt.next()).await.expect("the rank says nothing");
        attempt.handle(now, output);
    }
}

/// What the coordinator is told: the kinds of events, and the verdict.
fn sent(attempt: &mut Attempt, now: Instant) -> (Vec<Kind>, Option<(RankOutcome, String)>) {
    let (mut events, mut end) = (Vec::new(), None);
    while let Some(message) = attempt.message(now) {
        match message {
            WorkerMessage::Report(report) => events.extend(report.events.into_iter().filter_map(|event| event.event)),
            WorkerMessage::RankEnded(ended) => end = Some((ended.outcome(), ended.cause)),
            other => panic!("{other:?}"),
        }
    }
    (events, end)
}

#[tokio::test]
async fn rank_0_hears_which_checkpoint_is_committed_and_others_do_not() {
    // While a backup is taken, nobody hears of it.
    for (rank, keep_files, expected) in
        [(0, false, r#"{"command":"committed","step":20}"#), (0, true, "nothing"), (1, false, "nothing")]
    {
        let state = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let script = "read task; echo ready; read line; echo ${line:-nothing}";
        let mut attempt = attempt(state.path(), rank, &[checkpoint(10), checkpoint(20)], script);
        // Two checkpoints, one line of the log of the rank's own.
        for _ in 0..3 {
            let output = timeout(DEADLINE, attempt.next()).await.expect("the rank says nothing");
            attempt.handle(now, output);
        }
        // Each checkpoint has a line of the log behind it.
        attempt.confirm(4, keep_files);
        if expected == "nothing" {
            attempt.child.write_line(String::new());
        }
        listen(&mut attempt, now, Attempt::has_ended).await;
        let (events, _) = sent(&mut attempt, now + Duration::from_secs(1));
        assert_eq!(events.last(), Some(&Kind::Log(LogEvent { line: expected.to_owned() })), "{events:?}");
    }
}

#[tokio::test]
async fn a_keep_alive_is_for_the_clock_alone() {
    let state = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut attempt = attempt(state.path(), 0, &[Event::KeepAlive { slowest_ms: 200 }], "read task; read line");
    let later = start + Duration::from_secs(30);
    listen(&mut attempt, later, |attempt| attempt.clock.slowest().is_some()).await;
    let running = attempt.running(later + Duration::from_secs(7)).unwrap();
    assert_eq!((running.idle_ms, running.slowest_ms), (7000, Some(200)));
    assert_eq!(sent(&mut attempt, later + Duration::from_secs(7)), (Vec::new(), None));
}

#[tokio::test]
async fn a_rank_that_cannot_end_itself_is_ended_and_a_frozen_worker_does_not_mistake_it() {
    let state = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut attempt = attempt(state.path(), 0, &[Event::KeepAlive { slowest_ms: 200 }], "kill -STOP $$");
    listen(&mut attempt, start, |attempt| attempt.clock.slowest().is_some()).await;
    let minute = Duration::from_secs(60);
    attempt.shift(minute);
    attempt.tick(start + minute);
    assert_eq!(attempt.state, RankState::Running);
    assert_eq!(attempt.tick_at(), Some(start + minute + DEFAULT.progress.self_end));

    let late = start + minute + DEFAULT.progress.self_end;
    attempt.tick(late);
    listen(&mut attempt, late, Attempt::has_ended).await;
    let (_, end) = sent(&mut attempt, late);
    let (outcome, cause) = end.unwrap();
    assert_eq!(outcome, RankOutcome::Lost);
    assert!(
        cause.starts_with("the rank made no progress for 50 s (its slowest unit of work so far took 0.2 s)"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_rank_that_does_not_make_room_in_time_is_nobodys_fault() {
    for (slowest_ms, grace) in [(200, STOP_GRACE), (8000, Duration::from_secs(32))] {
        let state = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let script = "trap '' TERM; echo ready >&2; while :; do read line || :; done";
        let mut attempt = attempt(state.path(), 0, &[Event::KeepAlive { slowest_ms }], script);
        listen(&mut attempt, start, |attempt| attempt.last_log_line.is_some()).await;
        attempt.stop(start, "job `b` is more urgent");
        attempt.tick(start + grace - Duration::from_millis(1));
        assert!(matches!(attempt.state, RankState::Stopping { .. }), "{:?}", attempt.state);
        assert_eq!(attempt.tick_at(), Some(start + grace));
        attempt.tick(start + grace);
        listen(&mut attempt, start + grace, Attempt::has_ended).await;
        let (_, end) = sent(&mut attempt, start + grace);
        let cause = format!(
            "did not finish its step within {} s of SIGTERM (job `b` is more urgent); goes on from the checkpoint before",
            grace.as_secs()
        );
        assert_eq!(end, Some((RankOutcome::Preempted, cause)));
    }
}
