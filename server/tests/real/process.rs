//! The binary: what it says and how it ends.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Instant,
};

use crate::ground::{Ground, PATIENCE};

fn server(url: &str, store: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-server"));
    // The environment of whoever runs the tests must not matter.
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

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The announced address, once it is there.
fn announced(server: &mut Running, announce: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(text) = fs::read_to_string(announce) {
            let announced: serde_json::Value = serde_json::from_str(&text).unwrap();
            return announced["address"].as_str().unwrap().to_owned();
        }
        assert!(server.0.try_wait().unwrap().is_none(), "the server ended before it was ready");
        std::thread::yield_now();
    }
    panic!("the server was not ready in time");
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    // Port 1 (tcpmux) is closed on every machine that runs tests.
    let absent = "postgres://tandem:secret@127.0.0.1:1/tandem";
    refused(server(absent, &store, &["--listen=127.0.0.1:0"]), 69, &["127.0.0.1:1/tandem", "Is Postgres running"]);
    refused(server("mysql://x/y", &store, &["--listen=127.0.0.1:0"]), 78, &["mysql://x/y", "postgres://USER"]);
    refused(server(absent, &store, &["--listen=0.0.0.0:0"]), 78, &["0.0.0.0:0", "--insecure"]);
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
    let ground = Ground::new();
    let (store, announce) = (ground.dir.path().join("store"), ground.dir.path().join("announce.json"));
    let url = ground.url();
    let more = ["--listen=127.0.0.1:0", "--log-format=json", "--announce", announce.to_str().unwrap()];
    let log = ground.dir.path().join("log");
    let mut command = server(&url, &store, &more);
    let mut running = Running(command.stderr(Stdio::from(fs::File::create(&log).unwrap())).spawn().unwrap());
    assert!(announced(&mut running, &announce).starts_with("http://127.0.0.1:"));

    let asked = Command::new("kill").arg("-TERM").arg(running.0.id().to_string()).status().unwrap();
    assert!(asked.success());
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match running.0.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::yield_now(),
            None => panic!("the server does not stop"),
        }
    };
    assert_eq!(status.code(), Some(0));
    for line in fs::read_to_string(&log).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(!line.to_string().contains(url.split(['/', ':', '@']).nth(4).unwrap()), "the password is in the log");
    }
    assert_eq!(ground.psql("SELECT count(*) FROM leader WHERE expires_at > now()"), "0", "it lets others lead at once");
}
