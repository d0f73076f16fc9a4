//! Checkpoints, databases and stores that an earlier version wrote are still read (`kept/README.md`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tandem_harness::{Binaries, Outcome, TestDatabase, announced_address, command, run, until, write_image_folder};

const SERVES_WITHIN: Duration = Duration::from_secs(60);

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kept").join(name)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Goes on with an experiment that the earlier version was stopped in.
fn go_on(name: &str, jobs: &[&str]) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    write_image_folder(folder.path())?;
    let out = folder.path().join("out");
    copy(&kept(name), &out)?;
    for job in jobs {
        let ledger = out.join(job).join("ledger.json");
        let text = fs::read_to_string(&ledger)?;
        fs::write(ledger, text.replace("OUT", &out.display().to_string()))?;
    }
    let mut local = command(&Binaries::beside_this_program()?.worker);
    local.arg("local").arg(kept(&format!("{name}.toml"))).arg("--data").arg(folder.path()).arg("--out").arg(out);
    Ok(run(&mut local, ""))
}

#[test]
fn trainings_go_on_from_checkpoints_of_an_encoder_and_of_a_classifier() -> Result<()> {
    let ended = go_on("training", &["encoder", "baseline"])?;
    assert_eq!(ended.code, 0, "{ended:#?}");
    for job in ["encoder", "baseline"] {
        assert!(ended.stderr.contains(&format!("{job}: training (from step 8)")), "{ended:#?}");
        assert!(ended.stdout.contains(&format!("{job}\tsteps\t16\n")), "{ended:#?}");
    }
    assert!(!ended.stderr.contains("skipped"), "{ended:#?}");
    Ok(())
}

#[test]
fn an_attack_goes_on_with_the_next_image_of_the_same_classifier() -> Result<()> {
    let ended = go_on("attacking", &["baseline", "attack"])?;
    assert_eq!(ended.code, 0, "{ended:#?}");
    assert!(ended.stderr.contains("attack: attacking (from step 4)"), "{ended:#?}");
    assert!(ended.stdout.contains("attack\tattacked\t64\n") && !ended.stderr.contains("skipped"), "{ended:#?}");
    Ok(())
}

#[test]
fn a_database_and_its_store_answer_as_before_and_finished_jobs_are_not_run_again() -> Result<()> {
    let database = TestDatabase::create();
    database.execute(&fs::read_to_string(kept("database.sql"))?);
    let folder = database.folder.path();
    copy(&kept("store"), &folder.join("store"))?;
    let binaries = Binaries::beside_this_program()?;
    let announce = folder.join("announce.json");
    let log = folder.join("server.log");
    let server = binaries.coordinator("server", &log, "127.0.0.1:0", &database.url(), &folder.join("store"), &announce);
    let _server = server.start()?;
    let address = until("the coordinator serves", SERVES_WITHIN, || announced_address(&announce));
    let tandem = |args: &[&str]| {
        let ended = run(command(&binaries.tandem).args(["--server", &address, "--json"]).args(args), "");
        assert_eq!(ended.code, 0, "{args:?}: {ended:#?}");
        ended.stdout
    };

    let results: Value = serde_json::from_str(&tandem(&["results", "kept"]))?;
    let expected: Value = serde_json::from_str(&fs::read_to_string(kept("results.json"))?)?;
    assert_eq!(results, expected);

    let out = folder.join("fetched");
    tandem(&["fetch", "kept", "--kind", "curve", "--out", &out.display().to_string()]);
    let curve = "store/jobs/87737417-ae22-4e09-b72b-3af3efc9a092/artifacts/f5/curve.csv";
    assert_eq!(fs::read(out.join("attack/curve.csv"))?, fs::read(kept(curve))?);

    let again: Value = serde_json::from_str(&tandem(&["submit", &kept("submitted.toml").display().to_string()]))?;
    let jobs = again["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(jobs.iter().map(|job| &job["reused"]).collect::<Vec<_>>(), [&Value::Bool(true); 4], "{again:#}");
    Ok(())
}
