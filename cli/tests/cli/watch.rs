use std::process::Stdio;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_proto::v1::{JobState, WatchResponse};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    coordinator::{Coordinator, Script, job},
    run, tandem,
};

fn snapshot(state: JobState) -> WatchResponse {
    WatchResponse { jobs: vec![job("encoder", state)], done: state == JobState::Succeeded }
}

#[tokio::test]
async fn watching_outlives_a_restart_of_the_coordinator() {
    let watches = [vec![snapshot(JobState::Running)], vec![snapshot(JobState::Running), snapshot(JobState::Succeeded)]];
    let (server, _) = Coordinator::start(Script { watches: watches.into(), ..Script::default() }).await;
    let watch = run(&server, &["watch", "quickstart"]).await;
    assert_eq!(watch.code(), Some(0), "{}", watch.stderr());
    let lines: Vec<&str> = watch.stderr().lines().collect();
    assert_eq!(lines[0], "encoder  running");
    assert!(lines[1].contains("away"), "{lines:?}");
    assert_eq!(lines[2..], ["the coordinator is back", "encoder  succeeded"]);
    assert!(watch.stdout().contains("succeeded"), "{}", watch.stdout());
}

#[tokio::test]
async fn snapshots_are_json_lines() {
    let watches = [vec![snapshot(JobState::Queued), snapshot(JobState::Succeeded)]].into();
    let (server, _) = Coordinator::start(Script { watches, ..Script::default() }).await;
    let watch = run(&server, &["watch", "quickstart", "--json"]).await;
    let states: Vec<String> = watch
        .stdout()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["jobs"][0]["state"].to_string())
        .collect();
    assert_eq!(states, ["\"queued\"", "\"succeeded\""]);
}

#[tokio::test]
async fn ctrl_c_leaves_the_jobs_running_and_says_so() {
    let (server, _) = Coordinator::start(Script::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.toml");
    std::fs::write(&file, "").unwrap();
    let mut wait = tandem(&server, &["submit", file.to_str().unwrap(), "--wait"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(wait.stderr.take().unwrap()).lines();
    // It listens to Ctrl-C before it says its first word.
    assert!(stderr.next_line().await.unwrap().unwrap().starts_with("submitted quickstart"));
    kill(Pid::from_raw(wait.id().unwrap().cast_signed()), Signal::SIGINT).unwrap();
    let said = stderr.next_line().await.unwrap().expect("a word before it ends");
    assert!(said.contains("the jobs go on") && said.contains("tandem cancel e-1"), "{said}");
    assert_eq!(wait.wait().await.unwrap().code(), Some(130));
}
