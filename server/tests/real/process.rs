//! The binary: its messages and its exit codes.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use tandem_harness::{Program, TestDatabase, announced_address, until};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::LIMIT;

const SERVER: &str = env!("CARGO_BIN_EXE_tandem-server");

fn server(url: &str, store: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(SERVER);
    // The environment of the tests must have no effect.
    command.env_clear().args(["--database-url", url, "--store"]).arg(store).args(more);
    command
}

fn refused(mut command: Command, code: i32, words: &[&str]) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "`{word}` is missing in: {stderr}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    // Port 1 (tcpmux) is closed on every machine that runs tests.
    let absent = "postgres://tandem:secret@127.0.0.1:1/tandem";
    refused(server(absent, &store, &["--listen=127.0.0.1:0"]), 69, &["127.0.0.1:1/tandem", "Is Postgres running"]);
    refused(server("mysql://x/y", &store, &["--listen=127.0.0.1:0"]), 78, &["mysql://x/y", "postgres://USER"]);
    refused(server(absent, &store, &["--listen=0.0.0.0:0"]), 78, &["0.0.0.0:0", "--tls-dir", "--tls-cert"]);
    refused(server(absent, &store, &["--listen=nonsense"]), 2, &["--help"]);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refused(server(absent, &file.join("store"), &["--listen=127.0.0.1:0"]), 73, &["cannot use the store folder"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    refused(server(absent, &store, &[&listen]), 71, &["cannot listen on 127.0.0.1:", "--listen 127.0.0.1:0"]);
}

#[test]
fn it_announces_itself_and_stops_when_asked() {
    let database = TestDatabase::create();
    let (url, folder) = (database.url(), database.folder.path());
    let (announce, log) = (folder.join("announce.json"), folder.join("log"));
    let program = Program::new("the server", Path::new(SERVER), &log)
        .args(["--database-url", &url, "--listen=127.0.0.1:0", "--log-format=json", "--store"])
        .arg(folder.join("store"))
        .arg("--announce")
        .arg(&announce);
    let mut server = program.start().unwrap();
    let address = until("the server listens", LIMIT, || {
        assert!(server.try_wait().unwrap().is_none(), "the server ended before it was ready");
        announced_address(&announce)
    });
    assert!(address.starts_with("http://127.0.0.1:"));

    server.terminate();
    assert_eq!(server.wait(LIMIT).unwrap().code(), Some(0));
    for line in fs::read_to_string(&log).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(!line.to_string().contains(url.split(['/', ':', '@']).nth(4).unwrap()), "the password is in the log");
    }
    assert_eq!(database.count("leader WHERE expires_at > now()"), 0, "another may lead at once");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let database = TestDatabase::create();
    let (url, folder) = (database.url(), database.folder.path());
    let (announce, log) = (folder.join("announce.json"), folder.join("log"));
    let program = Program::new("the server", Path::new(SERVER), &log)
        .args(["--database-url", &url, "--listen=127.0.0.1:0", "--store"])
        .arg(folder.join("store"))
        .arg("--announce")
        .arg(&announce);
    let mut server = program.start().unwrap();
    let address = until("the server listens", LIMIT, || announced_address(&announce));
    // A client with an open stream is waited for.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _watching = runtime.block_on(async {
        let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        health.watch(HealthCheckRequest::default()).await.unwrap().into_inner()
    });
    let has_logged = |words: &str| fs::read_to_string(&log).unwrap().contains(words).then_some(());
    server.terminate();
    until("the first signal is noticed", LIMIT, || has_logged("shutting down"));
    server.terminate();
    until("the second signal is noticed", LIMIT, || has_logged("ending at once"));
    assert_eq!(server.wait(LIMIT).unwrap().code(), Some(0));
    assert!(!fs::read_to_string(&log).unwrap().contains("stopped"), "it ended in order");
}
