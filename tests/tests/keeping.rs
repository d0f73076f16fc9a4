//! What is deleted is gone from the disk, what others want stays there, and a submit afterwards runs anew.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{Cluster, small_experiment, until};

const LIMIT: Duration = Duration::from_secs(180);

/// Submits it without `--fresh`: equal content is one job.
fn submit(cluster: &Cluster, toml: &str) -> Result<Value> {
    let path = cluster.file("experiment.toml", toml)?;
    cluster.json(&["submit", &path.to_string_lossy()])
}

fn id(submitted: &Value) -> Result<String> {
    Ok(submitted["experiment_id"].as_str().context("no experiment_id")?.to_owned())
}

fn jobs(submitted: &Value) -> Vec<String> {
    submitted["jobs"].as_array().into_iter().flatten().filter_map(|job| Some(job["id"].as_str()?.to_owned())).collect()
}

/// Bytes of the files below a folder; 0 if it is not there.
fn bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn folder_of(cluster: &Cluster, job: &str) -> PathBuf {
    cluster.folder().join("store/jobs").join(job)
}

fn stored(cluster: &Cluster) -> Result<u64> {
    let people = cluster.json(&["usage", "--stored"])?;
    Ok(people["people"].as_array().into_iter().flatten().filter_map(|one| one["bytes"].as_u64()).sum())
}

#[test]
fn what_is_deleted_is_gone_from_the_disk_and_what_is_shared_stays() -> Result<()> {
    let cluster = Cluster::start(2)?;
    cluster.wait_datasets();
    let toml = small_experiment("first", 1, 6);
    let first = submit(&cluster, &toml)?;
    cluster.wait_succeeded(&id(&first)?, LIMIT);
    let second = submit(&cluster, &small_experiment("second", 1, 6))?;
    assert_eq!(jobs(&second), jobs(&first), "equal content is one job");
    let other = submit(&cluster, &small_experiment("other", 1, 2))?;
    cluster.wait_succeeded(&id(&other)?, LIMIT);
    let shared: Vec<PathBuf> = jobs(&first).iter().map(|job| folder_of(&cluster, job)).collect();
    let others: Vec<PathBuf> = jobs(&other).iter().map(|job| folder_of(&cluster, job)).collect();
    let size = |folders: &[PathBuf]| folders.iter().map(|folder| bytes(folder)).sum::<u64>();
    let (before, before_others) = (size(&shared), size(&others));
    assert!(before > 100_000 && before_others > 100_000, "{before} {before_others}");
    let counted = stored(&cluster)?;
    assert!(counted > 0 && counted <= before + before_others, "{counted} of {}", before + before_others);

    let deleted = cluster.json(&["delete", "first", "--yes"])?;
    assert_eq!(
        (deleted["gone"].as_array().map(Vec::len), deleted["stays"].as_array().map(Vec::len)),
        (Some(0), Some(2))
    );
    assert_eq!(stored(&cluster)?, counted);
    assert_eq!(cluster.tandem(&["show", "first"], "").code, 66);
    let results = cluster.json(&["results"])?;
    assert_eq!(results["jobs"].as_array().map(Vec::len), Some(4), "those of the second are still seen: {results}");

    let would = cluster.json(&["delete", "second", "--dry-run"])?;
    assert_eq!(size(&shared), before, "a dry run removes nothing");
    let deleted = cluster.json(&["delete", "second", "--yes"])?;
    assert_eq!((&deleted["bytes"], &deleted["files"]), (&would["bytes"], &would["files"]));
    assert!(deleted["bytes"].as_u64() > Some(100_000), "{deleted}");
    until("the files are gone", LIMIT, || (!shared.iter().any(|folder| folder.exists())).then_some(()));
    assert_eq!(size(&others), before_others, "those of others are as they were");
    assert_eq!(stored(&cluster)? + deleted["bytes"].as_u64().unwrap_or_default(), counted);
    assert_eq!(cluster.json(&["results"])?["jobs"].as_array().map(Vec::len), Some(2));
    let audit = cluster.json(&["audit"])?;
    let says = |entry: &Value| {
        entry["what"] == "Keeping/Delete" && entry["object"].as_str().unwrap_or_default().starts_with("second ")
    };
    assert!(audit["entries"].as_array().into_iter().flatten().any(says), "{audit}");

    let again = submit(&cluster, &toml)?;
    assert!(jobs(&again).iter().all(|job| !jobs(&first).contains(job)), "{again}");
    cluster.wait_succeeded(&id(&again)?, LIMIT);
    let made: Vec<PathBuf> = jobs(&again).iter().map(|job| folder_of(&cluster, job)).collect();
    assert!(size(&made) > 100_000, "it ran anew");

    // What runs is cancelled first, and its rank's files go when it has ended.
    let long = submit(&cluster, &small_experiment("long", 1, 500))?;
    cluster.wait_checkpoint(&id(&long)?);
    let refused = cluster.tandem(&["delete", "long", "--yes"], "");
    assert!(refused.code != 0 && refused.stderr.contains("tandem delete long --cancel"), "{refused:#?}");
    let gone = cluster.json(&["delete", "long", "--yes", "--cancel"])?;
    assert_eq!(gone["gone"].as_array().map(Vec::len), Some(2), "{gone}");
    let long: Vec<PathBuf> = jobs(&long).iter().map(|job| folder_of(&cluster, job)).collect();
    until("those of the cancelled one are gone", LIMIT, || (!long.iter().any(|folder| folder.exists())).then_some(()));
    Ok(())
}
