//! `tandem-worker local`, an experiment without a coordinator: stopped in the middle and run again, it ends in the same
//! bits as without a stop; and a house takes it in, with where it comes from.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tandem_harness::{Binaries, Cluster, command, run, small_experiment, until, write_image_folder};

const STOPPED: i32 = 75;

fn local(dir: &Path, out: &str) -> Command {
    let mut command = command(&Binaries::beside_this_program().expect("the binaries are built").worker);
    command.arg("local").arg(dir.join("small.toml")).arg("--data").arg(dir).arg("--out").arg(dir.join(out));
    command
}

fn ledger(dir: &Path, out: &str, job: &str) -> Option<Value> {
    let text = std::fs::read(dir.join(out).join(job).join("ledger.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn interrupt_at_a_checkpoint(dir: &Path) -> anyhow::Result<Child> {
    let child = local(dir, "stopped").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    until("a checkpoint is kept", Duration::from_secs(120), || ledger(dir, "stopped", "encoder"));
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    Ok(child)
}

#[test]
fn a_stopped_run_goes_on_and_ends_in_the_same_bits() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    write_image_folder(dir.path())?;
    std::fs::write(dir.path().join("small.toml"), small_experiment("small", 1, 12))?;

    let quiet = run(&mut local(dir.path(), "quiet"), "");
    assert_eq!(quiet.code, 0, "{quiet:#?}");
    let accuracy = quiet.stdout.lines().find(|line| line.starts_with("linear\tlinear_accuracy\t"));
    assert!(accuracy.is_some(), "{quiet:#?}");

    let stopped = interrupt_at_a_checkpoint(dir.path())?.wait()?;
    assert_eq!(stopped.code(), Some(STOPPED));
    let middle = ledger(dir.path(), "stopped", "encoder").unwrap_or_default();
    assert_eq!(middle["finished"], false, "stopped too late to test anything: {middle:#}");
    let resumed = run(&mut local(dir.path(), "stopped"), "");
    assert_eq!(resumed.code, 0, "{resumed:#?}");
    assert!(!resumed.stderr.contains("encoder: training (from step 0)"), "{resumed:#?}");
    let sha256 = |out| ledger(dir.path(), out, "encoder").map(|page| page["artifacts"][0]["sha256"].clone());
    assert!(sha256("quiet").is_some());
    assert_eq!(sha256("stopped"), sha256("quiet"));
    assert!(resumed.stdout.lines().any(|line| Some(line) == accuracy), "{resumed:#?}");

    std::fs::write(dir.path().join("small.toml"), small_experiment("small", 1, 13))?;
    let other = run(&mut local(dir.path(), "quiet"), "");
    assert_eq!(other.code, 65, "{other:#?}");
    assert!(other.stderr.contains("choose another --out"), "{other:#?}");
    Ok(())
}

#[test]
fn a_house_takes_it_in_once_with_a_receipt_and_the_same_comes_of_it_there() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    write_image_folder(dir.path())?;
    let file = dir.path().join("small.toml");
    std::fs::write(&file, small_experiment("small", 1, 2))?;
    let cluster = Cluster::start(1)?;
    let path = |path: &Path| path.display().to_string();
    // It is moved before it is brought in, as from another machine.
    let out = dir.path().join("moved");
    let import = |json: &[&str]| cluster.tandem(&[json, &["import", &path(&out), &path(&file)]].concat(), "");
    let early = import(&[]);
    assert!(early.code == 66 && early.stderr.contains("job `encoder`"), "{early:#?}");

    let computed = run(&mut local(dir.path(), "out"), "");
    assert_eq!(computed.code, 0, "{computed:#?}");
    std::fs::rename(dir.path().join("out"), &out)?;
    let imported = import(&["--json"]);
    assert_eq!(imported.code, 0, "{imported:#?}");
    let imported: Value = serde_json::from_str(&imported.stdout)?;
    assert!(imported["present"] == false && imported["jobs"].as_array().map(Vec::len) == Some(2), "{imported:#}");
    let again = import(&[]);
    assert!(again.code == 0 && again.stdout.contains("was brought in before"), "{again:#?}");

    // The same figures, the same curve, the same file.
    let accuracy = computed.stdout.lines().find_map(|line| line.strip_prefix("linear\tlinear_accuracy\t"));
    let job = cluster.job("small", "linear")?;
    let stored = job["results"].as_object().and_then(|results| results["linear_accuracy"].as_f64());
    assert_eq!(stored, accuracy.and_then(|value| value.parse().ok()), "{job:#}");
    let lines = std::fs::read_to_string(out.join("encoder/metrics.jsonl"))?;
    let points = lines.lines().filter(|line| line.contains("\"metric\":\"loss\"")).count();
    let curve = cluster.tandem(&["metrics", "small/encoder", "loss", "--format", "csv"], "");
    assert!(points > 4 && curve.stdout.lines().count() == points + 1, "{points} points: {curve:#?}");
    let fetched = dir.path().join("fetched");
    let fetch = cluster.tandem(&["fetch", "small/encoder", "--out", &path(&fetched)], "");
    assert_eq!(fetch.code, 0, "{fetch:#?}");
    let receipt = cluster.tandem(&["receipt", "check", &path(&fetched.join("encoder/receipt.json"))], "");
    assert_eq!(receipt.code, 0, "{receipt:#?}");
    let words = cluster.tandem(&["receipt", "small/encoder"], "");
    assert!(words.stdout.contains("computed by `tandem-worker local` on "), "{words:#?}");
    let ledger = ledger(dir.path(), "moved", "encoder").unwrap_or_default();
    assert!(ledger["environment"]["libtorch"].as_str().is_some_and(|version| !version.is_empty()), "{ledger:#}");
    assert_eq!(ledger["images"].as_str().map(str::len), Some(64), "{ledger:#}");

    // A worker of the house computes the same bits.
    let reproduced = cluster.tandem(&["reproduce", "small/encoder", "--wait"], "");
    assert_eq!(reproduced.code, 0, "{reproduced:#?}");
    Ok(())
}
