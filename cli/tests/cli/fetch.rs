use std::fs;

use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, Job, JobState, Series, ShowResponse, Submission};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

const BYTES: &[u8] = b"the weights";

fn script(chunks: &[&[u8]], name: &str) -> Script {
    let sha256 = hex::encode(Sha256::digest(BYTES));
    let artifact = Artifact {
        id: "a-1".to_owned(),
        kind: "encoder".to_owned(),
        name: name.to_owned(),
        bytes: BYTES.len() as u64,
        sha256,
        ..Artifact::default()
    };
    let shown = ShowResponse {
        jobs: vec![job("encoder", JobState::Succeeded)],
        artifacts: vec![artifact],
        ..Default::default()
    };
    Script { shown, chunks: chunks.iter().map(|chunk| chunk.to_vec()).collect(), ..Script::default() }
}

#[tokio::test]
async fn a_file_comes_whole_and_is_not_replaced_by_accident() {
    let (server, _) = Coordinator::start(script(&[&BYTES[..4], &BYTES[4..]], "encoder.safetensors")).await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/folder");
    let args = ["fetch", "x", "--out", out.to_str().unwrap(), "--json"];
    let fetch = run(&server, &args).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    let file = out.join("encoder.safetensors");
    assert_eq!(fetch.json()["files"][0]["path"], file.to_str().unwrap());
    assert_eq!(fs::read(&file).unwrap(), BYTES);

    fs::write(&file, "mine").unwrap();
    let again = run(&server, &args).await;
    assert_eq!(again.code(), Some(73));
    assert!(again.stderr().contains("--force"), "{}", again.stderr());
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(run(&server, &[&args[..], &["--force"]].concat()).await.code(), Some(0));
    assert_eq!(fs::read(&file).unwrap(), BYTES);
}

#[tokio::test]
async fn a_damaged_file_never_appears() {
    let (server, _) = Coordinator::start(script(&[&BYTES[..4]], "encoder.safetensors")).await;
    let dir = tempfile::tempdir().unwrap();
    let fetch = run(&server, &["fetch", "x", "--out", dir.path().to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(74));
    assert!(
        fetch.stderr().contains("got 4 of 11 bytes") && !fetch.stderr().contains("try again"),
        "{}",
        fetch.stderr()
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_files_of_many_jobs_are_named_by_one_call() {
    let mut script = script(&[BYTES], "encoder.safetensors");
    let jobs = ["a", "b", "c"].map(|name| job(name, JobState::Succeeded));
    let one = script.shown.artifacts.remove(0);
    script.shown.artifacts = jobs.iter().map(|job| Artifact { job_id: job.id.clone(), ..one.clone() }).collect();
    script.shown.jobs = jobs.to_vec();
    let (server, script) = Coordinator::start(script).await;
    let dir = tempfile::tempdir().unwrap();
    let fetch = run(&server, &["fetch", "x", "--out", dir.path().to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    for name in ["a", "b", "c"] {
        assert_eq!(fs::read(dir.path().join(name).join("encoder.safetensors")).unwrap(), BYTES);
    }
    assert_eq!(script.lock().unwrap().showed, 1);
}

#[tokio::test]
async fn where_the_newest_submission_has_nothing_an_older_one_is_named() {
    let older = Some(Submission { id: "ee98e44f-0000".to_owned(), name: "low".to_owned(), owner: "ann".to_owned() });
    let shown = ShowResponse { jobs: vec![job("encoder", JobState::Cancelled)], ..ShowResponse::default() };
    let (server, _) = Coordinator::start(Script { older, shown, ..Script::default() }).await;
    for command in ["fetch", "results"] {
        let answer = run(&server, &[command, "low"]).await;
        assert_eq!(answer.code(), Some(66), "{}", answer.stderr());
        assert!(answer.stderr().contains(&format!("tandem {command} ee98e44f")), "{}", answer.stderr());
    }
}

#[tokio::test]
async fn a_name_that_leaves_the_folder_is_refused() {
    let (server, _) = Coordinator::start(script(&[BYTES], "../escaped")).await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let fetch = run(&server, &["fetch", "x", "--out", out.to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(70));
    assert!(!dir.path().join("escaped").exists());
}

#[tokio::test]
async fn curves_are_drawn_from_what_was_measured() {
    let mut encoder = job("encoder", JobState::Succeeded);
    encoder.id = "j-1".to_owned();
    let loss = Series {
        job_id: "j-1".to_owned(),
        name: "loss".to_owned(),
        steps: vec![0, 10, 20],
        values: vec![5.5, 5.0, 4.8],
        ..Series::default()
    };
    let jobs = vec![encoder, job("linear", JobState::Succeeded)];
    let (server, _) = Coordinator::start(Script { jobs, series: vec![loss], ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("loss.svg");
    let args = ["results", "quickstart", "--plot", file.to_str().unwrap()];
    let results = run(&server, &args).await;
    assert_eq!(results.code(), Some(0), "{}", results.stderr());
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.contains("encoder") && svg.contains("quickstart"));
    assert_eq!(run(&server, &args).await.code(), Some(73), "it is there already");
    let nothing = run(&server, &[&args[..], &["--metric", "unknown", "--force"]].concat()).await;
    assert_eq!(nothing.code(), Some(66));
    assert!(nothing.stderr().contains("unknown"), "{}", nothing.stderr());
    assert_eq!(fs::read_to_string(&file).unwrap(), svg);
}

#[tokio::test]
async fn a_curve_without_a_number_is_not_drawn() {
    let encoder = Job { id: "j-1".to_owned(), ..job("encoder", JobState::Succeeded) };
    let loss = Series {
        job_id: "j-1".to_owned(),
        name: "loss".to_owned(),
        steps: vec![0, 10],
        values: vec![f64::NAN, f64::INFINITY],
        ..Series::default()
    };
    let (server, _) = Coordinator::start(Script { jobs: vec![encoder], series: vec![loss], ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("loss.svg");
    let results = run(&server, &["results", "x", "--plot", file.to_str().unwrap()]).await;
    assert_eq!(results.code(), Some(66), "{}", results.stderr());
    assert!(results.stderr().contains("nothing to draw") && !file.exists(), "{}", results.stderr());
}
