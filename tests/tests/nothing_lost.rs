//! Promise 1: a job that is killed, stopped, damaged or preempted goes on, and ends in the same bits as an undisturbed one.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tandem_harness::{Cluster, small_experiment, until};

/// Ranks are nice, and a busy machine lets them wait.
const MINUTES: Duration = Duration::from_secs(600);

/// 80 steps, a checkpoint every 8.
fn long(name: &str, workers: u32) -> String {
    small_experiment(name, workers, 20)
}

/// 120 steps: it is stopped three times, each time with two checkpoints more.
fn longer(name: &str) -> String {
    small_experiment(name, 2, 30)
}

fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

fn ranks(cluster: &Cluster) -> Vec<i32> {
    cluster.processes(&["tandem-worker", "rank"])
}

/// The messages of the job's events of a kind, in order.
fn event_messages(job: &Value, kind: &str) -> Vec<String> {
    let events = job["events"].as_array().map_or(&[][..], Vec::as_slice);
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect()
}

fn attempts(job: &Value) -> usize {
    job["attempts"].as_array().map_or(0, Vec::len)
}

/// Waits until this attempt of the encoder trains and has written two checkpoints, and returns the job.
fn wait_two_checkpoints(cluster: &Cluster, experiment: &str, attempt: usize) -> Value {
    until("the attempt writes checkpoints", MINUTES, || {
        let job = cluster.job(experiment, "encoder").ok()?;
        let own = format!("-f{}", job["attempts"].as_array()?.last()?["fence"]);
        let is_own = |row: &&Value| row["path"].as_str().is_some_and(|path| path.ends_with(&own));
        let kept = job["checkpoints"].as_array()?.iter().filter(is_own).count();
        (attempts(&job) == attempt && kept >= 2 && job["state"] == "running").then_some(job)
    })
}

/// Damages a checkpoint, given its state file.
type Damage = dyn Fn(&PathBuf) -> anyhow::Result<()>;

/// Held by each of these tests: one alone keeps all of a small machine busy.
static ALONE: Mutex<()> = Mutex::new(());

/// Steps of the committed checkpoints, newest first, with the folder of each.
fn checkpoints(cluster: &Cluster, job: &Value) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let rows = job["checkpoints"].as_array().context("no checkpoints")?;
    let one = |row: &Value| {
        let path = row["path"].as_str().context("no path")?;
        Ok((row["step"].as_u64().context("no step")?, cluster.folder().join("store").join(path)))
    };
    rows.iter().map(one).collect()
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_said_and_the_job_goes_on_from_the_one_before() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster::start(2)?;
    let undisturbed = cluster.submit(&longer("undisturbed"))?;
    cluster.wait_succeeded(&undisturbed, MINUTES);

    let flip = |state: &PathBuf| -> anyhow::Result<()> {
        let mut bytes = fs::read(state)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Ok(fs::write(state, bytes)?)
    };
    let truncate = |state: &PathBuf| -> anyhow::Result<()> {
        let bytes = fs::read(state)?;
        Ok(fs::write(state, &bytes[..bytes.len() - 7])?)
    };
    let remove = |state: &PathBuf| -> anyhow::Result<()> { Ok(fs::remove_dir_all(state.with_file_name(""))?) };
    let damages: [(&str, &Damage); 3] =
        [("one flipped byte", &flip), ("a truncated file", &truncate), ("a missing folder", &remove)];

    let damaged = cluster.submit(&longer("damaged"))?;
    for (round, (what, damage)) in damages.into_iter().enumerate() {
        wait_two_checkpoints(&cluster, &damaged, round + 1);
        // Stopped, so that no newer checkpoint is written while one is damaged; reports sent before still arrive.
        let stopped = ranks(&cluster);
        signal(&stopped, Signal::SIGSTOP);
        let mut steady = (cluster.job(&damaged, "encoder")?, 0);
        until("no report is under way", Duration::from_secs(20), || {
            let job = cluster.job(&damaged, "encoder").ok()?;
            steady.1 = if job["checkpoints"] == steady.0["checkpoints"] { steady.1 + 1 } else { 0 };
            steady.0 = job;
            (steady.1 > 20).then_some(())
        });
        let kept = checkpoints(&cluster, &steady.0)?;
        damage(&kept[0].1.join("state.safetensors")).with_context(|| format!("{what} at {}", kept[0].1.display()))?;
        signal(&stopped, Signal::SIGKILL);
        let job = wait_two_checkpoints(&cluster, &damaged, round + 2);
        assert_eq!(job["attempts"][round + 1]["first_step"].as_u64(), Some(kept[1].0), "{what}: {job:#}");
        let skipped = event_messages(&job, "checkpoint_skipped");
        let named = format!("checkpoint of step {} ", kept[0].0);
        assert!(skipped.iter().any(|message| message.starts_with(&named)), "{what}: {skipped:?}");
    }
    cluster.wait_succeeded(&damaged, MINUTES);
    assert_eq!(cluster.encoder_sha256(&damaged)?, cluster.encoder_sha256(&undisturbed)?);
    Ok(())
}

