use std::{process::Stdio, sync::Arc};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_proto::v1::{JobState, WatchResponse};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

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
async fn watching_outlives_a_broken_connection() {
    let watches = [vec![snapshot(JobState::Running), snapshot(JobState::Succeeded)]];
    let (server, script) = Coordinator::start(Script::default()).await;
    let (relay, cut) = relay(server.trim_start_matches("http://").to_owned()).await;
    let mut watch =
        tandem(&relay, &["watch", "quickstart"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stderr = BufReader::new(watch.stderr.take().unwrap()).lines();
    // The first stream stays silent until its connection breaks.
    while script.lock().unwrap().watched == 0 {
        tokio::task::yield_now().await;
    }
    script.lock().unwrap().watches = watches.into();
    cut.notify_one();
    assert!(stderr.next_line().await.unwrap().unwrap().contains("away"));
    assert_eq!(stderr.next_line().await.unwrap().unwrap(), "the coordinator is back");
    assert_eq!(watch.wait().await.unwrap().code(), Some(0));
}

/// Passes bytes on until it is told to cut the connections it has; later ones pass again.
async fn relay(to: String) -> (String, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let cut = Arc::new(Notify::new());
    let signal = cut.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&to).await.unwrap();
            let signal = signal.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = signal.notified() => near.set_zero_linger().unwrap(),
                }
            });
        }
    });
    (address, cut)
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
