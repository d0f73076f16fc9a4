//! A coordinator on a private Postgres, in a folder of its own, and no worker: for rows that play the workers, or that
//! must know which process is which.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tandem_local_postgres::LocalPostgres;
use tandem_proto::v1::{CancelRequest, SubmitRequest, SubmitResponse, jobs_client::JobsClient};
use uuid::Uuid;

use crate::local::wait_until;
use crate::process;

const DATABASE: &str = "tandem";
const READY: Duration = Duration::from_secs(60);

// Dropped in this order: the coordinator before its database, the folder last.
pub(crate) struct House {
    server: Running,
    postgres: LocalPostgres,
    /// "http://127.0.0.1:PORT"
    pub(crate) address: String,
    bin_dir: PathBuf,
    folder: tempfile::TempDir,
}

impl House {
    /// Returns when the coordinator serves.
    pub(crate) fn start(bin_dir: &Path) -> Result<Self> {
        raise_open_files()?;
        let folder = tempfile::Builder::new().prefix("tandem-bench.").tempdir()?;
        // Started by root, Postgres runs as another user, who must reach its folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let postgres = LocalPostgres::start(&folder.path().join("postgres"))?;
        postgres.create_database(DATABASE)?;
        let announce = folder.path().join("announce.json");
        let mut command = program(bin_dir, "tandem-server")?;
        // Not among the arguments, which everybody may read: it holds the password.
        command.env("DATABASE_URL", postgres.url(DATABASE)).args(["--listen", "127.0.0.1:0", "--store"]);
        command.arg(folder.path().join("store")).arg("--announce").arg(&announce);
        command.env("RUST_LOG", "warn").stderr(fs::File::create(folder.path().join("server.log"))?);
        let mut server = Running(command.spawn().context("cannot start tandem-server")?);
        let mut address = String::new();
        wait_until("the coordinator serves", READY, || {
            let status = server.0.try_wait()?;
            let log = || fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
            ensure!(status.is_none(), "tandem-server ended before it served: {}", log());
            // Written whole or not at all.
            let Ok(text) = fs::read_to_string(&announce) else { return Ok(false) };
            let announced: serde_json::Value = serde_json::from_str(&text)?;
            address = announced["address"].as_str().context("announce.json has an address")?.to_owned();
            Ok(true)
        })?;
        Ok(Self { server, postgres, address, bin_dir: bin_dir.to_owned(), folder })
    }

    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// What psql prints: unaligned, rows only.
    pub(crate) fn psql(&self, script: &str) -> Result<String> {
        self.postgres.psql(DATABASE, script)
    }

    /// A number that a query gives.
    pub(crate) fn number(&self, query: &str) -> Result<f64> {
        let said = self.psql(query)?;
        said.parse().with_context(|| format!("`{query}` gave {said:?}, not a number"))
    }

    /// Seconds of CPU so far: the coordinator's, and those of Postgres with all its backends.
    pub(crate) fn cpu_seconds(&self) -> Result<Cpu> {
        let coordinator = process::cpu_seconds(self.server.0.id())?;
        Ok(Cpu { coordinator, postgres: process::cpu_seconds_of_tree(self.postgres.pid())? })
    }

    /// Starts one real worker of one CPU; its ranks are its children.
    pub(crate) fn worker(&self, name: &str, data: &Path) -> Result<Running> {
        let mut command = program(&self.bin_dir, "tandem-worker")?;
        command.args(["run", "--server", &self.address, "--name", name, "--device", "cpu", "--threads", "1", "--data"]);
        command.arg(data).arg("--state").arg(self.home().join(name));
        command.env("RUST_LOG", "warn").stderr(fs::File::create(self.home().join(format!("{name}.log")))?);
        Ok(Running(command.spawn().context("cannot start tandem-worker")?))
    }

    pub(crate) async fn submit(&self, toml: String) -> Result<SubmitResponse> {
        let mut jobs = JobsClient::connect(self.address.clone()).await?;
        let (owner, file_name, idempotency_key) = ("bench".into(), "bench.toml".into(), Uuid::new_v4().to_string());
        let request = SubmitRequest { toml, file_name, owner, idempotency_key, fresh: true, ..Default::default() };
        Ok(jobs.submit(request).await.context("the coordinator refused the experiment")?.into_inner())
    }

    pub(crate) async fn cancel(&self, job: &str) -> Result<()> {
        let mut jobs = JobsClient::connect(self.address.clone()).await?;
        jobs.cancel(CancelRequest { target: job.to_owned() }).await?;
        Ok(())
    }
}

/// Seconds of CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) coordinator: f64,
    pub(crate) postgres: f64,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        let Self { coordinator, postgres } = before;
        Self { coordinator: self.coordinator - coordinator, postgres: self.postgres - postgres }
    }

    pub(crate) fn total(self) -> f64 {
        self.coordinator + self.postgres
    }
}

/// A process that is asked to end when dropped, and waited for.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill(self.id(), Signal::TERM);
        let ended = wait_until("a process ends", READY, || Ok(self.0.try_wait()?.is_some()));
        if ended.is_err() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

pub(crate) fn kill(process: u32, signal: Signal) -> Result<()> {
    let id = Pid::from_raw(process.cast_signed()).context("0 is no process")?;
    kill_process(id, signal).with_context(|| format!("cannot send {signal:?} to process {process}"))
}

/// One of our binaries, where it must lie; without whatever the caller's environment points at.
pub(crate) fn program(bin_dir: &Path, name: &str) -> Result<Command> {
    let path = bin_dir.join(name);
    let build = if cfg!(debug_assertions) { "cargo build --bins" } else { "cargo build --release --bins" };
    ensure!(path.exists(), "{} is not there: build it with `{build}`", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    for variable in ["TANDEM_SERVER", "TANDEM_TOKEN", "TANDEM_HOME", "TANDEM_LISTEN", "TANDEM_TIMING"] {
        command.env_remove(variable);
    }
    Ok(command)
}

/// A stream of each of a thousand workers is a file, here and in the coordinator, which inherits the limit.
fn raise_open_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raising the limit of open files")
}
