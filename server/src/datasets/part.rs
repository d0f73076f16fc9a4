//! The file of a data set while it arrives.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use tandem_images::{Listing, packed};
use tokio_util::bytes::Bytes;

use super::{Files, away};
use crate::{
    error::{Error, Result},
    store_folder::{StoreFolder, step, step_within},
};

/// Read at a time.
const READ_BYTES: u64 = 8 << 20;
/// For the headers of a million images.
const LIST_WITHIN: Duration = Duration::from_secs(120);

/// One that this process alone writes to.
pub(super) struct Part {
    folder: StoreFolder,
    files: Files,
    file: Arc<File>,
    /// Held as long as this process is at it.
    _lock: File,
    /// It is in its place, by a coordinator that was killed before it could say so.
    is_published: bool,
    /// So many bytes have arrived.
    pub(super) length: u64,
}

/// What is there of a data set.
struct Found {
    file: File,
    lock: File,
    is_published: bool,
    length: u64,
}

impl Part {
    /// Goes on with what is there of it, of `bytes` in whole.
    ///
    /// # Errors
    /// `StoreAway` while another call writes to it.
    pub(super) async fn open(folder: &StoreFolder, name: &str, sha256: &str, bytes: u64) -> Result<Self> {
        let files = Files::of(&folder.root, name, sha256);
        let opened = files.clone();
        let opening = step(move || open(&opened, bytes)).await;
        match opening.map_err(|error| away(folder, "begin to keep the data set", &error))? {
            Some(Found { file, lock, is_published, length }) => {
                Ok(Self { folder: folder.clone(), files, file: Arc::new(file), _lock: lock, is_published, length })
            }
            None => Err(Error::StoreAway(format!("another call is putting `folder:{name}`; wait for its end"))),
        }
    }

    pub(super) async fn append(&mut self, chunk: Bytes) -> Result<()> {
        let (file, at, count) = (self.file.clone(), self.length, chunk.len() as u64);
        let written = step(move || file.write_all_at(&chunk, at)).await;
        written.map_err(|error| away(&self.folder, "write the data set", &error))?;
        self.length += count;
        Ok(())
    }

    /// The SHA-256 of all that has arrived, forced to disk first. `checked` is told how far it is.
    pub(super) async fn sha256(&self, mut checked: impl FnMut(u64)) -> Result<String> {
        let failed = |error| away(&self.folder, "read the data set back", &error);
        let file = self.file.clone();
        step_within(LIST_WITHIN, move || file.sync_all()).await.map_err(failed)?;
        let (mut hasher, mut at) = (Sha256::new(), 0);
        while at < self.length {
            let (file, end) = (self.file.clone(), (at + READ_BYTES).min(self.length));
            let read = step(move || {
                let mut bytes = vec![0; usize::try_from(end - at).unwrap_or_default()];
                file.read_exact_at(&mut bytes, at)?;
                hasher.update(&bytes);
                Ok(hasher)
            });
            hasher = read.await.map_err(failed)?;
            at = end;
            checked(at);
        }
        Ok(format!("{:x}", hasher.finalize()))
    }

    /// What is in it, or why it is no data set.
    pub(super) async fn list(&self, name: &str) -> Result<Result<Listing, tandem_images::Error>> {
        let path = if self.is_published { &self.files.stored } else { &self.files.part };
        let (part, name) = (path.clone(), name.to_owned());
        let listed = step_within(LIST_WITHIN, move || Ok(packed::list(&part, &name, &|| ()))).await;
        listed.map_err(|error| away(&self.folder, "list the data set", &error))
    }

    /// Puts it where the workers see it, and may read it.
    pub(super) async fn publish(&self) -> Result<()> {
        if self.is_published {
            return self.let_go().await;
        }
        let (files, file) = (self.files.clone(), self.file.clone());
        let published = step(move || {
            file.set_permissions(Permissions::from_mode(0o644))?;
            let folder = files.stored.parent().ok_or(io::ErrorKind::InvalidInput)?;
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
            fs::rename(&files.part, &files.stored)?;
            tandem_durable::sync_folder(folder)
        });
        published.await.map_err(|error| away(&self.folder, "keep the data set", &error))
    }

    /// Of one that is in its place: what locked it goes.
    pub(super) async fn let_go(&self) -> Result<()> {
        let part = self.files.part.clone();
        let removed = step(move || remove_one(&part)).await;
        removed.map_err(|error| away(&self.folder, "let go of the data set", &error))
    }

    /// Nothing of it stays.
    pub(super) async fn drop_all(&self) -> Result<()> {
        remove(&self.folder, &self.files).await
    }
}

/// Removes what there is of a data set, arrived or not.
pub(super) async fn remove(folder: &StoreFolder, files: &Files) -> Result<()> {
    let files = files.clone();
    let removed = step(move || remove_one(&files.stored).and_then(|()| remove_one(&files.part)));
    removed.await.map_err(|error| away(folder, "remove the data set", &error))
}

fn remove_one(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// `None` while another process, or another call of this one, has it.
fn open(files: &Files, bytes: u64) -> io::Result<Option<Found>> {
    let uploads = files.part.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(uploads)?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&files.part)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let lock = file.try_clone()?;
    match File::open(&files.stored) {
        Ok(stored) if stored.metadata()?.len() == bytes => {
            return Ok(Some(Found { file: stored, lock, is_published: true, length: bytes }));
        }
        // Not what was put there.
        Ok(_) => remove_one(&files.stored)?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let mut length = file.metadata()?.len();
    if length > bytes {
        file.set_len(0)?;
        length = 0;
    }
    Ok(Some(Found { file, lock, is_published: false, length }))
}
