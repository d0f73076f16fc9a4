//! What can be wrong with an image folder. Each message says where, and what to do.

use std::{io, path::PathBuf};

use nix::errno::Errno;
use thiserror::Error;

/// Listing, reading or unpacking an image folder failed.
#[derive(Debug, Error)]
pub enum Error {
    #[error("no data at {} on this machine: {how}", path.display())]
    NotHere { path: PathBuf, how: String },
    #[error("no data at {}: {how}", path.display())]
    Missing { path: PathBuf, how: String },
    #[error("cannot read {}: {source}{}", path.display(), what_to_do(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is {what} where a file is expected; rename or remove it", path.display())]
    NotAFile { path: PathBuf, what: &'static str },
    #[error("{} has {bytes} bytes, more than the {most} of any image that is read; replace or remove this file", path.display())]
    Large { path: PathBuf, bytes: u64, most: u64 },
    #[error("folder {} leads back to a folder that it lies in; remove that link", path.display())]
    Circle { path: PathBuf },
    #[error("cannot decode {}: {}; replace or remove this file", path.display(), source.to_string().replace('\n', "; "))]
    Decode { path: PathBuf, source: image::ImageError },
    #[error("{} is {width} pixels wide and {height} high; expected at least one and at most {most}: replace or remove this file", path.display())]
    Pixels { path: PathBuf, width: u32, height: u32, most: u64 },
    #[error("{} is cut off: {why}; replace or remove this file", path.display())]
    CutOff { path: PathBuf, why: &'static str },
    #[error("{} holds no class folders; an image folder needs train/CLASS/*.png and test/CLASS/*.png (or .jpg, ..)", path.display())]
    NoClasses { path: PathBuf },
    #[error("class folder {} holds no image ({}); add images or remove the class", path.display(), expected)]
    EmptyClass { path: PathBuf, expected: String },
    #[error("train and test must have the same class folders: `{class}` is only in {}", path.display())]
    Classes { class: String, path: PathBuf },
    #[error("{} is no packed data set: {why}; put it again with `tandem data put`", path.display())]
    Packed { path: PathBuf, why: String },
    #[error(
        "{} is damaged: its SHA-256 is {found}, expected {expected}; remove it with `tandem data remove` and put it again",
        path.display()
    )]
    Damaged { path: PathBuf, found: String, expected: String },
    #[error("{} has changed while it was read; leave it as it is until this has ended, and begin again", path.display())]
    Changed { path: PathBuf },
}

/// Who is at fault, which decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// What lies in the data set, or what the job asks of it: it would fail on every machine that has this data.
    Job,
    /// This machine has no such data set. Another may have it.
    Input,
    /// The disk or the device failed, not the data.
    Machine,
}

impl Error {
    pub fn blame(&self) -> Blame {
        match self {
            Self::NotHere { .. } => Blame::Input,
            Self::Read { source, .. } if !lies_in_the_data(source) => Blame::Machine,
            _ => Blame::Job,
        }
    }
}

/// Whether reading failed because of what lies at the path. All else (EIO, ESTALE, ENOSPC, ETIMEDOUT, EMFILE ..) is a disk, a
/// server or a process in trouble.
pub fn lies_in_the_data(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) => matches!(
            errno,
            Errno::ENOENT
                | Errno::EISDIR
                | Errno::ENOTDIR
                | Errno::EACCES
                | Errno::EPERM
                | Errno::ELOOP
                | Errno::ENAMETOOLONG
                | Errno::ENXIO
        ),
        None => matches!(error.kind(), NotFound | IsADirectory | NotADirectory | PermissionDenied | InvalidData),
    }
}

/// What a person can do about it, as the end of a sentence; empty where nothing is known to help.
pub fn what_to_do(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ELOOP) => "; a link must lead to a file: replace or remove it",
        Some(Errno::EACCES | Errno::EPERM) => "; give whoever reads it (of a worker's folder, its user) the right to",
        _ if lies_in_the_data(error) => "; replace or remove it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blame(errno: Errno) -> Blame {
        Error::Read { path: "data/cat/1.png".into(), source: io::Error::from_raw_os_error(errno as i32) }.blame()
    }

    #[test]
    fn what_lies_at_a_path_is_the_jobs_fault_and_a_disk_that_fails_the_machines() {
        use Errno::*;
        for errno in [ENOENT, EISDIR, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, ENXIO] {
            assert_eq!(blame(errno), Blame::Job, "{errno}");
        }
        for errno in [EIO, ENOSPC, ESTALE, ETIMEDOUT, EMFILE, ENFILE, ENOMEM, ENOTCONN, EREMOTEIO, ECONNRESET, EINTR] {
            assert_eq!(blame(errno), Blame::Machine, "{errno}");
        }
        let invalid = Error::Read { path: "x".into(), source: io::Error::from(io::ErrorKind::InvalidData) };
        assert_eq!(invalid.blame(), Blame::Job);
    }

    #[test]
    fn a_data_set_that_is_not_here_is_nobodys_fault() {
        let absent = Error::NotHere { path: "data/cats".into(), how: "copy it".into() };
        assert_eq!(absent.blame(), Blame::Input);
    }
}
