use std::fs;

use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, JobState, Series, ShowResponse};

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
    assert_eq!(fetch.code(), Some(75));
    assert!(fetch.stderr().contains("got 4 of 11 bytes"), "{}", fetch.stderr());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
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
