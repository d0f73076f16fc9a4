//! Receipts of real jobs: what a rank says of itself, files that verify when they were fetched, and rows and files that
//! somebody altered.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{Cluster, small_experiment};

const LIMIT: Duration = Duration::from_secs(120);

/// What was signed of a job: the statement's predicate.
fn predicate(cluster: &Cluster, job: &str) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let (file, key) = (folder.path().join("receipt.json"), folder.path().join("house.pub"));
    let (file, key) = (file.to_str().context("a path")?, key.to_str().context("a path")?);
    for args in [&["receipt", job, "--out", file][..], &["receipt", "key", "--out", key], &["receipt", "check", file]] {
        let done = cluster.tandem(args, "");
        assert_eq!(done.code, 0, "{args:?}: {done:#?}");
    }
    let envelope: Value = serde_json::from_slice(&fs::read(file)?)?;
    let decoded = decode(envelope["payload"].as_str().unwrap_or_default());
    Ok(serde_json::from_slice::<Value>(&decoded)?["predicate"].take())
}

/// Base64.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().filter_map(|digit| DIGITS.iter().position(|one| *one == digit));
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0u32);
    for value in values {
        held = held << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}

fn states(receipt: &Value) -> Vec<(u64, String)> {
    let checkpoints = receipt["checkpoints"].as_array().into_iter().flatten();
    checkpoints
        .map(|one| {
            (one["step"].as_u64().unwrap_or_default(), one["state_sha256"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

fn check(cluster: &Cluster, folder: &Path) -> (i32, String) {
    let file = folder.join("receipt.json");
    let done = cluster.tandem(&["receipt", "check", file.to_str().unwrap_or_default()], "");
    (done.code, format!("{}{}", done.stdout, done.stderr))
}

#[test]
fn a_result_says_what_produced_it_and_an_equal_run_has_equal_states() -> Result<()> {
    let cluster = Cluster::start(2)?;
    let first = cluster.submit(&small_experiment("first", 1, 5))?;
    cluster.wait_succeeded(&first, LIMIT);
    let receipt = predicate(&cluster, "first/encoder")?;
    let environment = &receipt["attempts"][0]["ranks"][0]["environment"];
    for field in
        ["worker", "host", "processor", "instructions", "libtorch", "libtorch_build", "version", "learn_version"]
    {
        assert!(environment[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {environment:#}");
    }
    assert_eq!(environment["binary_sha256"].as_str().map(str::len), Some(64), "{environment:#}");
    assert_eq!((environment["threads"].as_u64(), environment["device"]["kind"].as_str()), (Some(1), Some("cpu")));
    assert_eq!(receipt["key"]["derived"], true, "{receipt:#}");
    // Of the steps 8, 16 and 20, although only the newest files are kept.
    let known = states(&receipt);
    assert!(known.iter().map(|(step, _)| *step).eq([8, 16, 20]), "{known:?}");
    assert!(known.iter().all(|(_, sha256)| sha256.len() == 64), "{known:?}");
    let linear = predicate(&cluster, "first/linear")?;
    assert_eq!(linear["inputs"][0]["receipt_sha256"].as_str().map(str::len), Some(64), "{linear:#}");

    // Anew, by two ranks in place of one: the same bits at the same steps, which its own receipt says.
    let file = cluster.file("again.toml", &small_experiment("again", 2, 5))?;
    let submitted = cluster.tandem(&["submit", "--fresh", file.to_str().context("a path")?], "");
    assert_eq!(submitted.code, 0, "{submitted:#?}");
    cluster.wait_succeeded("again", LIMIT);
    let again = predicate(&cluster, "again/encoder")?;
    assert_ne!(again["job"]["id"], receipt["job"]["id"]);
    assert_eq!(states(&again), known);

    // The house does the same itself, whole and in part; only the newest checkpoints' files are there.
    for (command, words) in [("reproduce", "runs all of it anew"), ("verify", "replays steps 16 to 20")] {
        let done = cluster.tandem(&[command, "first/encoder", "--wait"], "");
        assert_eq!(done.code, 0, "{done:#?}");
        assert!(done.stderr.contains(words), "{done:#?}");
        assert!(done.stdout.contains("the same bits, on the same kind of device"), "{done:#?}");
    }
    let verified = cluster.tandem(&["verify", "first/encoder", "--wait", "--json"], "");
    assert_eq!(verified.code, 0, "{verified:#?}");
    let verified: Value = serde_json::from_str(&verified.stdout)?;
    // The state after the last step, and the accuracy of the exported encoder.
    assert_eq!((verified["holds"].as_bool(), verified["equal"].as_u64()), (Some(true), Some(2)), "{verified:#}");
    let linear = cluster.tandem(&["verify", "first/linear"], "");
    assert!(linear.code != 0 && linear.stderr.contains("tandem reproduce"), "{linear:#?}");
    Ok(())
}

#[test]
fn what_was_fetched_verifies_until_a_byte_is_another_and_so_do_the_rows() -> Result<()> {
    let cluster = Cluster::start(1)?;
    let experiment = cluster.submit(&small_experiment("proved", 1, 1))?;
    cluster.wait_succeeded(&experiment, LIMIT);
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let fetched = cluster.tandem(&["fetch", "proved/encoder", "--out", out.to_str().context("a path")?], "");
    assert_eq!(fetched.code, 0, "{fetched:#?}");
    // Fetched files of a job may lie in a folder of its own.
    let encoder = if out.join("encoder").is_dir() { out.join("encoder") } else { out };
    let (code, said) = check(&cluster, &encoder);
    assert!(code == 0 && said.contains("is in order"), "{said}");
    let weights = encoder.join("encoder.safetensors");
    let mut bytes = fs::read(&weights)?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, &bytes)?;
    let (code, said) = check(&cluster, &encoder);
    assert!(code == 74 && said.contains("altered   encoder.safetensors"), "{said}");
    Ok(())
}
