//! A private Postgres cluster made of the installed binaries: for `tandem up` and for tests.
//!
//! Everything lives in one folder, so a copy of the folder is a copy of the database:
//!
//! ```text
//! dir/data/          the cluster (initdb)
//! dir/password       of the role `tandem`, mode 0600
//! dir/port           the TCP port on 127.0.0.1, kept over restarts while it is free
//! dir/postgres.log
//! ```
//!
//! The server listens on loopback TCP only: a Unix socket would bring the 107-byte limit on its path. Postgres refuses
//! to run as root, so there it runs as the account `postgres` or `nobody`. It gets a fast shutdown when this process
//! dies, however that happens.

mod account;
mod binaries;
mod cluster;
mod postmaster;

use std::{io::Write, path::Path, process::Stdio};

use anyhow::{Context, Result, bail, ensure};

use account::Account;
use binaries::Binaries;
use cluster::Cluster;
use postmaster::Postmaster;

/// The role that owns everything in the cluster.
pub const ROLE: &str = "tandem";

/// How a cluster runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Commits survive a power failure. Tests switch it off and save most of their time.
    pub durable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true }
    }
}

/// A running cluster; stopped when dropped.
#[derive(Debug)]
pub struct LocalPostgres {
    cluster: Cluster,
    binaries: Binaries,
    password: String,
    postmaster: Postmaster,
}

impl LocalPostgres {
    /// Starts the cluster in `dir`, making it first where there is none. Returns when it accepts connections.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, Options::default())
    }

    pub fn start_with(dir: &Path, options: Options) -> Result<Self> {
        let cluster = Cluster::at(dir)?;
        let binaries = Binaries::find(cluster.version()?.as_deref())?;
        let account = Account::for_cluster(&cluster)?;
        let password = cluster.prepare(&binaries, &account, options)?;
        let postmaster = Postmaster::start(&cluster, &binaries, &account, options)?;
        tracing::info!(dir = %cluster.dir().display(), port = postmaster.port(), "postgres is ready");
        Ok(Self { cluster, binaries, password, postmaster })
    }

    /// Connection URL of one database. It holds the password: not for logs.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.password, self.postmaster.port())
    }

    pub fn port(&self) -> u16 {
        self.postmaster.port()
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid()
    }

    /// Whether the postmaster still runs; it may have been killed from outside.
    pub fn is_running(&mut self) -> bool {
        self.postmaster.is_running()
    }

    /// Creates a database unless it exists. `name` is of `[a-z0-9_]`.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        ensure!(valid, "`{name}` is no database name: expected letters a-z, digits and _");
        let script = format!(
            "SELECT 'CREATE DATABASE \"{name}\"' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')\\gexec\n"
        );
        self.psql("postgres", &script).with_context(|| format!("cannot create the database `{name}`"))?;
        Ok(())
    }

    /// Runs a psql script, stops at its first error and returns what it printed: unaligned, rows only.
    pub fn psql(&self, database: &str, script: &str) -> Result<String> {
        let mut child = self
            .binaries
            .command("psql")
            .args(["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1"])
            .arg(format!("--port={}", self.postmaster.port()))
            .arg(format!("--username={ROLE}"))
            .arg(format!("--dbname={database}"))
            .env("PGPASSWORD", &self.password)
            .current_dir(self.cluster.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run psql; on Debian and Ubuntu the package is postgresql-client")?;
        let written = child.stdin.take().map(|mut pipe| pipe.write_all(script.as_bytes()));
        let output = child.wait_with_output().context("cannot read what psql answered")?;
        if !output.status.success() {
            bail!("psql ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        written.transpose().context("psql did not read its script")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Fast shutdown: open sessions are ended, everything committed is kept.
    pub fn stop(mut self) -> Result<()> {
        self.postmaster.stop()
    }
}
