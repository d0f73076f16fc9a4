//! Several coordinators: whichever answers serves, and either may die.

use std::fs;

use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, JobState, LogLine, ShowResponse, WatchResponse};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

/// Bound and dropped: nobody listens there.
fn nobody() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

fn snapshot(state: JobState) -> WatchResponse {
    WatchResponse { jobs: vec![job("encoder", state)], done: state == JobState::Succeeded }
}

#[tokio::test]
async fn every_command_asks_the_next_coordinator() {
    let (server, _) = Coordinator::start(Script { jobs: vec![job("a", JobState::Queued)], ..Script::default() }).await;
    let servers = format!("{},{server}", nobody());
    for args in [
        &["list"][..],
        &["status"],
        &["show", "x"],
        &["cancel", "x"],
        &["results"],
        &["logs", "x"],
        &["release", "cpu-0"],
    ] {
        let answer = run(&servers, args).await;
        assert_eq!(answer.code(), Some(0), "{args:?}: {}", answer.stderr());
    }
    assert_eq!(run(&servers, &["status", "--json"]).await.json()["server"], server, "the one that answered");
}

#[tokio::test]
async fn all_that_were_tried_are_named() {
    let (a, b) = (nobody(), nobody());
    for args in [&["list"][..], &["watch", "x"], &["logs", "x"]] {
        let answer = run(&format!("{a},{b}"), args).await;
        assert_eq!(answer.code(), Some(69), "{args:?}: {}", answer.stderr());
        assert!(answer.stderr().contains(&a) && answer.stderr().contains(&b), "{}", answer.stderr());
    }
}

#[tokio::test]
async fn waiting_goes_on_by_another_coordinator() {
    // The first one ends its stream, and never says anything again.
    let (a, _) =
        Coordinator::start(Script { watches: [vec![snapshot(JobState::Running)]].into(), ..Script::default() }).await;
    let watches = [vec![snapshot(JobState::Running), snapshot(JobState::Succeeded)]].into();
    let (b, _) = Coordinator::start(Script { watches, ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.toml");
    fs::write(&file, "").unwrap();
    let wait = run(&format!("{a},{b}"), &["submit", file.to_str().unwrap(), "--wait"]).await;
    assert_eq!(wait.code(), Some(0), "{}", wait.stderr());
}

#[tokio::test]
async fn a_log_goes_on_where_it_broke() {
    let line = |sequence: u64| LogLine { line: format!("line {sequence}"), sequence, ..LogLine::default() };
    let logs = |last| (1..=last).map(line).collect();
    let (a, _) = Coordinator::start(Script { logs: logs(2), breaks: true, ..Script::default() }).await;
    let (b, _) = Coordinator::start(Script { logs: logs(4), ..Script::default() }).await;
    let log = run(&format!("{a},{b}"), &["logs", "x"]).await;
    assert_eq!(log.code(), Some(0), "{}", log.stderr());
    let said: Vec<&str> = log.stdout().lines().map(|line| line.rsplit("| ").next().unwrap()).collect();
    assert_eq!(said, ["line 1", "line 2", "line 3", "line 4"]);
}

#[tokio::test]
async fn a_file_comes_whole_from_two_coordinators() {
    const BYTES: &[u8] = b"the weights";
    let script = |chunks: &[&[u8]], breaks| {
        let artifact = Artifact {
            name: "encoder.safetensors".to_owned(),
            bytes: BYTES.len() as u64,
            sha256: hex::encode(Sha256::digest(BYTES)),
            ..Artifact::default()
        };
        let shown = ShowResponse {
            jobs: vec![job("encoder", JobState::Succeeded)],
            artifacts: vec![artifact],
            ..ShowResponse::default()
        };
        Script { shown, chunks: chunks.iter().map(|chunk| chunk.to_vec()).collect(), breaks, ..Script::default() }
    };
    let (a, _) = Coordinator::start(script(&[&BYTES[..6]], true)).await;
    let (b, _) = Coordinator::start(script(&[&BYTES[..4], &BYTES[4..]], false)).await;
    let dir = tempfile::tempdir().unwrap();
    let fetch = run(&format!("{a},{b}"), &["fetch", "x", "--out", dir.path().to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    assert_eq!(fs::read(dir.path().join("encoder/encoder.safetensors")).unwrap(), BYTES);
}

#[tokio::test]
async fn what_answers_and_is_no_coordinator_is_told_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 64];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
            let page = b"HTTP/1.0 400 Bad request syntax\r\nContent-Type: text/html\r\n\r\n<html>no</html>";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, page).await;
        }
    });
    let status = run(&server, &["status"]).await;
    assert_eq!(status.code(), Some(69), "{}", status.stderr());
    assert!(status.stderr().contains("does not speak as a coordinator does"), "{}", status.stderr());
}
