//! Published archives of images: downloaded, checked, unpacked.
//!
//! The system's curl and tar do the work: they need no TLS stack and no unpacker in this binary, and curl knows the
//! machine's proxies and certificates. This module makes sure that a data folder holds a whole, verified set or none.

mod curl;

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Result;
use md5::{Digest, Md5};
use tokio::process::Command;

use crate::{
    exit::{Exit, Failure},
    files::{cannot, make_dir, remove},
    output::Output,
};

/// Where an archive is and what it must be.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) url: String,
    file: &'static str,
    /// As its authors publish it.
    md5: String,
    /// What it unpacks to, below the data folder.
    pub(crate) folder: &'static str,
    /// What must be in there.
    files: &'static [&'static str],
}

/// The "binary version" of a data set (Krizhevsky 2009): <https://www.cs.toronto.edu/~kriz/cifar.html>.
pub(crate) fn archive(dataset: &str) -> Result<Archive> {
    let (file, md5, folder, files): (_, _, _, &[_]) = match dataset {
        "cifar10" => (
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            "cifar-10-batches-bin",
            &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
            ],
        ),
        "cifar100" => (
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            "cifar-100-binary",
            &["train.bin", "test.bin"],
        ),
        other => {
            let message = format!("no data set `{other}` to get: expected cifar10 or cifar100");
            return Err(Failure::error(Exit::Usage, message));
        }
    };
    Ok(Archive { url: format!("https://www.cs.toronto.edu/~kriz/{file}"), file, md5: md5.to_owned(), folder, files })
}

/// Where somebody else has the archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Url(String),
    File(PathBuf),
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        match (text.strip_prefix("file://"), text.contains("://")) {
            (Some(path), _) => Self::File(path.into()),
            (None, true) => Self::Url(text),
            (None, false) => Self::File(text.into()),
        }
    }
}

impl Archive {
    /// All of its files are there.
    pub(crate) fn is_in(&self, data: &Path) -> bool {
        self.files.iter().all(|file| data.join(self.folder).join(file).is_file())
    }

    /// Leaves the unpacked folder in `data`, or only a part of the archive, with which the next call goes on.
    pub(crate) async fn get(&self, data: &Path, output: &Output) -> Result<()> {
        let target = self.free_target(data)?;
        let part = data.join(format!(".{}.part", self.file));
        let resumed = part.is_file();
        let mut found = if resumed { sum(&part)? } else { String::new() };
        if found != self.md5 {
            curl::download(&self.url, &part, output).await?;
            found = sum(&part)?;
        }
        if found != self.md5 && resumed {
            // The part belonged to another file: download all of it.
            remove(&part)?;
            curl::download(&self.url, &part, output).await?;
            found = sum(&part)?;
        }
        if found != self.md5 {
            remove(&part)?;
            let message = format!(
                "{} is not what its authors published: its MD5 is {found}, expected {}; nothing was kept. \
                 Try again, or name a mirror with --from",
                self.url, self.md5
            );
            return Err(Failure::error(Exit::Temporary, message));
        }
        self.unpack(&part, data, &target).await?;
        remove(&part)
    }

    /// As [`Self::get`], from a file that stays as it is.
    pub(crate) async fn take(&self, file: &Path, data: &Path) -> Result<()> {
        if !file.is_file() {
            let what = if file.exists() { "is no file" } else { "is not there" };
            let message = format!("{} {what}: expected {}, or a URL of it", file.display(), self.file);
            return Err(Failure::error(Exit::NotFound, message));
        }
        let target = self.free_target(data)?;
        let found = sum(file)?;
        if found != self.md5 {
            let message = format!(
                "{} is not what its authors published as {}: its MD5 is {found}, expected {}; nothing was unpacked",
                file.display(),
                self.file,
                self.md5
            );
            return Err(Failure::error(Exit::Damaged, message));
        }
        self.unpack(file, data, &target).await
    }

    /// Where the data set goes, if nothing is there.
    fn free_target(&self, data: &Path) -> Result<PathBuf> {
        let target = data.join(self.folder);
        if target.symlink_metadata().is_ok() {
            let message = format!(
                "{} is there, but not all of its files are: remove it, or choose another folder with --data",
                target.display()
            );
            return Err(Failure::error(Exit::CannotCreate, message));
        }
        make_dir(data)?;
        Ok(target)
    }

    /// Unpacks into a temporary folder first, so that the data set appears as a whole.
    async fn unpack(&self, part: &Path, data: &Path, target: &Path) -> Result<()> {
        let beside = data.join(format!(".{}.{}", self.folder, std::process::id()));
        let unpacked = Unpacked(beside);
        make_dir(&unpacked.0)?;
        let tar =
            Command::new("tar").arg("-xzf").arg(part).arg("-C").arg(&unpacked.0).kill_on_drop(true).output().await;
        let tar = tar.map_err(|error| curl::not_installed("tar", &error))?;
        let folder = unpacked.0.join(self.folder);
        let missing = self.files.iter().find(|file| !folder.join(file).is_file());
        if !tar.status.success() || missing.is_some() {
            let said = String::from_utf8_lossy(&tar.stderr);
            let why =
                missing.map_or_else(|| said.trim().to_owned(), |file| format!("it holds no {}/{file}", self.folder));
            let message = format!("cannot unpack {}: {why}", part.display());
            return Err(Failure::error(Exit::CannotCreate, message));
        }
        fs::rename(&folder, target).map_err(|error| cannot("put in place", target, &error))
    }
}

/// A temporary folder, removed when dropped.
struct Unpacked(PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        // Best effort: what it held has been moved, or an error is reported already.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// MD5 in hex: no protection against malice, but it is what the authors publish.
fn sum(path: &Path) -> Result<String> {
    let failed = |error| cannot("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
