//! What `tandem-worker local` left is sent whole, or refused before anything is sent.

use std::fs;

use tandem_domain::{LEARN_VERSION, local, plan::plan, receipt::sha256};
use tempfile::TempDir;

use crate::{
    coordinator::{Coordinator, Script},
    run,
};

const TOML: &str = "name = \"here\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\n\
    encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\n";
const WEIGHTS: &[u8] = b"weights";
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

/// `here.toml`, and `out` in which its job has finished or not.
fn computed(finished: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("here.toml"), TOML).unwrap();
    let folder = dir.path().join("out/encoder");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("e.safetensors"), WEIGHTS).unwrap();
    fs::write(folder.join(local::METRICS), "{\"metric\":\"loss\",\"step\":1,\"value\":2.0}\n").unwrap();
    let file = local::LocalFile {
        kind: "encoder".into(),
        name: "e.safetensors".into(),
        path: "e.safetensors".into(),
        sha256: sha256(WEIGHTS),
    };
    let content_key = plan(TOML, "here.toml", LEARN_VERSION).unwrap().jobs[0].content_key.clone();
    let ledger = local::LocalRun { content_key, finished, artifacts: vec![file], ..Default::default() };
    fs::write(folder.join(local::LEDGER), serde_json::to_vec(&ledger).unwrap()).unwrap();
    dir
}

fn args(dir: &TempDir) -> [String; 3] {
    let path = |name: &str| dir.path().join(name).display().to_string();
    ["import".to_owned(), path("out"), path("here.toml")]
}

#[tokio::test]
async fn it_is_sent_with_its_files_and_points() {
    let (url, _) = Coordinator::start(Script::default()).await;
    let dir = computed(true);
    let args = args(&dir);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sent = run(&url, &args).await;
    assert_eq!(sent.code(), Some(0), "{}", sent.stderr());
    assert!(
        sent.stdout().starts_with("experiment here is in the house: 1 job, 1 points of curves, id 7 bytes\n"),
        "{}",
        sent.stdout()
    );
    let json = run(&url, &[&["--json"], &args[..]].concat()).await;
    assert!(json.stdout().contains("\"present\":false"), "{}", json.stdout());
}

#[tokio::test]
async fn what_is_not_whole_is_refused_without_a_coordinator() {
    let refused = async |dir: &TempDir| {
        let args = args(dir);
        let run = run(NOBODY, &args.each_ref().map(String::as_str)).await;
        (run.code(), run.stderr().to_owned())
    };
    let (code, why) = refused(&computed(false)).await;
    assert!(code == Some(75) && why.contains("job `encoder` has not finished"), "{code:?}: {why}");
    let dir = computed(true);
    fs::write(dir.path().join("out/encoder/e.safetensors"), "other").unwrap();
    let (code, why) = refused(&dir).await;
    assert!(code == Some(74) && why.contains("changed since"), "{code:?}: {why}");
}
