//! Promise 1: what is killed, stopped, damaged or pushed aside goes on, and ends in the bits of a quiet run.

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
use tandem_tests::{House, small_experiment, until};

const MINUTES: Duration = Duration::from_secs(240);

/// 200 steps, a checkpoint every 8.
fn long(name: &str, workers: u32) -> String {
    small_experiment(name, workers, 50)
}

fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

fn ranks(house: &House) -> Vec<i32> {
    house.processes(&["tandem-worker", "rank"])
}

/// Messages of the job's events of a kind, in order.
fn told(job: &Value, kind: &str) -> Vec<String> {
    let events = job["events"].as_array().map_or(&[][..], Vec::as_slice);
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect()
}

fn attempts(job: &Value) -> usize {
    job["attempts"].as_array().map_or(0, Vec::len)
}

/// Waits until the encoder's attempt of this number trains and has kept two checkpoints of its own; the job.
fn wait_kept(house: &House, experiment: &str, attempt: usize) -> Value {
    until("the attempt keeps checkpoints", MINUTES, || {
        let job = house.job(experiment, "encoder").ok()?;
        let own = format!("-f{}", job["attempts"].as_array()?.last()?["fence"]);
        let is_own = |row: &&Value| row["path"].as_str().is_some_and(|path| path.ends_with(&own));
        let kept = job["checkpoints"].as_array()?.iter().filter(is_own).count();
        (attempts(&job) == attempt && kept >= 2 && job["state"] == "running").then_some(job)
    })
}

/// What is done to a checkpoint's state file.
type Harm = dyn Fn(&PathBuf) -> anyhow::Result<()>;

/// Each of these tests has use for all of a small machine.
static ALONE: Mutex<()> = Mutex::new(());

/// Steps of the committed checkpoints, newest first, with the folder of each.
fn checkpoints(house: &House, job: &Value) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let rows = job["checkpoints"].as_array().context("no checkpoints")?;
    let one = |row: &Value| {
        let path = row["path"].as_str().context("no path")?;
        Ok((row["step"].as_u64().context("no step")?, house.dir().join("store").join(path)))
    };
    rows.iter().map(one).collect()
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_said_and_the_job_goes_on_from_the_one_before() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let house = House::start(2)?;
    let quiet = house.submit(&long("quiet", 2))?;
    house.wait_succeeded(&quiet, MINUTES);

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
    let harms: [(&str, &Harm); 3] =
        [("one flipped byte", &flip), ("a truncated file", &truncate), ("a missing folder", &remove)];

    let harmed = house.submit(&long("harmed", 2))?;
    for (round, (harm, damage)) in harms.into_iter().enumerate() {
        wait_kept(&house, &harmed, round + 1);
        // Stopped, so that nothing newer is kept while one is damaged; what they reported before still arrives.
        let stopped = ranks(&house);
        signal(&stopped, Signal::SIGSTOP);
        let mut steady = (house.job(&harmed, "encoder")?, 0);
        until("no report is under way", Duration::from_secs(20), || {
            let job = house.job(&harmed, "encoder").ok()?;
            steady.1 = if job["checkpoints"] == steady.0["checkpoints"] { steady.1 + 1 } else { 0 };
            steady.0 = job;
            (steady.1 > 20).then_some(())
        });
        let kept = checkpoints(&house, &steady.0)?;
        damage(&kept[0].1.join("state.safetensors")).with_context(|| format!("{harm} at {}", kept[0].1.display()))?;
        signal(&stopped, Signal::SIGKILL);
        let job = wait_kept(&house, &harmed, round + 2);
        assert_eq!(job["attempts"][round + 1]["first_step"].as_u64(), Some(kept[1].0), "{harm}: {job:#}");
        let said = told(&job, "checkpoint_skipped");
        let named = format!("checkpoint of step {} ", kept[0].0);
        assert!(said.iter().any(|message| message.starts_with(&named)), "{harm}: {said:?}");
    }
    house.wait_succeeded(&harmed, MINUTES);
    assert_eq!(house.encoder_sha256(&harmed)?, house.encoder_sha256(&quiet)?);
    Ok(())
}

#[test]
fn who_returns_after_its_lease_is_refused_and_the_coordinator_may_die() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let house = House::start_with(2, &[("TANDEM_TIMING", "fast")])?;
    let quiet = house.submit(&long("quiet", 2))?;
    house.wait_succeeded(&quiet, MINUTES);

    // A worker and its rank stand still for longer than the lease; both go on, and are told that they are stale.
    let frozen = house.submit(&long("frozen", 2))?;
    wait_kept(&house, &frozen, 1);
    let worker = house.processes(&["tandem-worker", " run "])[0];
    let rank: Vec<i32> = ranks(&house).into_iter().filter(|rank| parent(*rank) == Some(worker)).collect();
    let both = [&[worker][..], &rank].concat();
    signal(&both, Signal::SIGSTOP);
    until("the attempt is lost", Duration::from_secs(10), || {
        (house.job(&frozen, "encoder").ok()?["attempts"][0]["state"] == "lost").then_some(())
    });
    signal(&both, Signal::SIGCONT);
    let job = wait_kept(&house, &frozen, 2);
    assert!(job["attempts"][0]["cause"].as_str().is_some_and(|cause| cause.contains("not heard of")), "{job:#}");
    assert!(told(&job, "refused").iter().any(|said| said.contains("is back with its rank")), "{job:#}");

    // The coordinator is killed; `up` starts it anew, and the attempt goes on as if nothing had been.
    let coordinator = house.processes(&["tandem-server"])[0];
    signal(&[coordinator], Signal::SIGKILL);
    house.wait_succeeded(&frozen, MINUTES);
    let job = house.job(&frozen, "encoder")?;
    assert_eq!(attempts(&job), 2, "{job:#}");
    assert_eq!(house.encoder_sha256(&frozen)?, house.encoder_sha256(&quiet)?);
    Ok(())
}

#[test]
fn a_job_of_lower_priority_makes_room_and_loses_nothing() -> anyhow::Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let house = House::start_with(2, &[("TANDEM_TIMING", "fast")])?;
    let quiet = house.submit(&long("quiet", 2))?;
    house.wait_succeeded(&quiet, MINUTES);

    let low = house.submit(&small_experiment("low", 2, 200))?;
    wait_kept(&house, &low, 1);
    let high = house.submit(&format!("priority = 10\n{}", long("high", 2)))?;
    house.wait_succeeded(&high, MINUTES);
    let job = house.job(&low, "encoder")?;
    assert_eq!(job["attempts"][0]["state"], "preempted", "{job:#}");
    assert!(told(&job, "asked to stop")[0].contains("device-seconds would be lost"), "{job:#}");
    assert!(told(&job, "cost of the stop")[0].contains("; 0.0 of the "), "{job:#}");
    assert_eq!(house.encoder_sha256(&high)?, house.encoder_sha256(&quiet)?);
    house.json(&["cancel", &low])?;
    Ok(())
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
