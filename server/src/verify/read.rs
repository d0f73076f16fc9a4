//! Reads artifacts back from the store's folder, in steps with a time limit each, and never a whole file at once.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use sha2::{Digest, Sha256};
use tandem_domain::read_back::Reading;

use crate::{
    store::verifying::Written,
    store_folder::{StepError, StoreFolder, open_to_read, step},
    store_path::path_in_store,
};

const CHUNK_BYTES: u64 = 1 << 20;

/// Held by each step under way, those that hang included: an attempt has one at most.
pub(super) type Pending = Arc<()>;

/// Why an artifact was not read back.
enum Fault {
    /// The file itself: how it differs from what was reported.
    Damaged(String),
    /// This coordinator, or its file system.
    Unreadable(String),
}

/// Reads what an attempt left. A file counts as missing or damaged only if the store is seen before and after.
pub(super) async fn read(folder: StoreFolder, written: Vec<Written>, pending: Pending) -> Reading {
    // Two are this call's and its caller's.
    if Arc::strong_count(&pending) > 2 {
        return Reading::Unreadable("its file system still has not answered the last time".to_owned());
    }
    if let Err(why) = folder.is_seen().await {
        return Reading::Unreadable(why);
    }
    for artifact in written {
        let (rank, what) = (artifact.rank, format!("its artifact `{}` ({})", artifact.name, artifact.uri));
        match check(&folder, artifact, &pending).await {
            Ok(()) => {}
            Err(Fault::Unreadable(why)) => return Reading::Unreadable(format!("{what} cannot be read: {why}")),
            Err(Fault::Damaged(how)) => {
                return match folder.is_seen().await {
                    Ok(()) => Reading::Damaged { rank, why: format!("{what} {how}") },
                    Err(why) => Reading::Unreadable(why),
                };
            }
        }
    }
    Reading::Whole
}

async fn check(folder: &StoreFolder, artifact: Written, pending: &Pending) -> Result<(), Fault> {
    let name = path_in_store(&artifact.uri, &folder.root)
        .map_err(|problem| Fault::Damaged(format!("was reported under a wrong name: {problem}")))?;
    let path = folder.root.join(name);
    let held = pending.clone();
    let (file, size, is_file) = step(move || {
        let _held = held;
        let file = open_to_read(&path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata.len(), metadata.is_file()))
    })
    .await?;
    if !is_file {
        return Err(Fault::Damaged("is no regular file".to_owned()));
    }
    if size != artifact.bytes {
        return Err(Fault::Damaged(format!("has {size} bytes in the store, and {} were reported", artifact.bytes)));
    }
    let found = digest(Arc::new(file), size, pending).await?;
    if found != artifact.sha256.to_ascii_lowercase() {
        let (found, reported) = (beginning(&found), beginning(&artifact.sha256));
        return Err(Fault::Damaged(format!("has the SHA-256 {found} in the store, and {reported} was reported")));
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal digits.
async fn digest(file: Arc<File>, size: u64, pending: &Pending) -> Result<String, Fault> {
    let (mut digest, mut position) = (Sha256::new(), 0);
    while position < size {
        let (file, held, end) = (file.clone(), pending.clone(), (position + CHUNK_BYTES).min(size));
        let mut so_far = digest;
        digest = step(move || {
            let _held = held;
            let mut chunk = vec![0; usize::try_from(end - position).unwrap_or_default()];
            file.read_exact_at(&mut chunk, position)?;
            so_far.update(&chunk);
            Ok(so_far)
        })
        .await?;
        position = end;
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Enough of a checksum to tell it from another.
fn beginning(sha256: &str) -> String {
    let digits: String = sha256.chars().take(12).collect();
    if digits.is_empty() { "none".to_owned() } else { format!("{digits}..") }
}

impl From<StepError> for Fault {
    fn from(error: StepError) -> Self {
        let kind = match &error {
            StepError::Io(error) => Some(error.kind()),
            StepError::Silent(_) => None,
        };
        match kind {
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Self::Damaged("is missing in the store".to_owned())
            }
            Some(io::ErrorKind::UnexpectedEof) => Self::Damaged("became shorter while it was read".to_owned()),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(uri: &str) -> Written {
        let (name, sha256) = ("e".to_owned(), format!("{:x}", Sha256::digest("bytes")));
        Written { rank: 3, name, uri: uri.to_owned(), sha256, bytes: 5 }
    }

    #[tokio::test]
    async fn the_first_artifact_that_is_not_whole_is_named_with_its_rank() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StoreFolder::open(parent.path()).unwrap();
        std::fs::write(folder.root.join("whole"), "bytes").unwrap();
        std::fs::write(folder.root.join("other"), "Bytes").unwrap();
        let read_all =
            |uris: &[&str]| read(folder.clone(), uris.iter().map(|uri| artifact(uri)).collect(), Pending::default());
        assert_eq!(read_all(&["whole", "whole"]).await, Reading::Whole);
        for (uri, how) in [
            ("absent", "is missing in the store"),
            ("whole/below", "is missing in the store"),
            ("other", "has the SHA-256 "),
            ("../whole", "was reported under a wrong name: `../whole` may lead out of the store"),
        ] {
            let Reading::Damaged { rank: 3, why } = read_all(&["whole", uri, "absent"]).await else { panic!("{uri}") };
            assert!(why.starts_with(&format!("its artifact `e` ({uri}) {how}")), "{why}");
        }
    }

    #[tokio::test]
    async fn a_step_that_hangs_is_not_joined_by_another() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StoreFolder::open(parent.path()).unwrap();
        let pending = Pending::default();
        let hangs = pending.clone();
        let Reading::Unreadable(why) = read(folder.clone(), Vec::new(), pending.clone()).await else { panic!() };
        assert!(why.contains("still has not answered"), "{why}");
        drop(hangs);
        assert_eq!(read(folder, Vec::new(), pending.clone()).await, Reading::Whole);
    }
}
