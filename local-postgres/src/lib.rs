//! A private Postgres server, run from the installed binaries: for `tandem up` and for tests.
//!
//! Everything lives in one folder, so a copy of the folder is a copy of the database:
//!
//! ```text
//! dir/data/          made by initdb, as data.new.*, and then renamed
//! dir/password       of the role `tandem`, mode 0600
//! dir/port           the TCP port on 127.0.0.1, kept over restarts while it is free
//! dir/postgres.log
//! ```
//!
//! The server listens on loopback TCP only, because the path of a Unix socket may have 107 bytes at most. Postgres refuses
//! to run as root: started by root, it runs as the user `postgres` or `nobody`. It gets a fast shutdown when this process
//! dies, however that happens.

mod binaries;
mod bound;
mod data_folder;
mod lock_file;
mod options;
mod os_user;
mod postmaster;
mod predecessor;

use std::{io::Write, path::Path, process::Stdio};

use anyhow::{Context, Result, bail, ensure};

use binaries::Binaries;
pub use bound::bound_command;
use data_folder::DataFolder;
pub use data_folder::{ROLE, check_path};
pub use options::Options;
use os_user::OsUser;
use postmaster::Postmaster;

/// The version and the folder of the installed Postgres that can read the data in `dir`; of any, where there are none yet.
///
/// # Errors
/// When none is installed, or none of the data's version.
pub fn installed(dir: &Path) -> Result<String> {
    let version = data_folder::version_in(dir)?;
    Binaries::find(version.as_deref()).map(|found| found.in_words())
}

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct LocalPostgres {
    folder: DataFolder,
    binaries: Binaries,
    password: String,
    postmaster: Postmaster,
}

impl LocalPostgres {
    /// Starts the server on the data in `dir`, which are made first where there are none. Returns when it accepts
    /// connections.
    ///
    /// # Errors
    /// When Postgres is not installed, cannot read the data, or does not start; its log is quoted.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, Options::default())
    }

    /// As [`start`](Self::start), with options.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(dir: &Path, options: Options) -> Result<Self> {
        let folder = DataFolder::at(dir)?;
        let binaries = Binaries::find(folder.version()?.as_deref())?;
        let user = OsUser::choose(folder.owner()?, folder.dir())?;
        let password = folder.prepare(&binaries, &user, options)?;
        let postmaster = Postmaster::start(&folder, &binaries, &user, options)?;
        tracing::info!(dir = %folder.dir().display(), port = postmaster.port(), "postgres is ready");
        Ok(Self { folder, binaries, password, postmaster })
    }

    /// Connection URL of one database. It holds the password: keep it out of logs.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.password, self.postmaster.port())
    }

    /// The same without the password.
    pub fn url_without_password(&self, database: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{database}", self.postmaster.port())
    }

    pub fn port(&self) -> u16 {
        self.postmaster.port()
    }

    /// Process id of the server's first process, the postmaster.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid()
    }

    /// Whether the server still runs; it may have been killed from outside.
    pub fn is_running(&mut self) -> bool {
        self.postmaster.is_running()
    }

    /// Creates a database unless it exists. `name` matches `[a-z0-9_]+`.
    ///
    /// # Errors
    /// When the name is another, or the server does not answer.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        ensure!(valid, "`{name}` is no database name: expected letters a-z, digits and _");
        let script = format!(
            "SELECT 'CREATE DATABASE \"{name}\"' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')\\gexec\n"
        );
        self.psql("postgres", &script).with_context(|| format!("cannot create the database `{name}`"))?;
        Ok(())
    }

    /// Runs a psql script and returns what it printed: unaligned, rows only.
    ///
    /// # Errors
    /// At the script's first error.
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
            .current_dir(self.folder.dir())
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
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(mut self) -> Result<()> {
        self.postmaster.stop()
    }
}
