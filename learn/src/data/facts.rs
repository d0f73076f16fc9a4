//! What a worker can say of a data set without training on it.
//!
//! The checksum is of the decoded images, so it takes as long as loading them. It is kept in a file and holds as long as the
//! paths, sizes and times of the data set's files do.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tandem_domain::spec::Dataset;
use tandem_images::Facts;

use super::error::DataError;
use super::folders::{Folders, Place};
use super::{cifar, raw};
use crate::files::publish;

/// What is kept: the facts, and what the files looked like.
#[derive(Serialize, Deserialize)]
struct Kept {
    files: String,
    facts: Facts,
}

/// The facts on `dataset` in `folders`. `kept` is the folder in which to remember them. Those of `shapes`, which every machine
/// draws by itself, are of the seed 0.
pub fn facts<'a>(folders: impl Into<Folders<'a>>, dataset: &Dataset, kept: &Path) -> Result<Facts, DataError> {
    let folders = folders.into();
    // Before it is read: what changes meanwhile is read again.
    let looks = looks(&files(folders, dataset)?);
    if let Some(facts) = read_kept(dataset, kept, looks.as_deref()).filter(|facts| !facts.sha256.is_empty()) {
        return Ok(facts);
    }
    let facts = measure(dataset, folders)?;
    write_kept(dataset, kept, looks, &facts);
    Ok(facts)
}

/// The facts as they are remembered, without reading any image. Without a checksum: reading them took too long.
pub(super) fn known(folders: Folders<'_>, dataset: &Dataset, kept: &Path) -> Option<Facts> {
    read_kept(dataset, kept, looks(&files(folders, dataset).ok()?).as_deref())
}

pub(super) fn remember(folders: Folders<'_>, dataset: &Dataset, kept: &Path, facts: &Facts) {
    let looks = files(folders, dataset).ok().and_then(|files| looks(&files));
    write_kept(dataset, kept, looks, facts);
}

