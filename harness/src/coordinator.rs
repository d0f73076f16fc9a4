use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use tandem_local_postgres::LocalPostgres;
use tempfile::TempDir;

use crate::{
    binaries::{Binaries, socket_beside},
    database::Database,
    folder::open_folder,
    process::Process,
    wait::try_until,
};

const DATABASE: &str = "tandem";
const LIMIT: Duration = Duration::from_secs(60);
/// Filling a long queue with one query takes a while.
const ANSWER_LIMIT: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The address (`http://HOST:PORT`) that a coordinator wrote to its announce file; `None` while it has not.
#[must_use]
pub fn announced_address(announce: &Path) -> Option<String> {
    announced(announce, "address")
}

fn announced(announce: &Path, what: &str) -> Option<String> {
    // The coordinator writes the file whole or not at all.
    let announced: serde_json::Value = serde_json::from_slice(&fs::read(announce).ok()?).ok()?;
    Some(announced[what].as_str()?.to_owned())
}

/// One coordinator on a Postgres and in a folder of its own, and no workers but those that the caller starts or plays.
#[derive(Debug)]
pub struct Coordinator {
    // Dropped in this order: the coordinator before its database, the folder last.
    process: Process,
    pub database: Database,
    postgres: LocalPostgres,
    /// `http://127.0.0.1:PORT`, for whoever has a token.
    pub address: String,
    /// Of the certificate to pin, if the port speaks TLS.
    pub fingerprint: Option<String>,
    /// Where this account is the admin.
    pub socket: PathBuf,
    binaries: Binaries,
    folder: TempDir,
}

impl Coordinator {
    /// Returns when the coordinator serves. It logs warnings only. Fails, with its log, if it does not start.
    pub fn start(binaries: &Binaries) -> Result<Self> {
        Self::start_in(open_folder()?, binaries, &[])
    }

    /// As [`start`](Self::start), and the port speaks TLS.
    pub fn start_tls(binaries: &Binaries) -> Result<Self> {
        let folder = open_folder()?;
        let tls = folder.path().join("tls").display().to_string();
        Self::start_in(folder, binaries, &["--tls-dir", &tls])
    }

    fn start_in(folder: TempDir, binaries: &Binaries, more: &[&str]) -> Result<Self> {
        let path = |name: &str| folder.path().join(name);
        let postgres = LocalPostgres::start(&path("postgres"))?;
        postgres.create_database(DATABASE)?;
        let url = postgres.url(DATABASE);
        let (log, announce) = (path("server.log"), path("announce.json"));
        let program = binaries.coordinator("coordinator", &log, "127.0.0.1:0", &url, &path("store"), &announce);
        let mut process = program.args(more).env("RUST_LOG", "warn").start()?;
        let address = try_until("the coordinator serves", LIMIT, POLL_INTERVAL, || {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            ensure!(process.try_wait()?.is_none(), "tandem-server ended before it served: {}", log());
            Ok(announced_address(&announce))
        })?;
        let database = Database::new(&url, ANSWER_LIMIT)?;
        let socket = socket_beside(&announce);
        let fingerprint = announced(&announce, "fingerprint");
        Ok(Self { process, fingerprint, database, postgres, address, socket, binaries: binaries.clone(), folder })
    }

    /// For `tandem --server`, by the socket.
    #[must_use]
    pub fn server(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// With its password.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    #[must_use]
    pub fn postgres_pid(&self) -> i32 {
        self.postgres.pid().cast_signed()
    }

    /// The file with the token of a worker of that name, which is made when it is first asked for.
    pub fn worker_token(&self, name: &str) -> Result<PathBuf> {
        let file = self.folder().join(name).with_extension("token");
        if !file.exists() {
            self.binaries.make_worker_token(&self.socket, name, &file)?;
        }
        Ok(file)
    }

    /// Starts a CPU worker with one thread, which logs warnings only. Its ranks are its children.
    pub fn start_worker(&self, name: &str, data: &Path) -> Result<Process> {
        let log = self.folder().join(name).with_extension("log");
        let token = self.worker_token(name)?;
        let program = self.binaries.worker(name, &log, &self.address, &token, data, &self.folder().join(name));
        program.args(["--threads", "1"]).env("RUST_LOG", "warn").start()
    }
}
