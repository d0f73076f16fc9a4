use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tandem_proto::v1::{self, Artifact, Job, JobState, Series, ShowResponse, Submission};

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
    let (server, script) = Coordinator::start(script(&[&BYTES[..4], &BYTES[4..]], "encoder.safetensors")).await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/folder");
    let args = ["fetch", "x", "--out", out.to_str().unwrap(), "--json"];
    let fetch = run(&server, &args).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    let file = out.join("encoder/encoder.safetensors");
    assert_eq!(fetch.json()["files"][0]["path"], file.to_str().unwrap());
    assert_eq!(fs::read(&file).unwrap(), BYTES);

    let same = run(&server, &args).await;
    assert_eq!((same.code(), &same.json()["files"][0]["was_there"]), (Some(0), &true.into()), "{}", same.stderr());
    assert_eq!(script.lock().unwrap().fetches.len(), 1, "what is there is not fetched again");

    fs::write(&file, "not weights").unwrap();
    let other = run(&server, &args).await;
    let sums = [Sha256::digest("not weights"), Sha256::digest(BYTES)].map(hex::encode);
    assert!(other.code() == Some(73) && sums.iter().all(|sum| other.stderr().contains(sum)), "{}", other.stderr());

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
    assert_eq!(fs::read_dir(dir.path().join("encoder")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_damaged_in_the_store_costs_that_file_alone() {
    let mut both = script(&[BYTES], "encoder.safetensors");
    let lost = Artifact { id: "lost".to_owned(), name: "a.safetensors".to_owned(), ..both.shown.artifacts[0].clone() };
    both.shown.artifacts.insert(0, lost);
    both.bytes_of.insert("lost".to_owned(), BYTES[..4].to_vec());
    let (server, _) = Coordinator::start(both).await;
    let dir = tempfile::tempdir().unwrap();
    let fetch = run(&server, &["fetch", "x", "--out", dir.path().to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(74));
    assert!(
        fetch.stderr().contains("a.safetensors") && fetch.stderr().contains("got 4 of 11 bytes"),
        "{}",
        fetch.stderr()
    );
    assert!(fetch.stderr().contains("1 of 2 files are damaged"), "{}", fetch.stderr());
    assert_eq!(fs::read(dir.path().join("encoder/encoder.safetensors")).unwrap(), BYTES);
    assert!(!dir.path().join("encoder/a.safetensors").exists());
}

#[tokio::test]
async fn a_folder_is_signed_as_a_whole_whatever_is_fetched_into_it_later() {
    let mut both = script(&[BYTES], "encoder.safetensors");
    let curve = Artifact { kind: "curve".to_owned(), name: "curve.csv".to_owned(), ..both.shown.artifacts[0].clone() };
    both.shown.artifacts.push(curve);
    let (server, script) = Coordinator::start(both).await;
    let dir = tempfile::tempdir().unwrap();
    let args = ["fetch", "x", "--out", dir.path().to_str().unwrap()];
    assert_eq!(run(&server, &[&args[..], &["--kind", "curve"]].concat()).await.code(), Some(0));
    assert_eq!(run(&server, &args).await.code(), Some(0));
    assert_eq!(run(&server, &[&args[..], &["--kind", "curve"]].concat()).await.code(), Some(0));
    let asked: Vec<Vec<String>> =
        script.lock().unwrap().receipts_asked.iter().map(|asked| asked.files.clone()).collect();
    let all = ["encoder.safetensors", "curve.csv"].map(str::to_owned);
    assert_eq!(asked, [all[1..].to_vec(), all.to_vec(), all.to_vec()]);
}

/// Where a run that broke off keeps what has arrived.
fn part_of(folder: &Path) -> PathBuf {
    let sha256 = hex::encode(Sha256::digest(BYTES));
    folder.join(format!(".encoder.safetensors.{}.part", &sha256[..16]))
}

#[tokio::test]
async fn what_broke_off_goes_on_where_it_was() {
    let away = Script { breaks: true, ..script(&[&BYTES[..4]], "encoder.safetensors") };
    let (server, script) = Coordinator::start(away).await;
    let dir = tempfile::tempdir().unwrap();
    let args = ["fetch", "x", "--out", dir.path().to_str().unwrap()];
    let folder = dir.path().join("encoder");
    fs::create_dir(&folder).unwrap();
    fs::write(part_of(&folder), &BYTES[..2]).unwrap();
    script.lock().unwrap().breaks = false;
    script.lock().unwrap().chunks = vec![BYTES[..4].to_vec(), BYTES[4..].to_vec()];
    let fetch = run(&server, &args).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    assert_eq!(fs::read(folder.join("encoder.safetensors")).unwrap(), BYTES);
    assert_eq!(script.lock().unwrap().fetches, [("a-1".to_owned(), 2)]);
    assert!(!part_of(&folder).exists());
}

#[tokio::test]
async fn a_part_that_is_damaged_costs_one_more_fetch_and_no_wrong_file() {
    let (server, script) = Coordinator::start(script(&[BYTES], "encoder.safetensors")).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("encoder");
    fs::create_dir(&folder).unwrap();
    for part in [&b"THE"[..], b"much longer than the file itself"] {
        fs::write(part_of(&folder), part).unwrap();
        let fetch = run(&server, &["fetch", "x", "--out", dir.path().to_str().unwrap(), "--force"]).await;
        assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
        let file = folder.join("encoder.safetensors");
        assert_eq!(fs::read(&file).unwrap(), BYTES);
        fs::remove_file(file).unwrap();
    }
    let offsets: Vec<u64> = script.lock().unwrap().fetches.iter().map(|(_, offset)| *offset).collect();
    assert_eq!(offsets, [3, 0, 0]);
}

#[tokio::test]
async fn of_what_failed_the_checkpoint_is_fetched_and_of_what_runs_it_is_said() {
    let state = b"state".to_vec();
    let manifest = serde_json::json!({ "format": 9, "files": [
        { "name": "state.safetensors", "sha256": hex::encode(Sha256::digest(&state)), "bytes": state.len() }
    ] });
    let manifest = manifest.to_string().into_bytes();
    let checkpoint = |step, sha256| v1::Checkpoint {
        step,
        bytes: 400,
        sha256,
        path: format!("jobs/7/step-{step:08}-f3"),
        ..v1::Checkpoint::default()
    };
    let checkpoints = vec![
        checkpoint(8, hex::encode(Sha256::digest(&manifest))),
        // Gone from the store: the one before it is taken.
        checkpoint(16, hex::encode(Sha256::digest("other"))),
    ];
    let jobs = vec![job("encoder", JobState::Failed), job("linear", JobState::Blocked)];
    let shown = ShowResponse { jobs, ..ShowResponse::default() };
    let of_encoder = ShowResponse { checkpoints, ..shown.clone() };
    let (server, _) = Coordinator::start(Script {
        shown,
        shown_of: [("encoder-0000-0000".to_owned(), of_encoder)].into(),
        bytes_of: [("8/".to_owned(), manifest.clone()), ("8/state.safetensors".to_owned(), state.clone())].into(),
        ..Script::default()
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let nothing = run(&server, &["fetch", "x", "--out", out]).await;
    assert_eq!(nothing.code(), Some(66));
    assert!(nothing.stderr().contains("`encoder` (failed), `linear` (blocked)"), "{}", nothing.stderr());
    assert!(nothing.stderr().contains("--checkpoint"), "{}", nothing.stderr());

    let fetch = run(&server, &["fetch", "x", "--out", out, "--checkpoint"]).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    let folder = dir.path().join("encoder.checkpoint-00000008");
    assert_eq!(fs::read(folder.join("manifest.json")).unwrap(), manifest);
    assert_eq!(fs::read(folder.join("state.safetensors")).unwrap(), state);
    assert!(fetch.stderr().contains("`linear` (blocked)"), "{}", fetch.stderr());
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
    let answer = run(&server, &["fetch", "low"]).await;
    assert_eq!(answer.code(), Some(66), "{}", answer.stderr());
    assert!(answer.stderr().contains("tandem fetch ee98e44f"), "{}", answer.stderr());
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
