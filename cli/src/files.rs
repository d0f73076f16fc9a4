//! Output files: never half-written, never replaced by accident.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};

use crate::exit::{Exit, Failure};

/// Refuses a path that holds something already, before any work is done for it.
pub(crate) fn check_free(path: &Path, force: bool) -> Result<()> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(Failure::error(
            Exit::CannotCreate,
            format!("{} is there already; --force replaces it", path.display()),
        ));
    }
    Ok(())
}

/// Removes what killed runs of this program have left of a file. What cannot be removed harms nobody.
pub(crate) fn remove_leftovers(path: &Path) {
    let _ = tandem_durable::remove_leftovers(path);
}

pub(crate) fn write(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    remove_leftovers(path);
    let mut new = NewFile::create(path)?;
    new.write(bytes)?;
    new.finish(force)
}

pub(crate) fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| cannot("make the folder", path, &error))
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| cannot("remove", path, &error))
}

/// A file that appears under its name only when it is complete; if it is not finished, nothing of it stays.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: tandem_durable::NewFile,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = tandem_durable::NewFile::create(path, tandem_durable::Mode::Shared)
            .map_err(|error| cannot("write", path, &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| cannot("write", &self.path, &error))
    }

    /// For who writes part by part; errors are those of the system.
    pub(crate) fn writer(&mut self) -> &mut tandem_durable::NewFile {
        &mut self.file
    }

    pub(crate) fn finish(self, force: bool) -> Result<()> {
        let finished = if force { self.file.replace() } else { self.file.keep_existing() };
        finished.map_err(|error| cannot("write", &self.path, &error))
    }
}

/// The error of an operation on a file; `tried` completes "cannot ...".
pub(crate) fn cannot(tried: &str, path: &Path, error: &io::Error) -> Error {
    Failure::error(Exit::CannotCreate, format!("cannot {tried} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::classify;

    #[test]
    fn an_existing_file_stays_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.svg");
        write(&path, b"one", false).unwrap();
        assert_eq!(classify(&check_free(&path, false).unwrap_err()).0, Exit::CannotCreate);
        assert_eq!(classify(&write(&path, b"two", false).unwrap_err()).0, Exit::CannotCreate);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"three", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no part is left");
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut new = NewFile::create(&dir.path().join("a")).unwrap();
        new.write(b"half").unwrap();
        drop(new);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_way_is_neither_followed_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("a"));
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert_eq!(classify(&write(&path, b"new", false).unwrap_err()).0, Exit::CannotCreate);
        write(&path, b"new", true).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert!(!path.is_symlink() && fs::read(&path).unwrap() == b"new");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write(Path::new("/nonexistent/a.svg"), b"", false).unwrap_err();
        assert_eq!(classify(&error).0, Exit::CannotCreate);
        assert!(error.to_string().contains("/nonexistent/a.svg"), "{error}");
    }
}
