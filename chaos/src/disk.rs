//! Small disks that can be filled: each is a tmpfs in a mount namespace of our own, so they vanish with this process.

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

/// From now on, only this process sees its mounts. To be called before any thread is started, because a namespace
/// belongs to a thread.
///
/// # Errors
/// When this is not allowed: not root, or in a sandbox.
pub(crate) fn own_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot have a mount namespace of its own (are you root?)")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("cannot make its mounts private")
}

/// Mounts a tmpfs of so many MiB on `folder`.
///
/// # Errors
/// When it cannot be mounted.
pub(crate) fn mount_tmpfs(folder: &Path, mebibytes: u32) -> Result<()> {
    let options = format!("size={mebibytes}m,mode=0700");
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("cannot mount a tmpfs on {}", folder.display()))
}

/// The files on it are lost.
pub(crate) fn unmount(folder: &Path) {
    // One that stays mounted goes with this process.
    let _ = umount2(folder, MntFlags::MNT_DETACH);
}

/// A file that takes all the space of a disk.
#[derive(Debug)]
pub(crate) struct DiskFiller {
    path: PathBuf,
    file: Option<File>,
}

impl DiskFiller {
    pub(crate) fn on(folder: &Path) -> Self {
        Self { path: folder.join("filler"), file: None }
    }

    /// Takes all space, also what has become free since the last call.
    ///
    /// # Errors
    /// When the file cannot be made. A full disk is no reason for that.
    pub(crate) fn fill(&mut self) -> Result<()> {
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
            // Ends with "no space left". After any other error the disk is not full, and the run shows that nothing failed.
            while file.write_all(&zeros).is_ok() {}
        }
        Ok(())
    }

    /// Frees the space.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.file = None;
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}
