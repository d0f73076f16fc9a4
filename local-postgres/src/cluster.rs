//! The folder of a cluster: what is in it, and how it is made.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use uuid::Uuid;

use crate::{Options, ROLE, account::Account, binaries::Binaries};

#[derive(Debug)]
pub(crate) struct Cluster {
    dir: PathBuf,
}

impl Cluster {
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

    /// Major version that made the cluster; none before initdb has finished.
    pub(crate) fn version(&self) -> Result<Option<String>> {
        Ok(read_if_there(&self.data().join("PG_VERSION"))?.map(|text| text.trim().to_owned()))
    }

    /// Whose the data are; none before initdb.
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

    pub(crate) fn keep_port(&self, port: u16) -> Result<()> {
        let path = self.dir.join("port");
        fs::write(&path, format!("{port}\n")).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Runs initdb unless that was done, and returns the role's password.
    pub(crate) fn prepare(&self, binaries: &Binaries, account: &Account, options: Options) -> Result<String> {
        account.give(&self.dir)?;
        let path = self.dir.join("password");
        if self.version()?.is_some() {
            let password = read_if_there(&path)?;
            return password
                .map(|text| text.trim().to_owned())
                .with_context(|| format!("the cluster is there but its password file {} is not", path.display()));
        }
        let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        write_secret(&path, &password)?;
        account.give(&path)?;
        self.initdb(binaries, account, &path, options)?;
        Ok(password)
    }

    fn initdb(&self, binaries: &Binaries, account: &Account, password: &Path, options: Options) -> Result<()> {
        let mut command = account.command(&binaries.path("initdb"));
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
            // initdb takes back what it wrote when it fails, so the next start begins anew.
            bail!(
                "initdb could not make a cluster in {} ({}): {}",
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

pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
