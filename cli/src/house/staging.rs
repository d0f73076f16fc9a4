//! A home that is made beside its place, and gets its name when it is whole: half a house is never one.

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    exit::{Exit, Failure},
    home::Home,
    up::lock::{self, Lock},
};

pub(crate) struct Staging {
    pub(crate) home: Home,
    target: PathBuf,
    /// Until it has its name, nobody else restores here.
    _lock: Lock,
    is_placed: bool,
}

impl Staging {
    /// Makes `.NAME.restoring` beside the folder of `target`, which must be empty or not there.
    pub(crate) fn make(target: &Home) -> Result<Self> {
        let dir = target.root();
        refuse_used(target)?;
        let name = dir.file_name().context("the folder has no name")?.to_string_lossy().into_owned();
        let parent = dir.parent().context("the folder has no parent")?;
        let beside = parent.join(format!(".{name}.restoring"));
        let home = Home::at(Some(beside))?;
        remove_leftover(&home)?;
        let cannot = |error: std::io::Error| {
            let message = format!("cannot make the folder {}: {error}", home.root().display());
            Failure::error(Exit::CannotCreate, message)
        };
        fs::create_dir_all(parent).map_err(cannot)?;
        // If we are root, Postgres runs as another account, which must be able to pass through.
        let mode = if nix::unistd::geteuid().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new().mode(mode).create(home.root()).map_err(cannot)?;
        let lock = Lock::take(&home)?;
        Ok(Self { home, target: dir.to_owned(), _lock: lock, is_placed: false })
    }

    /// Gives it its name: the last step.
    pub(crate) fn place(mut self) -> Result<()> {
        let (from, to) = (self.home.root().to_owned(), self.target.clone());
        // What says where things are would name the folder beside.
        for gone in [self.home.lock(), self.home.database_password()] {
            let _ = fs::remove_file(gone);
        }
        tandem_durable::sync_folder(&from).with_context(|| format!("cannot write {}", from.display()))?;
        // An empty folder there is replaced; one that is not, is not.
        fs::rename(&from, &to).map_err(|error| {
            let message = format!("cannot rename {} to {}: {error}", from.display(), to.display());
            Failure::error(Exit::CannotCreate, message)
        })?;
        self.is_placed = true;
        let parent = to.parent().unwrap_or(Path::new("/"));
        tandem_durable::sync_folder(parent).with_context(|| format!("cannot write {}", parent.display()))
    }
}

/// Nothing of a house that was not finished stays.
impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = fs::remove_dir_all(self.home.root());
        }
    }
}

fn refuse_used(target: &Home) -> Result<()> {
    let dir = target.root().display();
    if lock::holder(target)?.is_some() {
        return Err(Failure::error(
            Exit::Config,
            format!("tandem runs in {dir}: a house is restored into a new folder; --dir names another"),
        ));
    }
    let mut entries = match fs::read_dir(target.root()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::error(Exit::CannotCreate, format!("cannot use {dir}: {error}"))),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) if target.postgres().is_dir() => Err(Failure::error(
            Exit::Config,
            format!("{dir} holds a house already: a house is restored into a new folder; --dir names another"),
        )),
        Some(_) => Err(Failure::error(
            Exit::Config,
            format!("{dir} is not empty: a house is restored into a new folder; --dir names another"),
        )),
    }
}

/// Of a restoration that was killed. One that goes on holds its lock.
fn remove_leftover(beside: &Home) -> Result<()> {
    if !beside.root().is_dir() {
        return Ok(());
    }
    if let Some(pid) = lock::holder(beside)? {
        let dir = beside.root().display();
        return Err(Failure::error(Exit::Temporary, format!("another restoration is at {dir} (process {pid})")));
    }
    fs::remove_dir_all(beside.root()).map_err(|error| {
        let message =
            format!("cannot remove {}, which a restoration left that broke off: {error}", beside.root().display());
        Failure::error(Exit::CannotCreate, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::classify;

    fn home(at: &Path) -> Home {
        Home::at(Some(at.to_owned())).unwrap()
    }

    #[test]
    fn a_house_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = home(&dir.path().join("house"));
        let beside = dir.path().join(".house.restoring");
        // One that was killed left this.
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("old"), "").unwrap();
        let staging = Staging::make(&target).unwrap();
        assert!(!beside.join("old").exists());
        fs::write(staging.home.root().join("new"), "").unwrap();
        let (exit, why) = classify(&Staging::make(&target).err().unwrap());
        assert!(exit == Exit::Temporary && why.unwrap().contains("another restoration"));
        drop(staging);
        assert!(!beside.exists() && !target.root().exists());

        let staging = Staging::make(&target).unwrap();
        fs::write(staging.home.root().join("new"), "").unwrap();
        staging.place().unwrap();
        assert!(!beside.exists() && target.root().join("new").exists());
    }

    #[test]
    fn a_folder_that_holds_anything_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = home(dir.path());
        let refused = || {
            let (exit, why) = classify(&Staging::make(&target).err().unwrap());
            assert_eq!(exit, Exit::Config);
            why.unwrap()
        };
        fs::write(dir.path().join("a"), "").unwrap();
        assert!(refused().contains("is not empty"));
        fs::create_dir(target.postgres()).unwrap();
        assert!(refused().contains("holds a house already"));
        let _running = Lock::take(&target).unwrap();
        assert!(refused().contains("tandem runs in"));
        assert!(dir.path().join("a").exists());
    }
}
