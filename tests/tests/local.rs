//! `tandem-worker local`, an experiment without a coordinator: stopped in the middle and run again, it ends in the same
//! bits as without a stop.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tandem_harness::{Binaries, command, run, small_experiment, until, write_image_folder};

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
