//! Where this machine has data sets: in its data folder, and in the store, where people put their own.

use std::fs;
use std::path::{Path, PathBuf};

use tandem_domain::spec::Dataset;
use tandem_images::{Error, Listing, list, packed};

use super::error::DataError;
use crate::progress;

#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Holds `cifar-10-batches-bin/`, image folders, ...
    pub data: &'a Path,
    /// Packed data sets, which all workers see; those of a name go before an image folder of that name. `None` where there is
    /// no coordinator.
    pub stored: Option<&'a Path>,
}

impl<'a> From<&'a Path> for Folders<'a> {
    fn from(data: &'a Path) -> Self {
        Self { data, stored: None }
    }
}

impl<'a> From<&'a PathBuf> for Folders<'a> {
    fn from(data: &'a PathBuf) -> Self {
        data.as_path().into()
    }
}

/// Where `folder:NAME` is.
#[derive(Debug)]
pub(super) enum Place {
    Folder(PathBuf),
    Packed(packed::Stored),
}

impl Folders<'_> {
    pub(super) fn place(&self, name: &str) -> Result<Place, DataError> {
        Ok(self.stored(name)?.map_or_else(|| Place::Folder(self.data.join(name)), Place::Packed))
    }

    fn stored(&self, name: &str) -> Result<Option<packed::Stored>, DataError> {
        let Some(folder) = self.stored else { return Ok(None) };
        packed::find(folder, name).map_err(|source| Error::Read { path: folder.to_owned(), source }.into())
    }

    /// Where people find a data set.
    pub fn shown(&self, dataset: &Dataset) -> String {
        match dataset {
            Dataset::Folder(name) if matches!(self.stored(name), Ok(Some(_))) => "the store".to_owned(),
            _ => self.data.display().to_string(),
        }
    }
}

impl Place {
    /// How much there is to read, to compare with others, and of the store's the SHA-256 of its file.
    pub(super) fn cost(&self) -> (u64, String) {
        match self {
            // Its files are not counted for this: the machine's own data sets come first.
            Self::Folder(_) => (0, String::new()),
            Self::Packed(stored) => (fs::metadata(&stored.path).map_or(0, |file| file.len()), stored.sha256.clone()),
        }
    }

    pub(super) fn list(&self) -> Result<Listing, DataError> {
        Ok(match self {
            Self::Folder(folder) => list(folder, &progress::work_done)?,
            Self::Packed(stored) => packed::list(&stored.path, &stored.name, &progress::work_done)?,
        })
    }

    /// That a packed data set is still what was put there.
    pub(super) fn verify(&self) -> Result<(), DataError> {
        let Self::Packed(stored) = self else { return Ok(()) };
        let found = packed::sha256(&stored.path, &progress::work_done)?;
        if found == stored.sha256 {
            return Ok(());
        }
        Err(Error::Damaged { path: PathBuf::from(&stored.name), found, expected: stored.sha256.clone() }.into())
    }
}
