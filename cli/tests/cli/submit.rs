use std::process::Stdio;

use tandem_proto::v1::{JobState, PlannedJob, SubmitResponse, WatchResponse};
use tonic::Status;

use crate::{
    coordinator::{Coordinator, Script, job},
    run, tandem,
};

fn experiment() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, "name = \"a\"\n").unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let (_dir, file) = experiment();
    let submit_answers = [Err(Status::unavailable("going down"))].into();
    let (server, script) = Coordinator::start(Script { submit_answers, ..Script::default() }).await;
    let submit = run(&server, &["submit", &file, "--json"]).await;
    assert_eq!(submit.code(), Some(0), "{}", submit.stderr());
    assert_eq!(submit.json()["jobs"][0]["id"], "7f");
    let script = script.lock().unwrap();
    assert_eq!(script.submits.len(), 2);
    assert_eq!(script.submits[0].idempotency_key, script.submits[1].idempotency_key);
    assert_eq!(script.submits[0].toml, "name = \"a\"\n");
}

#[tokio::test]
async fn a_wrong_file_is_65_with_the_coordinators_own_words() {
    let (_dir, file) = experiment();
    let words = "a.toml:12:9: unknown key `epoch` in [jobs.encoder]; did you mean `epochs`?";
    let submit_answers = [Err(Status::invalid_argument(words))].into();
    let (server, _) = Coordinator::start(Script { submit_answers, ..Script::default() }).await;
    let submit = run(&server, &["submit", &file]).await;
    assert_eq!((submit.code(), submit.stdout()), (Some(65), ""));
    assert_eq!(submit.stderr(), format!("tandem: {words}\n"));
}

#[tokio::test]
async fn a_missing_file_is_66_and_binary_is_65() {
    let (server, script) = Coordinator::start(Script::default()).await;
    let missing = run(&server, &["submit", "/nonexistent.toml"]).await;
    assert_eq!(missing.code(), Some(66));
    assert!(missing.stderr().contains("/nonexistent.toml"), "{}", missing.stderr());
    let (dir, _) = experiment();
    let binary = dir.path().join("b.toml");
    std::fs::write(&binary, [b'a', 0xff]).unwrap();
    assert_eq!(run(&server, &["submit", binary.to_str().unwrap()]).await.code(), Some(65));
    assert!(script.lock().unwrap().submits.is_empty());
}

#[tokio::test]
async fn a_dry_run_that_would_be_refused_is_65() {
    let (_dir, file) = experiment();
    let refused = PlannedJob { refusal: "stage `attack` cannot run yet".to_owned(), ..PlannedJob::default() };
    let answer = || Ok(SubmitResponse { jobs: vec![refused.clone()], ..SubmitResponse::default() });
    let submit_answers = [answer(), answer()].into();
    let (server, script) = Coordinator::start(Script { submit_answers, ..Script::default() }).await;
    let people = run(&server, &["submit", &file, "--dry-run"]).await;
    assert_eq!(people.code(), Some(65));
    assert!(people.stdout().contains("cannot run yet"), "{}", people.stdout());
    let scripts = run(&server, &["submit", &file, "--dry-run", "--json"]).await;
    assert_eq!(scripts.code(), Some(65));
    assert_eq!(scripts.json()["dry_run"], true);
    assert!(script.lock().unwrap().submits.iter().all(|submit| submit.dry_run));
}

#[tokio::test]
async fn waiting_ends_with_one_document_and_the_jobs_fate() {
    let (_dir, file) = experiment();
    let running = vec![job("encoder", JobState::Running), job("linear", JobState::Blocked)];
    let ended = vec![job("encoder", JobState::Failed), job("linear", JobState::Cancelled)];
    let snapshots = vec![WatchResponse { jobs: running, done: false }, WatchResponse { jobs: ended, done: true }];
    let (server, _) = Coordinator::start(Script { watches: [snapshots].into(), ..Script::default() }).await;
    let submit = run(&server, &["submit", &file, "--wait", "--json"]).await;
    assert_eq!(submit.code(), Some(1));
    assert_eq!(submit.json()["jobs"][1]["state"], "cancelled");
    assert!(submit.stderr().contains("encoder  running\n"), "{}", submit.stderr());
    assert!(submit.stderr().contains("encoder  failed\n"), "{}", submit.stderr());
}

