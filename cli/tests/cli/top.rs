//! `tandem top` in a real terminal of 80x24.

use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use tandem_proto::v1::{Event, Job, JobState, Progress, Scalar, Series, ShowResponse, StatusResponse, Worker};

use crate::{
    coordinator::{Coordinator, Script, job},
    pty::Pty,
    run, tandem,
};

fn house() -> Script {
    let loss = Scalar { name: "loss".to_owned(), value: 4.5 };
    let progress = Progress { step: 42, steps: 100, metrics: vec![loss], ..Progress::default() };
    let running = Job { progress: Some(progress), ..job("encoder", JobState::Running) };
    let reason = "waits for 1 cpu worker".to_owned();
    let waiting = Job { reason, ..job("later", JobState::Queued) };
    let worker = Worker {
        id: "w".to_owned(),
        name: "cpu-0".to_owned(),
        job_id: running.id.clone(),
        job_name: "encoder".to_owned(),
        experiment: "quickstart".to_owned(),
        ..Worker::default()
    };
    let event = Event { kind: "assigned".to_owned(), message: "attempt 1 to cpu-0".to_owned(), ..Event::default() };
    let series = Series {
        job_id: running.id.clone(),
        name: "loss".to_owned(),
        steps: (0..40).collect(),
        values: (0..40).map(|step| 5.5 - f64::from(step) / 40.0).collect(),
        ..Series::default()
    };
    Script {
        status: StatusResponse { running: 1, queued: 1, workers: vec![worker], ..StatusResponse::default() },
        shown: ShowResponse { jobs: vec![running.clone()], events: vec![event], ..ShowResponse::default() },
        jobs: vec![running, waiting],
        series: vec![series],
        ..Script::default()
    }
}

async fn top() -> (Pty, Arc<Mutex<Script>>) {
    let (server, script) = Coordinator::start(house()).await;
    let top = Pty::spawn(tandem(&server, &["top"]), (80, 24));
    top.until_shown("waits for 1 cpu worker").await;
    (top, script)
}

#[tokio::test]
async fn a_person_looks_around_and_leaves() {
    let (mut top, script) = top().await;
    let shown = top.until(|screen| screen.alternate_screen() && screen.hide_cursor()).await;
    for part in ["1 running, 1 queued", "cpu-0", "quickstart/encoder", "42 %", "quickstart/later"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    top.press("\r");
    top.until_shown("attempt 1 to cpu-0").await;
    let shown = top.until(|screen| screen.contents().contains('└')).await;
    assert!(shown.contains("[loss 4.500]") && shown.contains("5.5"), "{shown}");
    // An escape alone is a key, too.
    top.press("\u{1b}");
    top.until_shown("WAITING").await;
    top.press("/later\r");
    top.until_shown("nothing matches the filter").await;
    top.press("\u{1b}");
    // What the coordinator has to say is followed without a key.
    script.lock().unwrap().jobs[1].reason = "another reason".to_owned();
    top.until_shown("another reason").await;
    top.resize((60, 20));
    top.until_shown("quickstart/encoder").await;
    top.press("q");
    assert_eq!(top.ended().await.code(), Some(0));
    top.until_given_back().await;
    assert!(script.lock().unwrap().cancels.is_empty());
}

#[tokio::test]
async fn a_job_is_cancelled_after_a_question() {
    let (mut top, script) = top().await;
    top.press("cn");
    top.until_shown("quickstart/encoder goes on").await;
    top.press("c");
    top.until_shown("cancel quickstart/encoder? [y/N]").await;
    top.press("y");
    top.until_shown("quickstart/encoder is cancelled").await;
    let cancelled: Vec<String> = script.lock().unwrap().cancels.iter().map(|one| one.target.clone()).collect();
    assert_eq!(cancelled, [job("encoder", JobState::Running).id]);
    top.press("\u{3}");
    assert_eq!(top.ended().await.code(), Some(0));
    top.until_given_back().await;
}

#[tokio::test]
async fn it_stays_while_the_coordinator_is_away() {
    let (mut top, script) = top().await;
    top.press("\r");
    top.until_shown("attempt 1 to cpu-0").await;
    let showed = {
        let mut script = script.lock().unwrap();
        script.away = true;
        script.showed
    };
    let shown = top.until_shown("the coordinator is away for 2 s").await;
    assert!(shown.contains("quickstart/encoder"), "what was known stays: {shown}");
    let asked = {
        let mut script = script.lock().unwrap();
        script.away = false;
        script.showed - showed
    };
    assert!(asked <= 8, "who is away is asked once a second, and was {asked} times");
    top.until_shown("1 running, 1 queued").await;
    top.press("q");
    top.until_shown("WAITING").await;
    top.press("q");
    assert_eq!(top.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_terminal_is_given_back_to_whoever_ends_it() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let (mut top, _script) = top().await;
        top.signal(signal);
        assert_eq!(top.ended().await.code(), Some(130), "{signal}");
        top.until_given_back().await;
    }
}

#[tokio::test]
async fn the_shell_has_the_terminal_meanwhile() {
    let (mut top, _script) = top().await;
    for stop in ["key", "signal"] {
        if stop == "key" {
            top.press("\u{1a}");
        } else {
            top.signal(Signal::SIGTSTP);
        }
        top.until_given_back().await;
        top.until_stopped().await;
        top.signal(Signal::SIGCONT);
        top.until(|screen| screen.alternate_screen() && screen.contents().contains("quickstart/encoder")).await;
    }
    top.press("q");
    assert_eq!(top.ended().await.code(), Some(0));
    top.until_given_back().await;
}

#[tokio::test]
async fn where_it_cannot_be_drawn_it_is_refused_with_a_sentence() {
    let (server, _) = Coordinator::start(house()).await;
    let piped = run(&server, &["top"]).await;
    assert_eq!(piped.code(), Some(2));
    assert!(piped.stderr().contains("stdin or stdout is no terminal: `tandem status`"), "{}", piped.stderr());
    assert_eq!(run(&server, &["top", "--json"]).await.code(), Some(2));
    let mut dumb = Pty::dumb(tandem(&server, &["top"]), (80, 24));
    assert_eq!(dumb.ended().await.code(), Some(2));
    let shown = dumb.until_shown("TERM says").await;
    assert!(shown.contains("tandem top draws on a whole screen"), "{shown}");
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_told_as_anywhere() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut top = Pty::spawn(tandem(&format!("http://127.0.0.1:{port}"), &["top"]), (80, 24));
    assert_eq!(top.ended().await.code(), Some(69));
    top.until_shown("connection refused").await;
    top.until_given_back().await;
}
