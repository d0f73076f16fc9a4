//! The folder that holds a database server's data, its password, port and log: how it is read and made.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use uuid::Uuid;

use crate::{binaries::Binaries, options::Options, os_user::OsUser};

/// The role that owns everything in the database server.
pub const ROLE: &str = "tandem";

#[derive(Debug)]
pub(crate) struct DataFolder {
    dir: PathBuf,
}

impl DataFolder {
    /// Makes the folder where it is missing.
    pub(crate) fn at(dir: &Path) -> Result<Self> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make the folder {}", dir.display())),
        }
        let dir = dir.canonicalize().with_context(|| format!("cannot look at {}", dir.display()))?;
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// Major version of the Postgres that made the data; `None` before initdb has finished.
    pub(crate) fn version(&self) -> Result<Option<String>> {
        Ok(read_if_there(&self.data().join("PG_VERSION"))?.map(|text| text.trim().to_owned()))
    }

    /// The owner of the data; `None` before initdb.
    pub(crate) fn owner(&self) -> Result<Option<Uid>> {
        match fs::metadata(self.data()) {
            Ok(meta) => Ok(Some(Uid::from_raw(meta.uid()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", self.data().display())),
        }
    }

    /// The port of the last run.
    pub(crate) fn last_port(&self) -> Result<Option<u16>> {
        Ok(read_if_there(&self.dir.join("port"))?.and_then(|text| text.trim().parse().ok()))
    }

    pub(crate) fn save_port(&self, port: u16) -> Result<()> {
        let path = self.dir.join("port");
        fs::write(&path, format!("{port}\n")).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Runs initdb if there are no data yet. Returns the role's password.
    pub(crate) fn prepare(&self, binaries: &Binaries, user: &OsUser, options: Options) -> Result<String> {
        user.give(&self.dir)?;
        let path = self.dir.join("password");
        if self.version()?.is_some() {
            let password = read_if_there(&path)?;
            return password
                .map(|text| text.trim().to_owned())
                .with_context(|| format!("the data are there but their password file {} is not", path.display()));
        }
        let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        write_secret(&path, &password)?;
        user.give(&path)?;
        self.initdb(binaries, user, &path, options)?;
        Ok(password)
    }

    fn initdb(&self, binaries: &Binaries, user: &OsUser, password: &Path, options: Options) -> Result<()> {
        let mut command = user.command(&binaries.path("initdb"));
        command
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(password)
            .arg(format!("--username={ROLE}"))
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"])
            .current_dir(&self.dir);
        if !options.durable {
            command.arg("--no-sync");
        }
        let output = command.output().context("cannot run initdb through setpriv (package util-linux)")?;
        if !output.status.success() {
            // initdb removes what it wrote when it fails, so the next start can run it again.
            bail!(
                "initdb could not make a database in {} ({}): {}",
                self.data().display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}

fn write_secret(path: &Path, secret: &str) -> Result<()> {
    // A file left by an initdb that failed may have another owner or mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{secret}"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// `None` where there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
