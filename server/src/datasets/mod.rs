//! Data sets that people put into the store: [`claim`] a name, receive the bytes ([`arrival`], by [`part`]), [`shelf`] what is
//! there.

pub(crate) mod arrival;
pub(crate) mod claim;
mod part;
pub(crate) mod shelf;

use std::path::{Path, PathBuf};

use tandem_images::packed;

use crate::{
    error::{Error, Result},
    store_folder::{StepError, StoreFolder, step},
};

/// Of the store: what has not arrived in whole. It is swept after a day.
pub(crate) const UPLOADS: &str = ".uploads";

/// Where a data set of a name and checksum is, and where while it arrives.
#[derive(Clone, Debug)]
struct Files {
    stored: PathBuf,
    part: PathBuf,
}

impl Files {
    fn of(root: &Path, name: &str, sha256: &str) -> Self {
        let stored = root.join(packed::FOLDER).join(packed::file_name(name, sha256));
        Self { stored, part: root.join(UPLOADS).join(format!("{name}.{sha256}.part")) }
    }
}

/// Of a data set that is stored: its path in the store.
pub(crate) fn stored_file(name: &str, sha256: &str) -> String {
    format!("{}/{}", packed::FOLDER, packed::file_name(name, sha256))
}

/// Bytes that the store has left.
pub(crate) async fn free(folder: &StoreFolder) -> Result<u64> {
    let root = folder.root.clone();
    let space = step(move || Ok(rustix::fs::statvfs(&root)?)).await;
    let space = space.map_err(|error| away(folder, "look for free space", &error))?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Why a step in the store came to nothing, for the person who waits.
pub(crate) fn away(folder: &StoreFolder, tried: &str, error: &StepError) -> Error {
    let is_full = matches!(error, StepError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull);
    let why = format!("cannot {tried} in the store {}: {error}", folder.root.display());
    if is_full { Error::Full(format!("{why}; an admin has to make room")) } else { Error::StoreAway(why) }
}
