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

use super::error::DataError;
use super::images::checksum;
use super::{cifar, listing, raw};
use crate::files::publish;

/// Equal facts are equal data, whatever the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Of the names of the classes, and of labels and pixels of both halves.
    pub sha256: String,
    /// How many there are.
    pub classes: u64,
    pub train: u64,
    pub test: u64,
}

/// What is kept: the facts, and what the files looked like.
#[derive(Serialize, Deserialize)]
struct Kept {
    files: String,
    facts: Facts,
}

/// The facts on `dataset` below `dir`, the data folder. `kept` is the folder in which to remember them. Those of `shapes`, which
/// every machine draws by itself, are of the seed 0.
pub fn facts(dir: &Path, dataset: &Dataset, kept: &Path) -> Result<Facts, DataError> {
    let files = match dataset {
        Dataset::Cifar10 => cifar::files(cifar::TEN, dir),
        Dataset::Cifar100 => cifar::files(cifar::HUNDRED, dir),
        Dataset::Shapes => Vec::new(),
        Dataset::Folder(name) => {
            let listing = listing::list(&dir.join(name))?;
            [listing.train.files, listing.test.files].concat()
        }
    };
    let looks = looks(&files);
    let name = format!("{}.json", dataset.to_string().replace(':', "-"));
    let known = fs::read(kept.join(&name)).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
    if let Some(known) = known.filter(|known| looks.as_ref() == Some(&known.files)) {
        return Ok(known.facts);
    }
    let facts = measure(dataset, dir)?;
    if let Some(files) = looks {
        let bytes = serde_json::to_vec(&Kept { files, facts: facts.clone() }).unwrap_or_default();
        // The facts are right without it; the next call takes as long as this one.
        let _ = publish(kept, &name, &bytes);
    }
    Ok(facts)
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

/// Of a whole data set, from the names of its classes and the checksums of its halves.
pub(super) fn sha256(classes: &[String], halves: [&str; 2]) -> String {
    let mut hasher = Sha256::new();
    for class in classes {
        hasher.update((class.len() as u64).to_le_bytes());
        hasher.update(class);
    }
    halves.iter().for_each(|half| hasher.update(half));
    hex::encode(hasher.finalize())
}

fn measure(dataset: &Dataset, dir: &Path) -> Result<Facts, DataError> {
    let data = raw::read(dataset, dir, 0)?;
    let [train, test] = [&data.train, &data.test].map(|half| checksum(&half.pixels, &half.labels));
    Ok(Facts {
        sha256: sha256(&data.classes, [&train, &test]),
        classes: data.classes.len() as u64,
        train: data.train.labels.len() as u64,
        test: data.test.labels.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn draw(root: &Path, name: &str, shade: u8) -> PathBuf {
        let path = root.join("data/cats").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(32, 32, Rgb([shade; 3])).save(&path).unwrap();
        path
    }

    fn of(root: &Path) -> Result<Facts, DataError> {
        facts(&root.join("data"), &Dataset::Folder("cats".into()), &root.join("kept"))
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
    fn what_is_not_here_has_no_facts() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(of(root.path()), Err(DataError::NotHere { .. })));
    }
}
