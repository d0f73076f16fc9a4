//! Input and surroundings at their limits: each has a message and an exit code of its own.

use std::{fs, os::unix::ffi::OsStringExt as _, process::Stdio};

use tandem_proto::v1::{JobState, LogLine};
use tonic::Status;

use crate::{
    Run,
    coordinator::{Coordinator, Script, job},
    pty::Pty,
    run, tandem,
};

#[tokio::test]
async fn an_endless_experiment_is_read_up_to_the_limit_and_not_sent() {
    let (server, script) = Coordinator::start(Script::default()).await;
    let endless = run(&server, &["submit", "/dev/zero"]).await;
    assert_eq!(endless.code(), Some(65), "{}", endless.stderr());
    assert!(endless.stderr().contains("at most 262144 bytes"), "{}", endless.stderr());
    let mut stdin = tandem(&server, &["submit", "-"]);
    stdin.stdin(fs::File::open("/dev/zero").unwrap());
    assert_eq!(stdin.output().await.unwrap().status.code(), Some(65));
    assert!(script.lock().unwrap().submits.is_empty());
    assert_eq!(run(&server, &["submit", &"x".repeat(300)]).await.code(), Some(66), "a name that is too long");
}

#[tokio::test]
async fn a_coordinator_without_its_database_is_not_told_to_be_away() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.toml");
    fs::write(&file, "").unwrap();
    let words = "the database is away: pool timed out while waiting for an open connection";
    let away = || Err(Status::unavailable(words));
    let script = Script { submit_answers: [away(), away()].into(), ..Script::default() };
    let (server, _) = Coordinator::start(script).await;
    let submit = run(&server, &["submit", file.to_str().unwrap()]).await;
    assert_eq!(submit.code(), Some(75));
    assert!(submit.stderr().contains(words) && !submit.stderr().contains("tandem up"), "{}", submit.stderr());
}

#[tokio::test]
async fn too_few_files_are_a_message() {
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", "ulimit -n 6; exec \"$0\" status", env!("CARGO_BIN_EXE_tandem")]);
    let run = Run(shell.env("TANDEM_SERVER", "http://127.0.0.1:1").stdin(Stdio::null()).output().await.unwrap());
    assert_eq!(run.code(), Some(71), "{}", run.stderr());
    assert!(run.stderr().contains("ulimit -n") && !run.stderr().contains("panicked"), "{}", run.stderr());
}

#[tokio::test]
async fn escape_sequences_of_others_do_not_reach_the_terminal() {
    let mut evil = job("enc\u{1b}[2Joder", JobState::Failed);
    evil.owner = "a\u{7}nn".to_owned();
    evil.reason = "\u{1b}]0;title\u{7}\nforged  line".to_owned();
    let logs = vec![LogLine { line: "\u{1b}c\u{1b}[2Jx\ry".to_owned(), ..LogLine::default() }];
    let (server, _) = Coordinator::start(Script { jobs: vec![evil], logs, ..Script::default() }).await;
    for args in [&["list"][..], &["list", "--color", "always"], &["results"], &["logs", "x"]] {
        let answer = run(&server, args).await;
        let steers = |char: char| char.is_control() && char != '\n';
        let text = answer.stdout().replace("\u{1b}[1m", "");
        let left: Vec<_> = text
            .split("\u{1b}[")
            .skip(1)
            .filter(|rest| !rest.split('m').next().unwrap().bytes().all(|b| b.is_ascii_digit() || b == b';'))
            .collect();
        assert!(left.is_empty(), "{args:?}: {left:?}");
        if !args.contains(&"always") {
            assert!(!text.contains(steers), "{args:?}: {text:?}");
        }
        assert!(answer.stdout().lines().count() <= 2, "{args:?}: {text:?}");
    }
    let json = run(&server, &["list", "--json"]).await;
    assert_eq!(json.json()["jobs"][0]["owner"], "a\u{7}nn", "JSON keeps what was said");
}

#[tokio::test]
async fn a_terminal_of_any_width_breaks_no_name() {
    let mut waiting = job("encoder[optimizer.lr=0.1,seed=7]", JobState::Queued);
    (waiting.owner, waiting.stage) = ("ann".to_owned(), "contrastive".to_owned());
    waiting.reason = "waits for 2 cuda workers: gpu-0 and gpu-1 are busy until about 14:20 UTC".to_owned();
    let (server, _) = Coordinator::start(Script { jobs: vec![waiting], ..Script::default() }).await;
    for columns in [60, 80, 200] {
        let mut list = Pty::spawn(tandem(&server, &["list"]), (columns, 24));
        assert_eq!(list.ended().await.code(), Some(0));
        let shown = list.until_shown("14:20 UTC").await;
        assert!(shown.contains("encoder[optimizer.lr=0.1,seed=7]  ") && shown.contains("queued"), "{shown}");
        assert_eq!(shown.contains("STAGE"), columns > 80, "{shown}");
    }
    let mut list = Pty::without_size(tandem(&server, &["list"]));
    assert_eq!(list.ended().await.code(), Some(0));
    let shown = list.until_shown("14:20 UTC").await;
    assert_eq!(shown.trim_end().lines().count(), 2, "one record is one line: {shown}");
}

#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cifar-100-binary");
    fs::create_dir(&folder).unwrap();
    for file in ["train.bin", "test.bin"] {
        fs::write(folder.join(file), "images").unwrap();
    }
    let mut data = tandem("", &["data", "get", "cifar100", "--data", dir.path().to_str().unwrap()]);
    let data = Run(data.env("TANDEM_HOME", "").output().await.unwrap());
    assert_eq!(data.code(), Some(0), "{}", data.stderr());
}

#[tokio::test]
async fn the_default_coordinator_is_named_when_it_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut list = tandem("", &["list"]);
    let list = Run(list.env("TANDEM_HOME", dir.path()).output().await.unwrap());
    assert!(
        list.stderr().starts_with("asking http://127.0.0.1:7077, the default: nothing runs in"),
        "{}",
        list.stderr()
    );
}

#[tokio::test]
async fn what_up_cannot_use_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join(std::ffi::OsString::from_vec(b"caf\xe9".to_vec()));
    let mut up = tandem("", &["up"]);
    let up = Run(up.arg("--dir").arg(&home).output().await.unwrap());
    assert_eq!(up.code(), Some(78), "{}", up.stderr());
    assert!(up.stderr().contains("not UTF-8"), "{}", up.stderr());
    let plain = dir.path().join("home");
    let listen = run("", &["up", "--dir", plain.to_str().unwrap(), "--listen", "127.0.0.1:99999"]).await;
    assert_eq!(listen.code(), Some(2), "{}", listen.stderr());
    assert!(listen.stderr().contains("127.0.0.1:99999"), "{}", listen.stderr());
    assert!(!home.exists() && !plain.exists());
}