/// Forgets what is remembered of data sets that are gone.
pub(super) fn forget_others(kept: &Path, datasets: &[Dataset]) {
    let names: Vec<String> = datasets.iter().map(kept_name).collect();
    for entry in fs::read_dir(kept).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_of_a_folder = name.as_bytes().starts_with(b"folder-") && name.as_bytes().ends_with(b".json");
        if is_of_a_folder && !names.iter().any(|kept| name == kept.as_str()) {
            // It is read again should it come back.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn kept_name(dataset: &Dataset) -> String {
    format!("{}.json", dataset.to_string().replace(':', "-"))
}

fn files(folders: Folders<'_>, dataset: &Dataset) -> Result<Vec<PathBuf>, DataError> {
    Ok(match dataset {
        Dataset::Cifar10 => cifar::files(cifar::TEN, folders.data),
        Dataset::Cifar100 => cifar::files(cifar::HUNDRED, folders.data),
        Dataset::Shapes => Vec::new(),
        Dataset::Folder(name) => match folders.place(name)? {
            Place::Packed(stored) => vec![stored.path],
            place @ Place::Folder(_) => {
                let listing = place.list()?;
                [listing.train.files, listing.test.files].concat()
            }
        },
    })
}

fn read_kept(dataset: &Dataset, kept: &Path, looks: Option<&str>) -> Option<Facts> {
    let bytes = fs::read(kept.join(kept_name(dataset))).ok()?;
    let known: Kept = serde_json::from_slice(&bytes).ok()?;
    (looks == Some(known.files.as_str())).then_some(known.facts)
}

fn write_kept(dataset: &Dataset, kept: &Path, looks: Option<String>, facts: &Facts) {
    if let Some(files) = looks {
        let bytes = serde_json::to_vec(&Kept { files, facts: facts.clone() }).unwrap_or_default();
        // The facts are right without it; the next call takes as long as this one.
        let _ = publish(kept, &kept_name(dataset), &bytes);
    }
}

/// A hash of paths, sizes and times; `None` if one cannot be told, which reading will explain.
fn looks(files: &[PathBuf]) -> Option<String> {
    let mut hasher = Sha256::new();
    for path in files {
        let metadata = fs::metadata(path).ok()?;
        let name = path.as_os_str().as_bytes();
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(metadata.len().to_le_bytes());
        hasher.update(metadata.mtime().to_le_bytes());
        hasher.update(metadata.mtime_nsec().to_le_bytes());
    }
    Some(hex::encode(hasher.finalize()))
}

fn measure(dataset: &Dataset, folders: Folders<'_>) -> Result<Facts, DataError> {
    if let Dataset::Folder(name) = dataset {
        folders.place(name)?.verify()?;
    }
    Ok(raw::read(dataset, folders, 0)?.facts())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use tandem_images::{Error, list, packed};

    use super::*;

    fn draw(root: &Path, name: &str, shade: u8) -> PathBuf {
        let path = root.join("data/cats").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(32, 32, Rgb([shade; 3])).save(&path).unwrap();
        path
    }

    fn of(root: &Path) -> Result<Facts, DataError> {
        let (data, stored) = (root.join("data"), root.join("stored"));
        let folders = Folders { data: &data, stored: Some(&stored) };
        facts(folders, &Dataset::Folder("cats".into()), &root.join("kept"))
    }

    #[test]
    fn facts_follow_the_images_and_are_read_once_as_long_as_the_files_stay() {
        let root = tempfile::tempdir().unwrap();
        for (name, shade) in [("train/a/1.png", 1), ("train/b/1.png", 2), ("test/a/1.png", 3), ("test/b/1.png", 4)] {
            draw(root.path(), name, shade);
        }
        let first = of(root.path()).unwrap();
        assert_eq!((first.classes, first.train, first.test), (2, 2, 2));

        // What is kept is used: a mark in it comes back.
        let kept = root.path().join("kept/folder-cats.json");
        let text = fs::read_to_string(&kept).unwrap();
        fs::write(&kept, text.replace("\"train\":2", "\"train\":77")).unwrap();
        assert_eq!(of(root.path()).unwrap().train, 77);

        // Another time of a file, and it is not.
        let path = draw(root.path(), "train/a/1.png", 1);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(of(root.path()).unwrap(), first, "the same images");
        draw(root.path(), "train/a/1.png", 9);
        let other = of(root.path()).unwrap();
        assert_eq!((other.train, other.sha256 == first.sha256), (2, false));

        // A damaged file of what is kept is no reason to fail.
        fs::write(&kept, "{").unwrap();
        assert_eq!(of(root.path()).unwrap(), other);
    }

    #[test]
    fn a_data_set_of_the_store_goes_before_a_folder_and_has_the_facts_of_the_folder_that_it_was_made_of() {
        let root = tempfile::tempdir().unwrap();
        for (name, shade) in [("train/a/1.png", 1), ("train/a/2.png", 2), ("test/a/1.png", 3)] {
            draw(root.path(), name, shade);
        }
        let of_folder = of(root.path()).unwrap();
        let stored = root.path().join("stored");
        fs::create_dir(&stored).unwrap();
        let quiet = &|| ();
        let listing = list(&root.path().join("data/cats"), quiet).unwrap();
        let packing = packed::Packing::of(listing).unwrap();
        let bytes: Vec<u8> = packing.parts(0).flat_map(Result::unwrap).collect();
        let path = stored.join(packed::file_name("cats", &packing.sha256(quiet).unwrap()));
        fs::write(&path, &bytes).unwrap();
        draw(root.path(), "train/a/2.png", 9);
        assert_eq!(of(root.path()).unwrap(), of_folder);

        let mut damaged = bytes;
        damaged[600] ^= 1;
        fs::write(&path, damaged).unwrap();
        let error = of(root.path()).unwrap_err().to_string();
        assert!(error.contains("cats is damaged: its SHA-256 is"), "{error}");
        fs::remove_file(path).unwrap();
        assert_ne!(of(root.path()).unwrap(), of_folder);
    }

    #[test]
    fn what_is_not_here_has_no_facts() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(of(root.path()), Err(DataError::Folder(Error::NotHere { .. }))));
    }
}
