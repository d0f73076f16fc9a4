//! Files that appear under their name whole or not at all.
//!
//! A file is written beside its place under a name of its own, forced to disk, renamed, and then the folder is forced
//! to disk too, because a rename is lasting only when its folder is. A file that is dropped before that is removed.

mod part;

use std::fs::{DirEntry, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile, PathPersistError, TempPath};

pub use part::{PART, PartFile};

/// How the name of an unfinished file ends. Such files are garbage once their process is gone.
pub const UNFINISHED: &str = ".new";

/// Who may read and write a new file, before the umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everybody whom the umask allows.
    Shared,
    /// Its owner alone.
    Private,
}

/// A file that is being written beside its place.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl NewFile {
    /// # Errors
    /// Where the folder of `path` is not there or takes no file.
    pub fn create(path: &Path, mode: Mode) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        let bits = match mode {
            Mode::Shared => 0o666,
            Mode::Private => 0o600,
        };
        let file = Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(UNFINISHED)
            .permissions(Permissions::from_mode(bits))
            .tempfile_in(folder_of(path))?;
        // Says that somebody is at it, for as long as this process lives. Where a file system has no locks, its age does.
        let _ = file.as_file().try_lock();
        Ok(Self { path: path.to_owned(), file })
    }

    /// Puts the file in place, over what is there.
    ///
    /// # Errors
    /// Where the disk is full or does not answer; then nothing has changed.
    pub fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path)?;
        sync_folder(folder_of(&self.path))
    }

    /// As [`replace`](Self::replace), but what is there stays.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something is there, even if it came a moment ago.
    pub fn keep_existing(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        place(self.file.into_temp_path(), &self.path)?;
        sync_folder(folder_of(&self.path))
    }

    /// As [`replace`](Self::replace), but without forcing anything to disk: the file outlives this process, not a power
    /// cut. The open file comes back.
    ///
    /// # Errors
    /// Where the rename fails; then nothing has changed.
    pub fn replace_without_sync(self) -> io::Result<File> {
        Ok(self.file.persist(&self.path)?)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes all of `bytes` and puts them in place, over what is there.
///
/// # Errors
/// As [`NewFile::create`] and [`NewFile::replace`].
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let mut file = NewFile::create(path, mode)?;
    file.write_all(bytes)?;
    file.replace()
}

fn has_no_links(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

/// Gives a file its name, unless that is taken.
fn place(file: TempPath, path: &Path) -> Result<(), PathPersistError> {
    match file.persist_noclobber(path) {
        // Neither a rename that replaces nothing, nor links: exFAT, some network file systems.
        Err(refused) if has_no_links(&refused.error) => into_reserved_place(refused.path, path),
        placed => placed,
    }
}

/// Takes the name by an empty file that nobody else can have made, and then replaces that.
fn into_reserved_place(file: TempPath, path: &Path) -> Result<(), PathPersistError> {
    if let Err(error) = OpenOptions::new().write(true).create_new(true).open(path) {
        return Err(PathPersistError { error, path: file });
    }
    file.persist(path).inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// A file that is older than this, and that nobody holds, was left by a process that was killed.
const LEFTOVER_AFTER: Duration = Duration::from_secs(60);

/// Removes the unfinished files that killed processes left of `path`. Returns how many.
///
/// # Errors
/// Where the folder cannot be read. A file that cannot be removed is passed over.
pub fn remove_leftovers(path: &Path) -> io::Result<usize> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    let prefix = format!(".{name}.");
    let mut removed = 0;
    for entry in std::fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let found = entry.file_name().to_string_lossy().into_owned();
        if found.starts_with(&prefix) && found.ends_with(UNFINISHED) && is_left(&entry) {
            removed += usize::from(std::fs::remove_file(entry.path()).is_ok());
        }
    }
    Ok(removed)
}

fn is_left(entry: &DirEntry) -> bool {
    // Without following links.
    let Ok(meta) = entry.metadata() else { return false };
    let old = meta.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER_AFTER));
    meta.is_file() && old && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
}

/// Forces the names in a folder to disk.
///
/// # Errors
/// Where the folder cannot be opened, or the disk does not answer.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn readers_see_the_old_file_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        replace(&path, b"old", Mode::Shared).unwrap();
        let mut new = NewFile::create(&path, Mode::Shared).unwrap();
        new.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        new.replace().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), names(folder.path())),
            (&b"new"[..], vec!["state.json".into()])
        );
    }

    #[test]
    fn an_unfinished_file_is_removed_and_named_as_such_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let new = NewFile::create(&folder.path().join("a"), Mode::Shared).unwrap();
        assert!(names(folder.path()).iter().all(|name| name.starts_with(".a.") && name.ends_with(UNFINISHED)));
        drop(new);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_there_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let write = |bytes: &[u8]| {
            let mut new = NewFile::create(&path, Mode::Shared)?;
            new.write_all(bytes)?;
            new.keep_existing()
        };
        write(b"first").unwrap();
        assert_eq!(write(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(folder.path()).len()), (&b"first"[..], 1));
    }

    #[test]
    fn what_is_there_is_kept_without_links_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let place = |bytes: &[u8]| {
            let mut new = NewFile::create(&path, Mode::Shared)?;
            new.write_all(bytes)?;
            io::Result::Ok(into_reserved_place(new.file.into_temp_path(), &path)?)
        };
        place(b"first").unwrap();
        assert_eq!(place(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(folder.path()).len()), (&b"first"[..], 1));
    }

    #[test]
    fn leftovers_are_removed_and_files_that_are_being_written_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let age = |name: &Path| {
            let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
            File::options().append(true).open(name).unwrap().set_modified(hour_ago).unwrap();
        };
        for name in [".a.killed.new", ".b.other.new", "a", ".a.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
            age(&folder.path().join(name));
        }
        let busy = NewFile::create(&path, Mode::Shared).unwrap();
        age(busy.file.path());
        fs::write(folder.path().join(".a.young.new"), "").unwrap();
        assert_eq!(remove_leftovers(&path).unwrap(), 1);
        assert!(!folder.path().join(".a.killed.new").exists() && busy.file.path().exists());
        assert_eq!(names(folder.path()).len(), 5);
    }

    #[test]
    fn modes_are_what_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str, mode| {
            let path = folder.path().join(name);
            replace(&path, b"", mode).unwrap();
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode("private", Mode::Private), 0o600);
        // Compared with a file made in the plain way, since the umask is the caller's.
        let plain = folder.path().join("plain");
        fs::write(&plain, b"").unwrap();
        assert_eq!(mode("shared", Mode::Shared), fs::metadata(plain).unwrap().permissions().mode() & 0o777);
    }

    #[test]
    fn a_name_without_a_folder_is_in_the_present_one() {
        assert_eq!(folder_of(Path::new("a")), Path::new("."));
        assert_eq!(folder_of(Path::new("/a")), Path::new("/"));
        assert!(NewFile::create(Path::new("/"), Mode::Shared).is_err());
    }
}
