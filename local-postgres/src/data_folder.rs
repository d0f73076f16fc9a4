//! The folder that holds a database server's data, its password, port and log: how it is read and made.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;
use uuid::Uuid;

use crate::{binaries::Binaries, options::Options, os_user::OsUser};

/// The role that owns everything in the database server.
pub const ROLE: &str = "tandem";

/// How the name of a data folder begins that initdb has not finished.
const UNFINISHED: &str = "data.new.";

#[derive(Debug)]
pub(crate) struct DataFolder {
    dir: PathBuf,
}

impl DataFolder {
    /// Makes the folder where it is missing.
    pub(crate) fn at(dir: &Path) -> Result<Self> {
        check_path(dir)?;
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
        version_in(&self.dir)
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

    /// Makes the data if there are none yet. Returns the role's password.
    ///
    /// They appear whole or not at all: initdb writes beside, and what a killed one left is removed.
    pub(crate) fn prepare(&self, binaries: &Binaries, user: &OsUser, options: Options) -> Result<String> {
        user.give(&self.dir)?;
        self.remove_leftovers()?;
        let path = self.dir.join("password");
        if self.version()?.is_some() {
            let password = read_if_there(&path)?
                .with_context(|| format!("the data are there but their password file {} is not", path.display()))?;
            let password = password.trim();
            ensure!(!password.is_empty(), "the password file {} is empty; bring it back from a copy", path.display());
            return Ok(password.to_owned());
        }
        let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        tandem_durable::replace(&path, format!("{password}\n").as_bytes(), tandem_durable::Mode::Private)
            .with_context(|| format!("cannot write {}", path.display()))?;
        user.give(&path)?;
        // A name of its own: an initdb that lost its parent may still be removing what it wrote.
        let new = self.dir.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
        initdb(binaries, user, &new, &path, options)?;
        let data = self.data();
        // initdb has forced the new folder to disk, and only now gets it the name that says so.
        fs::rename(&new, &data).with_context(|| format!("cannot rename {} to {}", new.display(), data.display()))?;
        tandem_durable::sync_folder(&self.dir).with_context(|| format!("cannot write {}", self.dir.display()))?;
        Ok(password)
    }

    fn remove_leftovers(&self) -> Result<()> {
        let failed = || format!("cannot read {}", self.dir.display());
        for entry in fs::read_dir(&self.dir).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // One that is still being written stays for the next start: it is in nobody's way.
                if let Err(error) = fs::remove_dir_all(entry.path()) {
                    tracing::warn!(%error, path = %entry.path().display(), "a leftover of initdb stays");
                }
            }
        }
        Ok(())
    }
}

/// Refuses a folder whose path Postgres, or this crate, could not read back from `postmaster.pid`.
///
/// # Errors
/// Names the path.
pub fn check_path(dir: &Path) -> Result<()> {
    let plain = dir.to_str().is_some_and(|text| !text.contains(char::is_control));
    ensure!(
        plain,
        "cannot keep a database in {}: its path holds characters that are not UTF-8, or control characters; choose \
         another folder",
        dir.display().to_string().escape_debug()
    );
    Ok(())
}

fn initdb(binaries: &Binaries, user: &OsUser, data: &Path, password: &Path, options: Options) -> Result<()> {
    let mut command = user.command(&binaries.path("initdb"));
    command
        .arg("--pgdata")
        .arg(data)
        .arg("--pwfile")
        .arg(password)
        .arg(format!("--username={ROLE}"))
        .args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"])
        .current_dir(data.parent().unwrap_or(data));
    if !options.durable {
        command.arg("--no-sync");
    }
    let output = command.output().context("cannot run initdb through setpriv (package util-linux)")?;
    if !output.status.success() {
        bail!(
            "initdb could not make a database in {} ({}): {}",
            data.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// `None` where there is no such file.
/// Of the data in a folder that may not be there.
pub(crate) fn version_in(dir: &Path) -> Result<Option<String>> {
    Ok(read_if_there(&dir.join("data/PG_VERSION"))?.map(|text| text.trim().to_owned()))
}

pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
