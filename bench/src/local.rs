//! A whole Tandem on this machine, in a folder of its own: `tandem up` with two CPU workers, stopped when dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

pub(crate) struct LocalBox {
    tandem: PathBuf,
    home: tempfile::TempDir,
}

impl LocalBox {
    /// Returns when the coordinator listens and both workers are there.
    pub(crate) fn start(bin_dir: &Path) -> Result<Self> {
        for name in ["tandem", "tandem-server", "tandem-worker"] {
            let path = bin_dir.join(name);
            let build = if cfg!(debug_assertions) { "cargo build --bins" } else { "cargo build --release --bins" };
            ensure!(path.exists(), "{} is not there: build it with `{build}`", path.display());
        }
        let home = tempfile::Builder::new().prefix("tandem-bench.").tempdir()?;
        // Started by root, Postgres runs as another user, who must reach its folder.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
        let this = Self { tandem: bin_dir.join("tandem"), home };
        let mut up = this.command(&["up", "--detach", "--workers", "2", "--devices", "cpu", "--listen", "127.0.0.1:0"]);
        let status = up.arg("--dir").arg(this.home.path()).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "`tandem up` ended with {status}; what it said is above");
        wait_until("both workers are idle", Duration::from_secs(30), || this.idle_workers().map(|idle| idle == 2))?;
        Ok(this)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What `tandem ARGUMENTS --json` says.
    pub(crate) fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let output = self.command(arguments).arg("--json").stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "`tandem {}` ended with {}: {said}", arguments.join(" "), output.status);
        serde_json::from_str(&said).with_context(|| format!("`tandem {} --json` said {said}", arguments.join(" ")))
    }

    pub(crate) fn idle_workers(&self) -> Result<usize> {
        #[derive(serde::Deserialize)]
        struct Status {
            workers: Vec<Worker>,
        }
        #[derive(serde::Deserialize)]
        struct Worker {
            state: String,
        }
        let status: Status = self.ask(&["status"])?;
        Ok(status.workers.iter().filter(|worker| worker.state == "idle").count())
    }

    /// The process id of this box's coordinator: it has the box's folder among its arguments.
    pub(crate) fn server(&self) -> Result<u32> {
        let home = self.home.path().to_string_lossy().into_owned();
        for entry in fs::read_dir("/proc").context("reading /proc")? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // A process may end while its files are read.
            let read = |name| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            if read("comm").trim_end() == "tandem-server" && read("cmdline").contains(&home) {
                return Ok(id);
            }
        }
        bail!("found no tandem-server that works in {home}")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tandem);
        command.args(arguments).env("TANDEM_HOME", self.home.path());
        // This box, whatever else the caller's environment points at.
        command.env_remove("TANDEM_SERVER").env_remove("TANDEM_TOKEN");
        command
    }
}

impl Drop for LocalBox {
    fn drop(&mut self) {
        let down = self.command(&["down"]).arg("--dir").arg(self.home.path()).stdout(Stdio::null()).status();
        if !down.is_ok_and(|status| status.success()) {
            eprintln!(
                "warning: `tandem down --dir {}` failed: look for what it left behind",
                self.home.path().display()
            );
        }
    }
}

/// Asks again and again, seldom enough not to disturb what it waits for.
pub(crate) fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "waited {} s until {what}, in vain", limit.as_secs());
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}
