use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{until, write_image_folder};

/// What a command of `tandem` did.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// One running Tandem; stopped, and its folder removed, when dropped.
pub struct House {
    up: Child,
    dir: TempDir,
}

impl House {
    /// Starts coordinator, Postgres and `workers` CPU workers, and waits until they answer.
    ///
    /// # Errors
    /// When the folder cannot be made; a start that fails panics with the log of `tandem up`.
    pub fn start(workers: u32) -> anyhow::Result<Self> {
        Self::start_with(workers, &[])
    }

    /// As [`House::start`], with more in the environment of everything it runs: `TANDEM_TIMING`.
    ///
    /// # Errors
    /// As [`House::start`].
    pub fn start_with(workers: u32, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("tandem-test.").tempdir()?;
        // Run by root, Postgres itself is another user, who must reach its folder.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        write_image_folder(&dir.path().join("data"))?;
        let up = Self::spawn_up(dir.path(), workers, environment)?;
        let house = Self { up, dir };
        house.wait_for_workers(workers as usize);
        Ok(house)
    }

    fn spawn_up(dir: &Path, workers: u32, environment: &[(&str, &str)]) -> anyhow::Result<Child> {
        let log = std::fs::File::create(dir.join("up.log"))?;
        Command::new(binary("tandem"))
            .args(["up", "--listen", "127.0.0.1:0", "--workers", &workers.to_string(), "--dir"])
            .arg(dir)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start `tandem up`; `make test` builds it first")
    }

    fn wait_for_workers(&self, workers: usize) {
        until(&format!("{workers} idle workers; see {}", self.log()), Duration::from_secs(60), || {
            let status = self.tandem(&["--json", "status"], "");
            let value: Value = serde_json::from_str(&status.stdout).ok()?;
            let idle = value["workers"].as_array()?.iter().filter(|worker| worker["state"] == "idle").count();
            (idle >= workers).then_some(())
        });
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    #[must_use]
    pub fn up_pid(&self) -> i32 {
        self.up.id() as i32
    }

    /// What `tandem up` and its children wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("up.log")).unwrap_or_default()
    }

    /// Runs one command against this house, `stdin` as its input.
    ///
    /// # Panics
    /// When the binary cannot be run at all.
    #[must_use]
    pub fn tandem(&self, args: &[&str], stdin: &str) -> Outcome {
        run(Command::new(binary("tandem")).args(args).env("TANDEM_HOME", self.dir()), stdin)
    }

    /// Runs a command that must succeed with `--json`, and parses what it printed.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        let outcome = self.tandem(&[&["--json"], args].concat(), "");
        ensure!(outcome.code == 0, "tandem {args:?} ended with {}: {}", outcome.code, outcome.stderr);
        serde_json::from_str(&outcome.stdout).with_context(|| format!("tandem {args:?} printed {:?}", outcome.stdout))
    }

    /// Writes an experiment file into the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Submits an experiment and returns its id.
    ///
    /// # Errors
    /// When the submit is refused.
    pub fn submit(&self, text: &str) -> anyhow::Result<String> {
        let path = self.file("experiment.toml", text)?;
        let answer = self.json(&["submit", "--fresh", &path.to_string_lossy()])?;
        Ok(answer["experiment_id"].as_str().context("no experiment_id")?.to_owned())
    }

    /// The job of that name in an experiment: its fields, with `attempts`, `checkpoints`, `artifacts` and `events` as
    /// `tandem show JOB` tells them.
    ///
    /// # Errors
    /// When the experiment or the job is unknown.
    pub fn job(&self, experiment: &str, name: &str) -> anyhow::Result<Value> {
        let answer = self.json(&["show", experiment])?;
        let jobs = answer["jobs"].as_array().context("no jobs")?;
        let mut job = jobs.iter().find(|job| job["name"] == name).context("no such job")?.clone();
        let shown = self.json(&["show", job["id"].as_str().context("no id")?])?;
        for list in ["attempts", "checkpoints", "artifacts", "events"] {
            job[list] = shown[list].clone();
        }
        Ok(job)
    }

    /// Waits until every job of the experiment has succeeded.
    ///
    /// # Panics
    /// When one fails or the deadline passes.
    pub fn wait_succeeded(&self, experiment: &str, deadline: Duration) {
        until("every job succeeded", deadline, || {
            let answer = self.json(&["show", experiment]).ok()?;
            let jobs = answer["jobs"].as_array()?;
            for job in jobs {
                assert!(job["state"] != "failed" && job["state"] != "cancelled", "{job:#}\n{}", self.log());
            }
            jobs.iter().all(|job| job["state"] == "succeeded").then_some(())
        });
    }

    /// SHA-256 of the trained encoder's file.
    ///
    /// # Errors
    /// When there is none.
    pub fn encoder_sha256(&self, experiment: &str) -> anyhow::Result<String> {
        let job = self.job(experiment, "encoder")?;
        let artifacts = job["artifacts"].as_array().context("no artifacts")?;
        let encoder = artifacts.iter().find(|artifact| artifact["kind"] == "encoder").context("no encoder")?;
        Ok(encoder["sha256"].as_str().context("no sha256")?.to_owned())
    }

    /// Waits until the encoder job has committed a checkpoint, and returns its step.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub fn wait_checkpoint(&self, experiment: &str) -> u64 {
        until("a checkpoint", Duration::from_secs(60), || {
            self.job(experiment, "encoder").ok()?["checkpoints"].as_array()?.first()?["step"].as_u64()
        })
    }

    /// Process ids of this house's processes whose command line contains all of `words`.
    #[must_use]
    pub fn processes(&self, words: &[&str]) -> Vec<i32> {
        let mut parents = vec![self.up_pid()];
        let mut found = Vec::new();
        while let Some(parent) = parents.pop() {
            for child in children(parent) {
                let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                if words.iter().all(|word| line.contains(word)) {
                    found.push(child);
                }
                parents.push(child);
            }
        }
        found.sort_unstable();
        found
    }

    /// Ends `tandem up` as Ctrl-C does and waits for it.
    ///
    /// # Panics
    /// When it has not ended within a minute.
    pub fn stop(&mut self) -> i32 {
        // It may have ended already; the wait below tells.
        let _ = kill(Pid::from_raw(self.up_pid()), Signal::SIGTERM);
        let log = self.log();
        until(&format!("`tandem up` ends; {log}"), Duration::from_secs(60), || self.up.try_wait().ok().flatten())
            .code()
            .unwrap_or(-1)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of tandem up ---\n{}", self.log());
            // SIGKILL to `up` must take everything with it; here it keeps a failing test short.
            let _ = self.up.kill();
            let _ = self.up.wait();
        } else {
            self.stop();
        }
    }
}

fn children(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Runs a command to its end with `stdin` as input.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(command: &mut Command, stdin: &str) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    if let Some(mut pipe) = child.stdin.take() {
        // A command that does not read its input closes the pipe: not this test's concern.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let output = child.wait_with_output().expect("a started child can be waited for");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A binary of this workspace, in the folder above the test binaries.
///
/// # Panics
/// When the test binary's own path is unknown.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test knows its path");
    let folder = test.parent().and_then(Path::parent).expect("test binaries are in target/<profile>/deps");
    folder.join(name)
}
