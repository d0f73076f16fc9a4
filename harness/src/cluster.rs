use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binaries::Binaries,
    folder::open_folder,
    images::write_image_folder,
    outcome::{Outcome, run},
    process::Process,
    process_handle::{command_line, descendants},
    program::{Program, command},
    wait::{try_until, until},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Each look starts a program, at the cost of the ranks that are waited for.
const SELDOM: Duration = Duration::from_millis(400);

/// All that `tandem up` runs: Postgres, a coordinator and CPU workers, in a folder and on ports of their own. Their data
/// folder has `images` of [`write_image_folder`]. Stopped, and its folder removed, when dropped.
#[derive(Debug)]
pub struct Cluster {
    up: Process,
    binaries: Binaries,
    folder: TempDir,
}

impl Cluster {
    /// Starts a cluster of the binaries beside this program. Panics, with the log of `tandem up`, when its `workers` are
    /// not idle within a minute.
    pub fn start(workers: u32) -> Result<Self> {
        Self::start_with(workers, &[])
    }

    /// As [`start`](Self::start), with more in the environment of all programs.
    pub fn start_with(workers: u32, environment: &[(&str, &str)]) -> Result<Self> {
        Self::of(&Binaries::beside_this_program()?, workers, environment)
    }

    /// As [`start_with`](Self::start_with), of other binaries.
    pub fn of(binaries: &Binaries, workers: u32, environment: &[(&str, &str)]) -> Result<Self> {
        Self::in_folder(open_folder()?, binaries, workers, environment)
    }

    /// As [`of`](Self::of), in a folder that may hold a house: see [`empty_folder`](Self::empty_folder).
    pub fn in_folder(folder: TempDir, binaries: &Binaries, workers: u32, environment: &[(&str, &str)]) -> Result<Self> {
        write_image_folder(&folder.path().join("data"))?;
        let program = Program::new("tandem up", &binaries.tandem, &folder.path().join("up.log"))
            .args(["up", "--listen", "127.0.0.1:0", "--devices", "cpu", "--workers", &workers.to_string(), "--dir"])
            .arg(folder.path());
        let program = environment.iter().fold(program, |program, (key, value)| program.env(key, *value));
        let cluster = Self { up: program.start()?, binaries: binaries.clone(), folder };
        until(&format!("{workers} idle workers; see {}", cluster.log()), MINUTE, || {
            (cluster.idle_workers().ok()? >= workers as usize).then_some(())
        });
        Ok(cluster)
    }

    /// A folder for [`in_folder`](Self::in_folder).
    pub fn empty_folder() -> Result<TempDir> {
        open_folder()
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id of `tandem up`.
    #[must_use]
    pub fn up_pid(&self) -> i32 {
        self.up.pid()
    }

    /// What `tandem up` and its children wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("up.log")).unwrap_or_default()
    }

    /// Runs one command of `tandem` on this cluster, with `stdin` as its input.
    #[must_use]
    pub fn tandem(&self, args: &[&str], stdin: &str) -> Outcome {
        run(command(&self.binaries.tandem).args(args).env("TANDEM_HOME", self.folder()), stdin)
    }

