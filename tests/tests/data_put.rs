//! One's own images: put from afar, brought to workers that have none, and trained on as those of a folder.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{Binaries, Coordinator, Outcome, command, run, small_experiment, until, write_image_folder};

const MINUTE: Duration = Duration::from_secs(60);

fn tandem(coordinator: &Coordinator, args: &[&str]) -> Result<Outcome> {
    let tandem = Binaries::beside_this_program()?.tandem;
    Ok(run(command(&tandem).args(["--server", &coordinator.server()]).args(args), ""))
}

fn json(coordinator: &Coordinator, args: &[&str]) -> Result<Value> {
    let outcome = tandem(coordinator, &[&["--json"], args].concat())?;
    serde_json::from_str(&outcome.stdout).with_context(|| format!("{args:?}: {outcome:#?}"))
}

/// Trains on `folder:images`, if that has not been done; the SHA-256 of the encoder.
fn train(coordinator: &Coordinator) -> Result<String> {
    let file = coordinator.folder().join("experiment.toml");
    fs::write(&file, small_experiment("own", 1, 1))?;
    let submitted = json(coordinator, &["submit", "--wait", &file.to_string_lossy()])?;
    let states: Vec<&Value> =
        submitted["jobs"].as_array().context("no jobs")?.iter().map(|job| &job["state"]).collect();
    assert_eq!(states, ["succeeded", "succeeded"], "{submitted}");
    let id = submitted["experiment_id"].as_str().context("no id")?;
    let shown = json(coordinator, &["show", id])?;
    let artifacts = shown["artifacts"].as_array().context("no artifacts")?;
    let encoder = artifacts.iter().find(|artifact| artifact["kind"] == "encoder").context("no encoder")?;
    Ok(encoder["sha256"].as_str().context("no checksum")?.to_owned())
}

#[test]
fn images_that_somebody_put_train_as_those_of_a_folder() -> Result<()> {
    let binaries = Binaries::beside_this_program()?;
    let coordinator = Coordinator::start(&binaries)?;
    let folder = coordinator.folder();
    let (mine, empty) = (folder.join("mine"), folder.join("empty"));
    write_image_folder(&mine)?;
    fs::create_dir(&empty)?;
    let worker = coordinator.start_worker("bare", &empty)?;
    let images = mine.join("images");
    let images = images.to_string_lossy();
    let put = json(&coordinator, &["data", "put", "images", &images])?;
    assert_eq!(
        (&put["train"], &put["test"], &put["classes"], &put["present"]),
        (&256.into(), &64.into(), &4.into(), &false.into())
    );
    assert_eq!(json(&coordinator, &["data", "put", "images", &images])?["present"], true);
    until("the worker sees them, with the checksum that was said", MINUTE, || {
        let listed = json(&coordinator, &["data", "list"]).ok()?;
        let seen = listed["datasets"].as_array()?.first()?.clone();
        let is = seen["name"] == "folder:images" && seen["sha256"] == put["images"] && seen["on"][0] == "bare";
        is.then_some(())
    });
    let of_store = train(&coordinator)?;
    assert_eq!(train(&coordinator)?, of_store, "once is enough");

    // Others under the same name: whoever submits in the next moment has these, before any worker has looked.
    assert_eq!(tandem(&coordinator, &["data", "remove", "images"])?.code, 0);
    let changed = folder.join("changed");
    write_image_folder(&changed)?;
    let changed = changed.join("images");
    let class = fs::read_dir(changed.join("train"))?.next().context("no class")??.path();
    fs::remove_file(class.join("000.png"))?;
    json(&coordinator, &["data", "put", "images", &changed.to_string_lossy()])?;
    assert_ne!(train(&coordinator)?, of_store);
    assert_eq!(tandem(&coordinator, &["data", "remove", "images"])?.code, 0);
    let file = folder.join("experiment.toml");
    let gone = tandem(&coordinator, &["submit", &file.to_string_lossy()])?;
    assert!(gone.code == 65 && gone.stderr.contains("no worker has the data set"), "{gone:#?}");
    json(&coordinator, &["data", "put", "images", &images])?;

    let removed = tandem(&coordinator, &["data", "remove", "images"])?;
    assert!(removed.code == 0 && removed.stdout.starts_with("removed folder:images of "), "{removed:#?}");
    drop(worker);
    let _other = coordinator.start_worker("other", &mine)?;
    until("the other worker sees its folder", MINUTE, || {
        let listed = json(&coordinator, &["data", "list"]).ok()?;
        (listed["stored"] == Value::Array(Vec::new()) && listed["datasets"][0]["on"][0] == "other").then_some(())
    });
    assert_eq!(train(&coordinator)?, of_store, "the same images give the same bits");
    Ok(())
}
