//! An image folder of this machine, or an archive of one: found, checked, ready to be sent.

use std::{
    fs,
    fs::{File, Permissions},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output as Ended, Stdio},
};

use anyhow::{Context, Error, Result};
use tandem_images::{Checked, Listing, check, list, packed::Packing};
use tempfile::TempDir;
use tokio::{process::Command, task::spawn_blocking};

use crate::{
    exit::{Exit, Failure},
    files::cannot,
    gauge::{Gauge, Unit},
};

/// Images at fault that are named; whoever has more of them sees enough.
const NAMED: usize = 10;
/// What a Zip begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// A folder with `train/` and `test/`. What was unpacked for it goes when it is dropped.
#[derive(Debug)]
pub(crate) struct ImageFolder {
    root: PathBuf,
    /// Where people look for it: an archive, in place of a folder that is gone soon.
    given: PathBuf,
    _unpacked: Option<TempDir>,
}

impl ImageFolder {
    /// `given`: the folder itself, or a tar or Zip that holds it.
    pub(crate) async fn find(given: &Path) -> Result<Self> {
        let kind = fs::metadata(given)
            .map_err(|error| Failure::error(Exit::NotFound, format!("cannot read {}: {error}", given.display())))?;
        if kind.is_dir() {
            return Ok(Self { root: given.to_owned(), given: given.to_owned(), _unpacked: None });
        }
        if !kind.is_file() {
            let message = format!("{} is neither a folder nor an archive", given.display());
            return Err(Failure::error(Exit::NotFound, message));
        }
        let unpacked = tempfile::Builder::new().prefix("tandem-data-").tempdir();
        let unpacked = unpacked.map_err(|error| cannot("make a folder in", &std::env::temp_dir(), &error))?;
        let ended = unpack(given, unpacked.path()).await;
        // Folders that nobody may change could neither be read nor be removed.
        let outside = tame(unpacked.path(), unpacked.path());
        ended?;
        if let Some(link) = outside {
            let link = link.strip_prefix(unpacked.path()).unwrap_or(&link);
            let message =
                format!("{}: {} is a link that leads out of it; nothing was sent", given.display(), link.display());
            return Err(Failure::error(Exit::BadExperiment, message));
        }
        let root = root_in(unpacked.path()).ok_or_else(|| {
            let message = format!(
                "{} holds no image folder: expected train/CLASS/*.png and test/CLASS/*.png (or .jpg, ..), in a folder of \
                 their own or not",
                given.display()
            );
            Failure::error(Exit::BadExperiment, message)
        })?;
        Ok(Self { root, given: given.to_owned(), _unpacked: Some(unpacked) })
    }

    /// Reads every image. All that is wrong is said at once.
    pub(crate) async fn check(&self, name: &str) -> Result<(Listing, Checked)> {
        let (root, given, label) = (self.root.clone(), self.given.clone(), format!("checking {name}"));
        let read = move || {
            let wrong = |problems: &[tandem_images::Error]| wrong(&root, &given, problems);
            let listing = list(&root, &|| ()).map_err(|error| wrong(&[error]))?;
            let gauge = Gauge::new(&label, Unit::Images, (listing.train.len() + listing.test.len()) as u64);
            let checked = check(&listing, NAMED, &|| gauge.add(1));
            if checked.problems.is_empty() { Ok((listing, checked)) } else { Err(wrong(&checked.problems)) }
        };
        spawn_blocking(read).await.context("the images could not be checked")?
    }
}

/// How it is packed, and the SHA-256 of that.
pub(crate) async fn pack(listing: Listing, name: &str) -> Result<(Packing, String)> {
    let label = format!("packing {name}");
    let pack = move || {
        let images = (listing.train.len() + listing.test.len()) as u64;
        let packing = Packing::of(listing).map_err(|error| Failure::error(Exit::BadExperiment, error.to_string()))?;
        let gauge = Gauge::new(&label, Unit::Images, images);
        let sha256 = packing.sha256(&|| gauge.add(1));
        let sha256 = sha256.map_err(|error| Failure::error(Exit::BadExperiment, error.to_string()))?;
        Ok((packing, sha256))
    };
    spawn_blocking(pack).await.context("the images could not be packed")?
}