#[test]
fn a_job_whose_artifact_is_damaged_has_not_succeeded_and_makes_it_again_in_the_same_bits() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster::start(2)?;
    let undisturbed = cluster.submit(&small_experiment("undisturbed", 1, 4))?;
    cluster.wait_succeeded(&undisturbed, MINUTES);

    let damaged = cluster.submit(&small_experiment("damaged", 1, 4))?;
    cluster.wait_checkpoint(&damaged);
    // The coordinator does not take the folder for its store meanwhile.
    let id = cluster.folder().join("store/.tandem-store");
    fs::rename(&id, id.with_extension("away"))?;
    let job = until("the coordinator says that it cannot read its store", MINUTES, || {
        let job = cluster.job(&damaged, "encoder").ok()?;
        job["reason"].as_str()?.contains("cannot read its store").then_some(job)
    });
    assert_eq!(
        (job["state"].as_str(), job["progress"]["phase"].as_str()),
        (Some("running"), Some("verifying")),
        "{job:#}"
    );
    assert_eq!(job["attempts"][0]["state"], "verifying", "{job:#}");
    let status = cluster.json(&["status"])?;
    let is_busy = |worker: &Value| worker["state"] == "busy";
    assert!(!status["workers"].as_array().context("no workers")?.iter().any(is_busy), "{status:#}");
    let encoder = cluster.folder().join("store").join(job["artifacts"][0]["uri"].as_str().context("no artifact")?);
    let mut bytes = fs::read(&encoder)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&encoder, bytes)?;
    fs::rename(id.with_extension("away"), &id)?;

    cluster.wait_succeeded(&damaged, MINUTES);
    let job = cluster.job(&damaged, "encoder")?;
    let said = event_messages(&job, "artifact damaged");
    assert!(said.len() == 1 && said[0].contains("has the SHA-256 "), "{said:?}");
    assert_eq!((attempts(&job), &job["attempts"][0]["state"]), (2, &Value::from("lost")), "{job:#}");
    assert_ne!(job["attempts"][0]["workers"], job["attempts"][1]["workers"], "{job:#}");
    assert!(job["attempts"][1]["first_step"].as_u64() > Some(0), "{job:#}");
    assert_eq!(cluster.encoder_sha256(&damaged)?, cluster.encoder_sha256(&undisturbed)?);
    Ok(())
}

#[test]
fn who_returns_after_its_lease_is_refused_and_the_coordinator_may_die() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster::start_with(2, &[("TANDEM_TIMING", "fast")])?;
    let undisturbed = cluster.submit(&long("undisturbed", 2))?;
    cluster.wait_succeeded(&undisturbed, MINUTES);

    // A worker and its rank are stopped for longer than the lease. When both go on, they are told that they are stale.
    let frozen = cluster.submit(&long("frozen", 2))?;
    wait_two_checkpoints(&cluster, &frozen, 1);
    let worker = cluster.processes(&["tandem-worker", " run "])[0];
    let rank: Vec<i32> = ranks(&cluster).into_iter().filter(|rank| parent(*rank) == Some(worker)).collect();
    let both = [&[worker][..], &rank].concat();
    signal(&both, Signal::SIGSTOP);
    until("the attempt is lost", Duration::from_secs(10), || {
        (cluster.job(&frozen, "encoder").ok()?["attempts"][0]["state"] == "lost").then_some(())
    });
    signal(&both, Signal::SIGCONT);
    let job = wait_two_checkpoints(&cluster, &frozen, 2);
    assert!(job["attempts"][0]["cause"].as_str().is_some_and(|cause| cause.contains("sent no heartbeat")), "{job:#}");
    assert!(
        event_messages(&job, "refused").iter().any(|message| message.contains("has reconnected with its rank")),
        "{job:#}"
    );

    // The coordinator is killed and `up` starts it again: the attempt goes on undisturbed.
    let coordinator = cluster.processes(&["tandem-server"])[0];
    signal(&[coordinator], Signal::SIGKILL);
    cluster.wait_succeeded(&frozen, MINUTES);
    let job = cluster.job(&frozen, "encoder")?;
    assert_eq!(attempts(&job), 2, "{job:#}");
    assert_eq!(cluster.encoder_sha256(&frozen)?, cluster.encoder_sha256(&undisturbed)?);
    Ok(())
}

#[test]
fn a_job_of_lower_priority_makes_room_and_loses_nothing() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster::start_with(2, &[("TANDEM_TIMING", "fast")])?;
    let undisturbed = cluster.submit(&long("undisturbed", 2))?;
    cluster.wait_succeeded(&undisturbed, MINUTES);

    let low = cluster.submit(&small_experiment("low", 2, 100))?;
    wait_two_checkpoints(&cluster, &low, 1);
    let high = cluster.submit(&format!("priority = 10\n{}", long("high", 2)))?;
    cluster.wait_succeeded(&high, MINUTES);
    let job = cluster.job(&low, "encoder")?;
    assert_eq!(job["attempts"][0]["state"], "preempted", "{job:#}");
    assert!(event_messages(&job, "asked to stop")[0].contains("device-seconds would be lost"), "{job:#}");
    assert!(event_messages(&job, "cost of the stop")[0].contains("; 0.0 of the "), "{job:#}");
    assert_eq!(cluster.encoder_sha256(&high)?, cluster.encoder_sha256(&undisturbed)?);
    cluster.json(&["cancel", &low])?;
    Ok(())
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
