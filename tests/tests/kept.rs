//! Checkpoints, databases and stores that an earlier version wrote are still read (`kept/README.md`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tandem_harness::{
    Binaries, Outcome, TestDatabase, announced_address, command, run, socket_beside, until, write_image_folder,
};

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

/// A folder with the images, and in `out` what the earlier version wrote.
fn restored(name: &str, jobs: &[&str]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    write_image_folder(folder.path())?;
    let out = folder.path().join("out");
    copy(&kept(name), &out)?;
    for job in jobs {
        let ledger = out.join(job).join("ledger.json");
        let text = fs::read_to_string(&ledger)?.replace("OUT", &out.display().to_string());
        let mut saved: Value = serde_json::from_str(&text)?;
        // Of other mathematics since: these tests ask whether the files are read.
        saved["content_key"] = json!("");
        fs::write(&ledger, saved.to_string())?;
    }
    Ok(folder)
}

/// Goes on with an experiment that the earlier version was stopped in; `edit` is what its author has to write now.
fn go_on(name: &str, jobs: &[&str], edit: impl Fn(String) -> String) -> Result<Outcome> {
    let folder = restored(name, jobs)?;
    let file = folder.path().join("file.toml");
    fs::write(&file, edit(fs::read_to_string(kept(&format!("{name}.toml")))?))?;
    let mut local = command(&Binaries::beside_this_program()?.worker);
    local.arg("local").arg(file).arg("--data").arg(folder.path()).arg("--out").arg(folder.path().join("out"));
    Ok(run(&mut local, ""))
}

#[test]
fn a_training_goes_on_from_a_checkpoint_of_a_classifier() -> Result<()> {
    let without_encoder = |text: String| {
        let (head, rest) = text.split_once("[jobs.encoder]").expect("two jobs");
        let (_, baseline) = rest.split_once("[jobs.baseline]").expect("two jobs");
        format!("{head}[jobs.baseline]{baseline}")
    };
    let ended = go_on("training", &["baseline"], without_encoder)?;
    assert_eq!(ended.code, 0, "{ended:#?}");
    assert!(ended.stderr.contains("baseline: training (from step 8)"), "{ended:#?}");
    assert!(ended.stdout.contains("baseline\tsteps\t16\n") && !ended.stderr.contains("skipped"), "{ended:#?}");
    Ok(())
}

/// Steps of two versions would make bits of neither.
#[test]
fn a_job_that_other_mathematics_began_is_not_gone_on_with() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write_image_folder(folder.path())?;
    let out = folder.path().join("out");
    copy(&kept("training"), &out)?;
    let mut local = command(&Binaries::beside_this_program()?.worker);
    local.arg("local").arg(kept("training.toml")).arg("--data").arg(folder.path()).arg("--out").arg(out);
    let ended = run(&mut local, "");
    assert!(ended.code != 0 && ended.stderr.contains("whose mathematics give other bits"), "{ended:#?}");
    Ok(())
}

/// The default warm-up of its file has changed since. A coordinator has the whole spec in its database, as the earlier version
/// expanded it, and sends it to the rank.
#[test]
fn a_training_goes_on_from_a_checkpoint_of_an_encoder() -> Result<()> {
    let folder = restored("training", &["encoder"])?;
    let job_dir = folder.path().join("out/encoder");
    let ledger: Value = serde_json::from_str(&fs::read_to_string(job_dir.join("ledger.json"))?)?;
    let optimizer = json!({
        "name": "lars", "lr": 1.0, "momentum": 0.9, "nesterov": false, "weight_decay": 1e-6, "trust": 1e-3,
        "warmup_epochs": 10.0, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "factor": 0.2,
    });
    let stage = json!({
        "stage": "contrastive", "encoder": "resnet-tiny", "epochs": 2, "batch_size": 32, "checkpoint_steps": 4,
        "head": {"hidden": 0, "output": 8}, "optimizer": optimizer,
    });
    let spec = json!({
        "name": "encoder", "dataset": "folder:images", "seed": 7, "workers": {"min": 1, "max": 1}, "shards": 2,
        "threads": 1, "inputs": [], "stage": stage,
    });
    let task = json!({
        "job_id": "encoder", "attempt_id": "second", "fence": 2, "rank": 0, "world_size": 1, "spec": spec,
        "device": "cpu", "data_dir": folder.path(), "job_dir": job_dir, "inputs": [],
        "checkpoints": ledger["checkpoints"], "host": "127.0.0.1",
    });
    let mut rank = command(&Binaries::beside_this_program()?.worker);
    rank.args(["rank", "--worker-pid", &std::process::id().to_string()]);
    let ended = run(&mut rank, &format!("{task}\n"));
    assert_eq!(ended.code, 0, "{ended:#?}");
    let events: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert!(events.contains(&json!({"event": "phase", "name": "training", "first_step": 8})), "{ended:#?}");
    assert!(events.contains(&json!({"event": "result", "name": "steps", "value": 16.0})), "{ended:#?}");
    assert!(!ended.stdout.contains("skipped"), "{ended:#?}");
    Ok(())
}

