//! Small disks that can be filled: a tmpfs each, in a mount namespace of our own, so that they vanish with the harness.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

/// From now on mounts are ours alone. Before any thread is started: a namespace is a thread's.
///
/// # Errors
/// When this is not allowed: not root, or in a sandbox.
pub(crate) fn own_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot have a mount namespace of its own (are you root?)")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("cannot make its mounts private")
}

/// A tmpfs of so many MiB on `folder`.
///
/// # Errors
/// When it cannot be mounted.
pub(crate) fn small(folder: &Path, mebibytes: u32) -> Result<()> {
    let options = format!("size={mebibytes}m,mode=0700");
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("cannot mount a tmpfs on {}", folder.display()))
}

/// What is on it is lost.
pub(crate) fn unmount(folder: &Path) {
    // One that stays goes with the harness.
    let _ = umount2(folder, MntFlags::MNT_DETACH);
}

/// A file that takes all the room there is.
#[derive(Debug)]
pub(crate) struct Balloon {
    path: PathBuf,
    file: Option<File>,
}

impl Balloon {
    pub(crate) fn on(folder: &Path) -> Self {
        Self { path: folder.join("balloon"), file: None }
    }

    /// Takes all the room, and what has become free since.
    ///
    /// # Errors
    /// When the file cannot be made, of which a full disk is no reason.
    pub(crate) fn grow(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.path)
                    .with_context(|| format!("cannot make {}", self.path.display()))?,
            ),
        };
        for block in [1 << 20, 64 << 10, 4 << 10] {
            let zeros = vec![0; block];
            // The error that is waited for is "no space left"; with any other the disk is not full, and training shows it.
            while file.write_all(&zeros).is_ok() {}
        }
        Ok(())
    }

    pub(crate) fn burst(&mut self) -> Result<()> {
        self.file = None;
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}
