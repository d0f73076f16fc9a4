//! A house is destroyed and comes back: the same answers, the same bytes, and what ran goes on. And what must not be done is not.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tandem_harness::{Binaries, Cluster, Outcome, Program, command, run, small_experiment, until};

const MINUTES: Duration = Duration::from_secs(240);

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path")
}

fn tandem(args: &[&str]) -> Result<Outcome> {
    Ok(run(command(&Binaries::beside_this_program()?.tandem).args(args), ""))
}

/// What a person can ask of an experiment that has ended.
fn answers(cluster: &Cluster, experiment: &str) -> Result<BTreeMap<&'static str, Value>> {
    let encoder = format!("{experiment}/encoder");
    let mut answers = BTreeMap::new();
    for (name, args) in [
        ("show", &["show", experiment][..]),
        ("show job", &["show", &encoder]),
        ("results", &["results", experiment]),
        ("metrics", &["metrics", &encoder, "loss"]),
        ("logs", &["logs", &encoder]),
        ("receipt", &["receipt", &encoder]),
    ] {
        let outcome = cluster.tandem(&[&["--json"], args].concat(), "");
        assert_eq!(outcome.code, 0, "{name}: {outcome:#?}");
        let lines: Vec<Value> = outcome.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(!lines.is_empty(), "{name}: {outcome:#?}");
        answers.insert(name, Value::Array(lines));
    }
    let listed = cluster.json(&["list", "--limit", "1000"])?;
    let of =
        |key: &str| listed[key].as_array().into_iter().flatten().filter(|row| row["experiment"] == experiment).cloned();
    answers.insert("list", Value::Array(of("jobs").collect()));
    Ok(answers)
}