#[tokio::test]
async fn every_answer_is_one_json_document() {
    let jobs = vec![job("encoder", JobState::Succeeded)];
    let (server, script) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    for args in [
        &["list"][..],
        &["status"],
        &["show", "x"],
        &["cancel", "x"],
        &["results"],
        &["logs", "x"],
        &["completions", "bash"],
    ] {
        let answer = run(&server, &[args, &["--json"]].concat()).await;
        assert_eq!(answer.code(), Some(0), "{args:?}: {}", answer.stderr());
        assert!(answer.json().is_object(), "{args:?}");
    }
    let list = run(&server, &["list"]).await;
    assert!(list.stdout().contains("quickstart  encoder"), "{}", list.stdout());
    assert_eq!(script.lock().unwrap().authorizations, [None, None], "no token was given");
}

#[tokio::test]
async fn what_is_not_there_is_66() {
    let (server, _) = Coordinator::start(Script::default()).await;
    let show = run(&server, &["show", "nobody"]).await;
    assert_eq!(show.code(), Some(66));
    assert_eq!(show.stderr(), "tandem: cannot show `nobody`: no job or experiment `nobody`\n");
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_error() {
    let jobs = (0..2000).map(|index| job(&format!("job-{index}"), JobState::Queued)).collect();
    let (server, _) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    let mut list = tandem(&server, &["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds, and nobody reads it.
    drop(list.stdout.take());
    let ended = list.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[tokio::test]
async fn a_file_is_changed_for_one_submit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    let text = "name = \"a\"\nseed = 1 # ours\n[jobs.x]\nstage = \"supervised\"\n[jobs.x.sweep]\nepochs = [1, 2]\n";
    std::fs::write(&path, text).unwrap();
    let file = path.to_str().unwrap();
    let (server, script) = Coordinator::start(Script::default()).await;
    let submit = run(&server, &["submit", file, "--set", "seed=2", "--set", "epochs=3", "--name", "b"]).await;
    assert_eq!(submit.code(), Some(0), "{}", submit.stderr());
    let sent = script.lock().unwrap().submits.remove(0);
    assert_eq!(sent.toml, "name = \"b\"\nseed = 2 # ours\n[jobs.x]\nstage = \"supervised\"\nepochs = 3\n");
    assert_eq!(sent.file_name, format!("{file} (as changed)"));
    assert!(submit.stderr().contains("x.epochs = 3 (was swept: [1, 2])"), "{}", submit.stderr());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "the file stays");

    let unknown = run(&server, &["submit", file, "--set", "jobs.y.epochs=3"]).await;
    assert_eq!(unknown.code(), Some(2));
    assert!(unknown.stderr().contains("no job is called `y`; the file has x"), "{}", unknown.stderr());
    assert_eq!(run(&server, &["submit", file, "--set", "epochs"]).await.code(), Some(2));
    assert!(script.lock().unwrap().submits.is_empty());
}

#[tokio::test]
async fn a_file_to_start_from_is_written_once_and_submitted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    let file = path.to_str().unwrap();
    let (server, script) = Coordinator::start(Script::default()).await;
    let init = run(&server, &["init", "finetune", file]).await;
    assert_eq!(init.code(), Some(0), "{}", init.stderr());
    assert_eq!(run(&server, &["init", "finetune", file]).await.code(), Some(73), "it is there already");
    assert_eq!(run(&server, &["init", "finetune", file, "--force"]).await.code(), Some(0));
    assert_eq!(run(&server, &["submit", file]).await.code(), Some(0));
    let sent = script.lock().unwrap().submits.remove(0).toml;
    assert_eq!(sent, std::fs::read_to_string(&path).unwrap());
    assert_eq!(run(&server, &["init", "finetune", "-"]).await.stdout(), sent);
    assert_eq!(run(&server, &["init", "fine-tune"]).await.code(), Some(2));
    let schema = run(&server, &["schema"]).await;
    assert_eq!(schema.json()["title"], "Tandem experiment");
}