    /// Runs a command with `--json` and parses what it printed. Fails if the command fails.
    pub fn query<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let outcome = self.tandem(&[&["--json"], args].concat(), "");
        ensure!(outcome.code == 0, "tandem {args:?} ended with {}: {}", outcome.code, outcome.stderr);
        serde_json::from_str(&outcome.stdout).with_context(|| format!("tandem {args:?} printed {:?}", outcome.stdout))
    }

    /// As [`query`](Self::query), for any JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        self.query(args)
    }

    pub fn idle_workers(&self) -> Result<usize> {
        let status = self.json(&["status"])?;
        let workers = status["workers"].as_array().context("no workers")?;
        Ok(workers.iter().filter(|worker| worker["state"] == "idle").count())
    }

    /// Waits until every worker has told its data sets.
    pub fn wait_datasets(&self) {
        until("every worker has told its data sets", MINUTE, || {
            let status = self.json(&["status"]).ok()?;
            let workers = status["workers"].as_array()?;
            workers.iter().all(|worker| worker["datasets"].is_array()).then_some(())
        });
    }

    /// Writes a file into the cluster's folder.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Submits an experiment and returns its id.
    pub fn submit(&self, toml: &str) -> Result<String> {
        let path = self.file("experiment.toml", toml)?;
        let answer = self.json(&["submit", "--fresh", &path.to_string_lossy()])?;
        Ok(answer["experiment_id"].as_str().context("no experiment_id")?.to_owned())
    }

    /// The job of that name in an experiment, with `attempts`, `checkpoints`, `artifacts` and `events` as
    /// `tandem --json show JOB` has them.
    pub fn job(&self, experiment: &str, name: &str) -> Result<Value> {
        let answer = self.json(&["show", experiment])?;
        let jobs = answer["jobs"].as_array().context("no jobs")?;
        let mut job = jobs.iter().find(|job| job["name"] == name).context("no such job")?.clone();
        let shown = self.json(&["show", job["id"].as_str().context("no id")?])?;
        for list in ["attempts", "checkpoints", "artifacts", "events"] {
            job[list] = shown[list].clone();
        }
        Ok(job)
    }

    /// Waits until every job of the experiment has succeeded. Panics when a job fails or the limit passes.
    pub fn wait_succeeded(&self, experiment: &str, limit: Duration) {
        let all = try_until("every job succeeded", limit, SELDOM, || {
            let Ok(answer) = self.json(&["show", experiment]) else { return Ok(None) };
            let Some(jobs) = answer["jobs"].as_array() else { return Ok(None) };
            for job in jobs {
                assert!(job["state"] != "failed" && job["state"] != "cancelled", "{job:#}\n{}", self.log());
            }
            Ok(jobs.iter().all(|job| job["state"] == "succeeded").then_some(()))
        });
        all.unwrap_or_else(|error| panic!("{error}"));
    }

    /// SHA-256 of the trained encoder's file.
    pub fn encoder_sha256(&self, experiment: &str) -> Result<String> {
        let job = self.job(experiment, "encoder")?;
        let artifacts = job["artifacts"].as_array().context("no artifacts")?;
        let encoder = artifacts.iter().find(|artifact| artifact["kind"] == "encoder").context("no encoder")?;
        Ok(encoder["sha256"].as_str().context("no sha256")?.to_owned())
    }

    /// Waits, a minute at most, until the encoder job has committed a checkpoint, and returns its step.
    pub fn wait_checkpoint(&self, experiment: &str) -> u64 {
        until("a checkpoint", MINUTE, || {
            self.job(experiment, "encoder").ok()?["checkpoints"].as_array()?.first()?["step"].as_u64()
        })
    }

    /// Process ids of this cluster's processes whose command line contains all of `words`, in ascending order.
    #[must_use]
    pub fn processes(&self, words: &[&str]) -> Vec<i32> {
        let is_meant = |pid: &i32| {
            let line = command_line(*pid);
            words.iter().all(|word| line.contains(word))
        };
        let mut found: Vec<i32> = descendants(self.up_pid()).into_iter().filter(is_meant).collect();
        found.sort_unstable();
        found
    }

    /// Ends `tandem up` as Ctrl-C does. Returns its exit code; panics when it has not ended within a minute.
    pub fn stop(&mut self) -> i32 {
        let status = self.up.stop().unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of tandem up ---\n{}", self.log());
            // Everything that `up` started ends with it; a failing test need not wait for an orderly end.
            self.up.kill();
        }
    }
}

/// An experiment on the data set `folder:images`: 256 images, four steps an epoch, two shards.
#[must_use]
pub fn small_experiment(name: &str, workers: u32, epochs: u32) -> String {
    format!(
        r#"
name = "{name}"
dataset = "folder:images"
seed = 7
workers = {workers}
shards = 2

[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = {epochs}
batch_size = 64
head = {{ hidden = 64, output = 32 }}
optimizer = {{ name = "sgd", lr = 0.1, weight_decay = 5e-4, warmup_epochs = 1 }}
checkpoint_steps = 8
monitor = {{ bank = 128, neighbours = 10 }}

[jobs.linear]
stage = "linear"
from = "encoder"
"#
    )
}