/// Every file of a job's results, by path and SHA-256 of its bytes.
fn artifacts(store: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![store.join("jobs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "artifacts") {
                found.insert(path.strip_prefix(store)?.display().to_string(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

#[test]
fn a_house_that_was_destroyed_comes_back_with_the_same_answers_and_what_ran_goes_on_to_the_same_bits() -> Result<()> {
    let keep = Cluster::empty_folder()?;
    let archive = keep.path().join("house.tar");
    let mut cluster = Cluster::start(1)?;
    let undisturbed = cluster.submit(&small_experiment("undisturbed", 1, 30))?;
    cluster.wait_succeeded(&undisturbed, MINUTES);
    let expected = cluster.encoder_sha256(&undisturbed)?;
    let receipt = |cluster: &Cluster, name: &str| -> Result<Outcome> {
        let (file, key) = (keep.path().join(name), keep.path().join("house.pub"));
        let written = cluster.tandem(&["receipt", "undisturbed/encoder", "--out", text(&file)?], "");
        assert_eq!(written.code, 0, "{written:#?}");
        // A house that is restored signs by another key: what was signed before is checked by the one that people have of it.
        if !key.exists() {
            let written = cluster.tandem(&["receipt", "key", "--out", text(&key)?], "");
            assert_eq!(written.code, 0, "{written:#?}");
        }
        Ok(cluster.tandem(&["receipt", "check", text(&file)?, "--key", text(&key)?], ""))
    };
    assert_eq!(receipt(&cluster, "before.json")?.code, 0);

    // The same work runs while the backup is taken.
    let running = cluster.submit(&small_experiment("running", 1, 30))?;
    cluster.wait_checkpoint(&running);
    let taken = cluster.tandem(&["--json", "backup", text(&archive)?], "");
    assert_eq!(taken.code, 0, "{taken:#?}");
    let taken: Value = serde_json::from_str(&taken.stdout)?;
    assert!(taken["files"].as_u64() > Some(4) && taken["problems"].as_array().is_some_and(Vec::is_empty), "{taken:#}");
    assert_eq!(fs::metadata(&archive)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(cluster.job(&running, "encoder")?["state"], "running", "it went on meanwhile");
    let before = answers(&cluster, "undisturbed")?;
    let files = artifacts(&cluster.folder().join("store"))?;

    // Its checks need no house, and it goes nowhere that a house is.
    let checked = tandem(&["backup", "check", text(&archive)?])?;
    assert!(checked.code == 0 && checked.stdout.contains("whole"), "{checked:#?}");
    let onto = tandem(&["restore", text(&archive)?, "--dir", text(cluster.folder())?])?;
    assert!(onto.code == 78 && onto.stderr.contains("tandem runs in"), "{onto:#?}");

    // What its worker had still to report is kept by somebody, and all else is gone.
    kill(Pid::from_raw(cluster.up_pid()), Signal::SIGKILL)?;
    let former = keep.path().join("former");
    until("everything has ended", Duration::from_secs(30), || cluster.processes(&[]).is_empty().then_some(()));
    fs::rename(cluster.folder().join("workers/cpu-0"), &former)?;
    cluster.stop();
    drop(cluster);

    let folder = Cluster::empty_folder()?;
    let restored = tandem(&["--json", "restore", text(&archive)?, "--dir", text(folder.path())?])?;
    assert_eq!(restored.code, 0, "{restored:#?}");
    let restored: Value = serde_json::from_str(&restored.stdout)?;
    assert_eq!(restored["ended"].as_u64(), Some(1), "{restored:#}");
    let again = tandem(&["restore", text(&archive)?, "--dir", text(folder.path())?])?;
    assert!(again.code == 78 && again.stderr.contains("holds a house already"), "{again:#?}");
    // Everything of the store that was there is there, before anything starts.
    let restored_files = artifacts(&folder.path().join("store"))?;
    for (path, bytes) in &restored_files {
        assert!(files.get(path) == Some(bytes), "{path}");
    }
    assert!(restored_files.keys().any(|path| path.ends_with("encoder.safetensors")), "{:?}", restored_files.keys());

    let binaries = Binaries::beside_this_program()?;
    let cluster = Cluster::in_folder(folder, &binaries, 1, &[])?;
    let after = answers(&cluster, "undisturbed")?;
    for (name, answer) in &before {
        assert_eq!(after.get(name), Some(answer), "{name}");
    }
    let verified = receipt(&cluster, "after.json")?;
    assert_eq!(verified.code, 0, "{verified:#?}");
    assert_eq!(fs::read(keep.path().join("before.json"))?, fs::read(keep.path().join("after.json"))?);

    // What is fetched from it is proved by what lies beside it, although another key signs the folder.
    let out = keep.path().join("fetched");
    let fetched = cluster.tandem(&["fetch", "undisturbed/encoder", "--out", text(&out)?], "");
    assert_eq!(fetched.code, 0, "{fetched:#?}");
    let beside = cluster.tandem(&["receipt", "check", text(&out.join("encoder/receipt.json"))?], "");
    assert_eq!(beside.code, 0, "{beside:#?}");

    // A worker of the former house is told why, although its token is good; and it still has what it had.
    let token = cluster.folder().join("former.token");
    binaries.make_worker_token(&cluster.folder().join("tandem.sock"), "former", &token)?;
    let state: Value = serde_json::from_slice(&fs::read(cluster.folder().join("up.json"))?)?;
    let (server, log) = (state["server"].as_str().context("an address")?, keep.path().join("former.log"));
    let mut old = binaries.worker("former", &log, server, &token, &cluster.folder().join("data"), &former).start()?;
    until("the former worker is refused", Duration::from_secs(30), || {
        fs::read_to_string(&log).ok()?.contains("belongs to another house").then_some(())
    });
    let said = fs::read_to_string(&log)?;
    assert!(said.contains("--state") && said.contains("tandem token new former --role worker"), "{said}");
    old.kill();

    // What ran goes on from its checkpoint, to the same bits.
    cluster.wait_succeeded(&running, MINUTES);
    assert_eq!(cluster.encoder_sha256(&running)?, expected);
    let job = cluster.job(&running, "encoder")?;
    let attempts = job["attempts"].as_array().context("attempts")?;
    assert!(attempts[0]["state"] == "preempted" && attempts[1]["first_step"].as_u64() > Some(0), "{attempts:#?}");
    let fences: Vec<u64> = attempts.iter().filter_map(|attempt| attempt["fence"].as_u64()).collect();
    assert!(fences[1] > fences[0] + 1_000_000, "{fences:?}");
    Ok(())
}

/// Files below a folder that are no archive.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| !path.ends_with("house.tar")).collect()
}

#[test]
fn what_breaks_off_leaves_nothing_that_looks_whole() -> Result<()> {
    let mut cluster = Cluster::start(0)?;
    let queued = cluster.submit(&small_experiment("queued", 1, 1))?;
    let job = cluster.job(&queued, "encoder")?["id"].as_str().context("an id")?.to_owned();
    // Large enough to be in the middle of: zeros, which no sum is right for.
    let big = cluster.folder().join("store/jobs/big");
    fs::create_dir_all(big.parent().context("a folder")?)?;
    fs::File::create(&big)?.set_len(600_000_000)?;
    let home = cluster.folder().to_owned();
    let sql = format!(
        "INSERT INTO artifacts SELECT gen_random_uuid(), '{job}', 'x', 'big', 'jobs/big', repeat('0', 64), 600000000, 0, now()"
    );
    let state: Value = serde_json::from_slice(&fs::read(home.join("up.json"))?)?;
    let password = fs::read_to_string(home.join("database-password"))?;
    let psql = |sql: &str| {
        let url = state["database_url"].as_str().unwrap_or_default();
        let done = run(command(Path::new("psql")).args([url, "-tAc", sql]).env("PGPASSWORD", password.trim()), "");
        assert_eq!(done.code, 0, "{done:#?}");
        done.stdout.trim().to_owned()
    };
    psql(&sql);

    let out = Cluster::empty_folder()?;
    let archive = out.path().join("house.tar");
    let backup = Program::new("backup", &Binaries::beside_this_program()?.tandem, &home.join("backup.log"))
        .args(["backup", text(&archive)?])
        .env("TANDEM_HOME", &home);
    let grows = |folder: &Path| {
        let entries = fs::read_dir(folder).ok()?;
        entries.flatten().any(|entry| entry.metadata().is_ok_and(|meta| meta.len() > 20_000_000)).then_some(())
    };
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGTERM, Some(130))] {
        let mut process = backup.start()?;
        until("it writes", MINUTES, || grows(out.path()));
        assert_eq!(psql("SELECT count(*) FROM backups WHERE expires_at > now()"), "1", "files are kept meanwhile");
        kill(Pid::from_raw(process.pid()), signal)?;
        assert_eq!(process.wait(MINUTES)?.code(), code, "{}", fs::read_to_string(home.join("backup.log"))?);
        assert!(!archive.exists() && leftovers(out.path()).is_empty(), "{:?}", leftovers(out.path()));
    }

    // No room: the file may be no larger than this.
    let full = run(
        command(Path::new("bash"))
            .args(["-c", "trap '' XFSZ; ulimit -f 100000; exec \"$0\" backup \"$1\""])
            .args([text(&Binaries::beside_this_program()?.tandem)?, text(&archive)?])
            .env("TANDEM_HOME", &home),
        "",
    );
    assert!(full.code == 73 && full.stderr.contains("cannot write") && full.stderr.contains("make room"), "{full:#?}");
    assert!(!archive.exists() && leftovers(out.path()).is_empty());

    // Whole, but for the file whose sum is wrong; and the same of a house that is stopped.
    let taken = cluster.tandem(&["backup", text(&archive)?], "");
    assert!(taken.code == 74 && taken.stderr.contains("jobs/big: it is damaged"), "{taken:#?}");
    assert_eq!(psql("SELECT count(*) FROM backups"), "0");
    assert_eq!(cluster.stop(), 0, "{}", cluster.log());
    let before = fs::metadata(&archive)?.modified()?;
    let taken = cluster.tandem(&["backup", text(&archive)?], "");
    assert!(
        taken.code == 73 && fs::metadata(&archive)?.modified()? == before,
        "nothing is replaced unasked: {taken:#?}"
    );
    let stopped = cluster.tandem(&["backup", "--force", text(&archive)?], "");
    assert!(stopped.code == 74 && stopped.stderr.contains("starting postgres"), "{stopped:#?}");

    // A restoration in the middle: nothing is at its place, beside it, or left running.
    let target = out.path().join("house");
    let restore = Program::new("restore", &Binaries::beside_this_program()?.tandem, &home.join("restore.log")).args([
        "restore",
        text(&archive)?,
        "--dir",
        text(&target)?,
    ]);
    let beside = out.path().join(".house.restoring");
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut process = restore.start()?;
        until("it writes", MINUTES, || beside.join("store/jobs/big").exists().then_some(()));
        kill(Pid::from_raw(process.pid()), signal)?;
        let code = process.wait(MINUTES)?.code();
        assert!(!target.exists(), "half a house");
        if signal == Signal::SIGINT {
            assert_eq!(code, Some(130), "{}", fs::read_to_string(home.join("restore.log"))?);
            assert!(!beside.exists(), "what is beside is of no use, and goes");
        }
    }
    // The next one removes what a killed one left, and ends well.
    until("the killed one's database has ended", Duration::from_secs(30), || {
        let lines = fs::read_dir("/proc")
            .ok()?
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
        (!lines.into_iter().any(|line| line.contains(".house.restoring"))).then_some(())
    });
    let done = tandem(&["restore", text(&archive)?, "--dir", text(&target)?])?;
    assert!(done.code == 0 && done.stderr.contains("jobs/big: it is damaged"), "{done:#?}");
    assert!(target.join("postgres/data").is_dir() && !beside.exists());

    // Cut, and altered.
    let whole = fs::read(&archive)?;
    let other = out.path().join("other");
    for (what, bytes) in [("cut", &whole[..whole.len() / 2]), ("nothing", &[][..])] {
        let cut = out.path().join("cut.tar");
        fs::write(&cut, bytes)?;
        for args in [&["backup", "check", text(&cut)?][..], &["restore", text(&cut)?, "--dir", text(&other)?]] {
            let refused = tandem(args)?;
            assert!(refused.code == 74 && refused.stderr.contains("the end of one is missing"), "{what}: {refused:#?}");
        }
    }
    let mut altered = whole;
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&archive, altered)?;
    let refused = tandem(&["restore", text(&archive)?, "--dir", text(&other)?])?;
    assert!(refused.code == 74 && refused.stderr.contains("the archive is damaged"), "{refused:#?}");
    assert!(!other.exists() && !out.path().join(".other.restoring").exists());
    let absent = tandem(&["restore", "/no/such.tar", "--dir", text(&other)?])?;
    assert_eq!(absent.code, 66, "{absent:#?}");
    Ok(())
}