/// `images` meant the first ones.
fn first_images(text: &str) -> String {
    let (head, tail) = text.split_once("images = ").expect("an attack on some images");
    format!("{head}draw = \"first\"\nimages = {tail}")
}

#[test]
fn an_attack_goes_on_with_the_next_image_of_the_same_classifier() -> Result<()> {
    let ended = go_on("attacking", &["baseline", "attack"], |text| first_images(&text))?;
    assert_eq!(ended.code, 0, "{ended:#?}");
    assert!(ended.stderr.contains("attack: attacking (from step 4)"), "{ended:#?}");
    assert!(ended.stdout.contains("attack\tattacked\t64\n") && !ended.stderr.contains("skipped"), "{ended:#?}");
    Ok(())
}

/// What was the name of an account, by the client's word, is said to be one.
fn rename_owners(answer: &mut Value) {
    for job in answer["jobs"].as_array_mut().into_iter().flatten() {
        let owner = job["owner"].as_str().unwrap_or_default();
        job["owner"] = json!(format!("login:{owner}"));
    }
}

/// What an attack's figures are called now: the median of all images has the plain name.
fn rename_results(answer: &mut Value) {
    for job in answer["jobs"].as_array_mut().into_iter().flatten() {
        let Some(results) = job["results"].as_object_mut() else { continue };
        if let Some(paper) = results.remove("median_distance") {
            results.insert("median_distance_paper".to_owned(), paper);
        }
        if let Some(all) = results.remove("median_distance_all") {
            results.insert("median_distance".to_owned(), all);
        }
        let at_radius = |(name, value): (&String, &Value)| {
            Some((
                format!("robust_accuracy_at_{}", name.strip_prefix("misclassified_at_")?),
                json!(1.0 - value.as_f64()?),
            ))
        };
        let robust: Vec<_> = results.iter().filter_map(at_radius).collect();
        results.extend(robust);
    }
}

#[test]
fn a_database_and_its_store_answer_as_before_and_jobs_of_other_mathematics_run_again() -> Result<()> {
    let database = TestDatabase::create();
    database.execute(&fs::read_to_string(kept("database.sql"))?);
    let folder = database.folder.path();
    copy(&kept("store"), &folder.join("store"))?;
    let binaries = Binaries::beside_this_program()?;
    let announce = folder.join("announce.json");
    let log = folder.join("server.log");
    let server = binaries.coordinator("server", &log, "127.0.0.1:0", &database.url(), &folder.join("store"), &announce);
    let _server = server.start()?;
    until("the coordinator serves", SERVES_WITHIN, || announced_address(&announce));
    let address = format!("unix:{}", socket_beside(&announce).display());
    let tandem = |args: &[&str]| {
        let ended = run(command(&binaries.tandem).args(["--server", &address, "--json"]).args(args), "");
        assert_eq!(ended.code, 0, "{args:?}: {ended:#?}");
        ended.stdout
    };

    let results: Value = serde_json::from_str(&tandem(&["results", "kept"]))?;
    let mut expected: Value = serde_json::from_str(&fs::read_to_string(kept("results.json"))?)?;
    rename_results(&mut expected);
    rename_owners(&mut expected);
    assert_eq!(results, expected);

    let out = folder.join("fetched");
    tandem(&["fetch", "kept", "--kind", "curve", "--out", &out.display().to_string()]);
    let curve = "store/jobs/87737417-ae22-4e09-b72b-3af3efc9a092/artifacts/f5/curve.csv";
    assert_eq!(fs::read(out.join("attack/curve.csv"))?, fs::read(kept(curve))?);

    let reused = |text: String| -> Result<Vec<(String, bool)>> {
        let file = folder.join("again.toml");
        fs::write(&file, text)?;
        let again: Value = serde_json::from_str(&tandem(&["submit", &file.display().to_string()]))?;
        let jobs = again["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(jobs.iter().map(|job| (word(&job["name"]), job["reused"] == true)).collect())
    };
    let text = fs::read_to_string(kept("submitted.toml"))?;
    let of = |reused: &[(String, bool)], name: &str| reused.iter().any(|(job, reused)| job == name && *reused);
    // The same words make other bits since.
    let again = reused(first_images(&text))?;
    assert!(["baseline", "attack", "encoder"].iter().all(|name| !of(&again, name)), "{again:?}");
    Ok(())
}
