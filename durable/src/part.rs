//! A file that arrives in pieces, over several runs: under a name of its own until it is whole.

use std::{
    fs::{self, DirEntry, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;
use tempfile::TempPath;

use crate::{folder_of, place, sync_folder};

/// How the name of a part ends. It is kept until the rest has come, or another file is to have its place.
pub const PART: &str = ".part";

/// The part of a file that has arrived. Dropped, it stays; the next [`PartFile::open`] of the same place and tag goes on with it.
#[derive(Debug)]
pub struct PartFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl PartFile {
    /// Opens what has arrived of the file that belongs at `path`, or begins it. `tag` says which file that is: a part of
    /// another tag is of no more use, and goes. It is at its end: what is written is appended.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where another process is at it. Where the folder is not there or takes no file, or
    /// where the part's name is taken by something that is no file.
    pub fn open(path: &Path, tag: &str) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy().into_owned();
        let own = format!(".{name}.{tag}{PART}");
        remove_others(folder_of(path), &format!(".{name}."), &own);
        let part = folder_of(path).join(&own);
        // Somebody else's link, in a folder that all may write to, would lead what arrives elsewhere.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&part)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("{} is in the way, and no file", part.display())));
        }
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            // Where a file system has no locks, nobody can say.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), part, file })
    }

    /// Passes on what has arrived, from the first byte; afterwards it is at its end again. Returns how many bytes.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn replay(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(0))?;
        let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(bytes),
                read => {
                    each(&buffer[..read]);
                    bytes += read as u64;
                }
            }
        }
    }

    /// Throws away what has arrived.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(self.part)
    }

    /// Puts the file in place, over what is there.
    ///
    /// # Errors
    /// Where the disk is full or does not answer; then the part stays.
    pub fn replace(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        sync_folder(folder_of(&self.path))
    }

    /// As [`replace`](Self::replace), but what is there stays.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something is there, even if it came a moment ago; the part stays.
    pub fn keep_existing(self) -> io::Result<()> {
        self.file.sync_all()?;
        place(TempPath::try_from_path(self.part)?, &self.path).map_err(|refused| {
            // It is whole, and the next run need not fetch it again.
            let _ = refused.path.keep();
            refused.error
        })?;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes parts of the same name that nobody is at. What cannot be removed harms only the disk.
fn remove_others(folder: &Path, prefix: &str, own: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != own && name.starts_with(prefix) && name.ends_with(PART) && is_nobodys(&entry) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_nobodys(entry: &DirEntry) -> bool {
    // Without following links.
    entry.metadata().is_ok_and(|meta| meta.is_file())
        && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn replayed(part: &mut PartFile) -> Vec<u8> {
        let mut all = Vec::new();
        part.replay(|bytes| all.extend_from_slice(bytes)).unwrap();
        all
    }

    #[test]
    fn what_broke_off_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        PartFile::open(&path, "t").unwrap().write_all(b"one ").unwrap();
        assert!(!path.exists(), "it is not whole");
        let mut again = PartFile::open(&path, "t").unwrap();
        assert_eq!(replayed(&mut again), b"one ");
        again.write_all(b"two").unwrap();
        again.keep_existing().unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(folder.path())), (&b"one two"[..], vec!["a".into()]));
    }

    #[test]
    fn a_part_of_another_file_is_no_beginning_of_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        PartFile::open(&path, "old").unwrap().write_all(b"old").unwrap();
        let mut new = PartFile::open(&path, "new").unwrap();
        assert!(replayed(&mut new).is_empty());
        assert_eq!(names(folder.path()), [".a.new.part"]);
        new.discard().unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_there_stays_and_the_part_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "mine").unwrap();
        let mut part = PartFile::open(&path, "t").unwrap();
        part.write_all(b"new").unwrap();
        assert_eq!(part.keep_existing().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let mut part = PartFile::open(&path, "t").unwrap();
        assert_eq!(replayed(&mut part), b"new");
        part.replace().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn two_at_once_do_not_mix_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let held = PartFile::open(&path, "t").unwrap();
        assert_eq!(PartFile::open(&path, "t").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _other = PartFile::open(&path, "other").unwrap();
        assert!(names(folder.path()).contains(&".a.t.part".to_owned()), "somebody is at it");
        drop(held);
        fs::remove_file(folder.path().join(".a.t.part")).unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(".a.t.part")).unwrap();
        assert!(PartFile::open(&path, "t").is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}
