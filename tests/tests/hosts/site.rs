//! Who is on the network: a coordinator, a worker, a laptop, and a stranger.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tandem_harness::{Binaries, Outcome, Process, Program, run, until, write_image_folder};
use tempfile::TempDir;

use crate::network::Network;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
const HOSTS: [&str; 4] = ["coordinator", "worker", "laptop", "stranger"];

/// All of them share the machine's disk; each has a folder of its own with settings.
pub(crate) struct Site {
    // Dropped in this order: no program needs the network when it goes.
    _up: Process,
    pub(crate) network: Network,
    binaries: Binaries,
    folder: TempDir,
}

impl Site {
    /// Returns when the coordinator serves. It runs by itself, with its database on its own host's loopback.
    pub(crate) fn open() -> Result<Self> {
        let network = Network::of(&HOSTS)?;
        let binaries = Binaries::beside_this_program()?;
        // Started by root, Postgres runs as another account, which must be able to enter the folder.
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
        write_image_folder(&folder.path().join("data"))?;
        let listen = format!("{}:7077", network.address("coordinator"));
        let log = folder.path().join("up.log");
        let up = Program::new("tandem up", &binaries.tandem, &log)
            .args(["up", "--workers", "0", "--devices", "cpu", "--listen", &listen, "--dir"])
            .arg(folder.path())
            .env("TANDEM_TIMING", "fast");
        let mut up = network.on("coordinator", up).start()?;
        let state = folder.path().join("up.json");
        until("the coordinator serves", MINUTE, || {
            let ended = up.try_wait().ok()?;
            assert!(ended.is_none(), "{}", fs::read_to_string(&log).unwrap_or_default());
            state.exists().then_some(())
        });
        Ok(Self { _up: up, network, binaries, folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is announced of `server`, `fingerprint` and `database`.
    pub(crate) fn announced(&self, what: &str) -> Result<String> {
        let up: Value = serde_json::from_slice(&fs::read(self.path("up.json"))?)?;
        Ok(up[what].as_str().with_context(|| format!("no {what}: {up:#}"))?.to_owned())
    }

    /// Runs `tandem` on a host, with that host's settings; on the coordinator, as who started it.
    pub(crate) fn tandem(&self, host: &str, args: &[&str], stdin: &str) -> Outcome {
        let mut tandem = self.network.command_on(host, &self.binaries.tandem);
        tandem.args(args).env("HOME", self.path(host)).env("XDG_CONFIG_HOME", self.path(host));
        if host == "coordinator" {
            tandem.env("TANDEM_HOME", self.folder.path());
        }
        run(&mut tandem, stdin)
    }

    /// As [`tandem`](Self::tandem), where it must be done.
    pub(crate) fn done(&self, host: &str, args: &[&str], stdin: &str) -> Result<String> {
        let outcome = self.tandem(host, args, stdin);
        ensure!(outcome.code == 0, "on {host}, `tandem {}`: {outcome:#?}", args.join(" "));
        Ok(outcome.stdout)
    }

    pub(crate) fn json(&self, host: &str, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.done(host, &[&["--json"], args].concat(), "")?)?)
    }

    /// Starts a command that goes on, with its output in a file.
    pub(crate) fn follow(&self, host: &str, args: &[&str], log: &Path) -> Result<Process> {
        let tandem = Program::new("tandem", &self.binaries.tandem, log).args(args);
        let tandem = tandem.env("HOME", self.path(host)).env("XDG_CONFIG_HOME", self.path(host));
        self.network.on(host, tandem).start()
    }

    /// The laptop is ann's, and joins by one line.
    pub(crate) fn join_laptop(&self) -> Result<()> {
        let token = self.path("ann.token");
        self.done("coordinator", &["user", "add", "ann", "--role", "submitter"], "")?;
        self.done("coordinator", &["token", "new", "laptop", "--user", "ann", "--out", text(&token)?], "")?;
        let line = ["join", &self.announced("server")?, &self.announced("fingerprint")?, "--name", "box"];
        self.done("laptop", &line, &fs::read_to_string(&token)?)?;
        Ok(())
    }

    /// The worker joins by one line, too, and starts. Its join file is `worker.join`.
    pub(crate) fn start_worker(&self) -> Result<Process> {
        let (token, join) = (self.path("worker.token"), self.path("worker.join"));
        self.done("coordinator", &["token", "new", "far", "--role", "worker", "--out", text(&token)?], "")?;
        let (server, fingerprint) = (self.announced("server")?, self.announced("fingerprint")?);
        let line = ["join", &server, &fingerprint, "--token-file", text(&token)?, "--out", text(&join)?];
        self.done("worker", &line, "")?;
        let worker = Program::new("tandem-worker", &self.binaries.worker, &self.path("worker.log"))
            .args(["run", "--name", "far", "--device", "cpu", "--threads", "1", "--join-file"])
            .arg(&join)
            .arg("--data")
            .arg(self.path("data"))
            .arg("--state")
            .arg(self.path("worker-state"))
            // A rank has nothing to say when all is well, and there are to be logs: OpenMP tells its settings when it is loaded.
            .env("OMP_DISPLAY_ENV", "true");
        let worker = self.network.on("worker", worker).start()?;
        until("the worker has told its data sets", MINUTE, || {
            let status = self.json("laptop", &["status"]).ok()?;
            status["workers"][0]["datasets"].is_array().then_some(())
        });
        Ok(worker)
    }

    /// Whether a host gets through to a port.
    pub(crate) fn reaches(&self, host: &str, address: &str, port: &str) -> bool {
        let mut bash = self.network.command_on(host, Path::new("bash"));
        run(bash.args(["-c", "exec 3<> \"/dev/tcp/$0/$1\"", address, port]), "").code == 0
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
