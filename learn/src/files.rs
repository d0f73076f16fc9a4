//! Files that are whole or absent: written beside their place, forced to disk, then renamed into it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What was tried with which path, and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}{}", path.display(), free_space(path, source))]
pub struct FileError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// Attaches action and path to an `io::Result`.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { action, path: path.to_owned(), source })
    }
}

/// If the disk is full: how much is free and what to do.
fn free_space(path: &Path, error: &io::Error) -> String {
    if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return String::new();
    }
    let existing = path.ancestors().find(|folder| folder.is_dir());
    let free = existing.and_then(|folder| nix::sys::statvfs::statvfs(folder).ok());
    let free = free.map(|disk| format!(", {} MiB are free", (disk.blocks_available() * disk.fragment_size()) >> 20));
    format!(" (disk full{}; free some space and the job goes on from its last checkpoint)", free.unwrap_or_default())
}

/// Writes a new file and forces its bytes to disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = File::create(path).at("create", path)?;
    file.write_all(bytes).at("write", path)?;
    file.sync_all().at("write to disk", path)
}

/// A new file, written piece by piece and hashed as it goes.
pub(crate) struct Writing<'a> {
    path: &'a Path,
    file: File,
    hasher: Sha256,
    bytes: u64,
    unforced: usize,
}

impl<'a> Writing<'a> {
    /// Bytes are forced to disk in portions of this size, so that the last call does not wait for all of them.
    const PORTION: usize = 64 << 20;

    pub(crate) fn create(path: &'a Path) -> Result<Self, FileError> {
        let file = File::create(path).at("create", path)?;
        Ok(Self { path, file, hasher: Sha256::new(), bytes: 0, unforced: 0 })
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).at("write", self.path)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.unforced += bytes.len();
        if self.unforced >= Self::PORTION {
            self.file.sync_data().at("write to disk", self.path)?;
            self.unforced = 0;
        }
        Ok(())
    }

    /// Forces all bytes to disk and returns their SHA-256 and their number.
    pub(crate) fn finish(self) -> Result<(String, u64), FileError> {
        self.file.sync_all().at("write to disk", self.path)?;
        Ok((hex::encode(self.hasher.finalize()), self.bytes))
    }
}

/// Forces a folder's list of names to disk, without which a rename may be lost.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    tandem_durable::sync_folder(path).at("write to disk", path)
}

/// Replaces or creates the file `folder/name`, durably; on an error it is as it was before.
pub fn publish(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, FileError> {
    fs::create_dir_all(folder).at("create folder", folder)?;
    let path = folder.join(name);
    tandem_durable::replace(&path, bytes, tandem_durable::Mode::Shared).at("write", &path)?;
    Ok(path)
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).at("read", path)?;
    Ok(bytes)
}

/// Reads a whole file and checks its SHA-256; the error says why it is not the expected file. `name` is for messages.
pub(crate) fn read_verified(path: &Path, name: &str, expected: &str, bytes: Option<u64>) -> Result<Vec<u8>, String> {
    let found = read(path).map_err(|error| error.to_string())?;
    let digest = sha256(&found);
    if digest == expected {
        return Ok(found);
    }
    let size = match bytes {
        Some(bytes) if bytes != found.len() as u64 => format!(", {} bytes in place of {bytes}", found.len()),
        _ => String::new(),
    };
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    Err(format!("{name} is damaged (sha256 {}.., expected {}..{size})", short(&digest), short(expected)))
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_what_is_free_and_what_to_do() {
        let error = FileError {
            action: "write",
            path: PathBuf::from("/tmp/no-such-folder/file"),
            source: io::Error::from(io::ErrorKind::StorageFull),
        };
        let text = error.to_string();
        assert!(text.starts_with("cannot write /tmp/no-such-folder/file: ") && text.contains("MiB are free"), "{text}");
    }

    #[test]
    fn a_file_in_pieces_is_hashed_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = Writing::create(&path).unwrap();
        ["a", "", "bc"].iter().for_each(|piece| file.push(piece.as_bytes()).unwrap());
        assert_eq!(file.finish().unwrap(), (sha256(b"abc"), 3));
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn sha256_is_the_standard_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