fn wrong(root: &Path, given: &Path, problems: &[tandem_images::Error]) -> Error {
    let (root, given) = (root.display().to_string(), given.display().to_string());
    let mut lines = vec![format!("{given} cannot be put; nothing was sent:")];
    lines.extend(problems.iter().map(|problem| format!("  {}", problem.to_string().replace(&root, &given))));
    if problems.len() == NAMED {
        lines.push("  and there may be more".to_owned());
    }
    Failure::error(Exit::BadExperiment, lines.join("\n"))
}

/// By the system's tar, which knows its compressions, or by unzip.
async fn unpack(archive: &Path, into: &Path) -> Result<()> {
    let mut first = [0; ZIP.len()];
    let mut file = File::open(archive)
        .map_err(|error| Failure::error(Exit::NotFound, format!("cannot read {}: {error}", archive.display())))?;
    let is_zip = file.read_exact(&mut first).is_ok() && first == ZIP;
    let program = if is_zip { "unzip" } else { "tar" };
    let mut command = Command::new(program);
    if is_zip {
        command.arg("-q").arg(archive).arg("-d").arg(into);
    } else {
        command.arg("-xf").arg(archive).arg("-C").arg(into);
    }
    let ended = command.kill_on_drop(true).stdin(Stdio::null()).output().await.map_err(|error| {
        let message = format!("cannot run {program}: {error}; install it, or unpack the archive and name the folder");
        Failure::error(Exit::NotFound, message)
    })?;
    if ended.status.success() { Ok(()) } else { Err(not_unpacked(archive, into, &ended)) }
}

fn not_unpacked(archive: &Path, into: &Path, ended: &Ended) -> Error {
    let said = String::from_utf8_lossy(&ended.stderr);
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let archive = archive.display();
    if let Some(full) = lines().find(|line| line.contains("No space left") || line.contains("disk full")) {
        let message = format!("cannot unpack {archive} in {}: {full}; TMPDIR names another place", into.display());
        return Failure::error(Exit::CannotCreate, message);
    }
    // What tar does in silence, and unzip's name of the archive, are no reasons.
    let reason = |line: &&str| !line.starts_with('[') && !line.contains("Removing leading");
    let why = lines().find(reason).unwrap_or("it did not say why");
    let message =
        format!("{archive} cannot be unpacked; it is damaged, or no archive of a kind that is known here: {why}");
    Failure::error(Exit::BadExperiment, message)
}

/// Makes all folders below `folder` such that they can be read and removed; the first link that leads out of `root`.
fn tame(folder: &Path, root: &Path) -> Option<PathBuf> {
    let mut outside = None;
    // What fails here fails again, and with words, when it is read.
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    let root_there = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(kind) = path.symlink_metadata() else { continue };
        if kind.is_dir() {
            outside = outside.or(tame(&path, root));
        } else if kind.is_symlink() && path.canonicalize().is_ok_and(|to| !to.starts_with(&root_there)) {
            outside = outside.or(Some(path));
        }
    }
    outside
}

/// The folder itself, or the only one in it: archives often hold one of their own name.
fn root_in(folder: &Path) -> Option<PathBuf> {
    let has_halves = |folder: &Path| folder.join("train").is_dir() && folder.join("test").is_dir();
    if has_halves(folder) {
        return Some(folder.to_owned());
    }
    let inside = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut folders = inside.filter(|path| has_halves(path));
    folders.next().filter(|_| folders.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_the_archive_is_found_and_of_two_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(root_in(dir.path()), None);
        for half in ["train", "test"] {
            fs::create_dir_all(dir.path().join("cats").join(half)).unwrap();
        }
        fs::create_dir(dir.path().join("__MACOSX")).unwrap();
        assert_eq!(root_in(dir.path()), Some(dir.path().join("cats")));
        for half in ["train", "test"] {
            fs::create_dir_all(dir.path().join("dogs").join(half)).unwrap();
        }
        assert_eq!(root_in(dir.path()), None);
    }
}
