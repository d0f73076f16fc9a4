//! All data sets in a data folder, and what they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tandem_domain::images::SeenDataset;
use tandem_domain::spec::Dataset;
use tandem_images::packed;

use super::folders::Folders;
use super::{cifar, facts};

/// A larger image folder is not read before a job asks for it: that takes long, and 3 KB of memory an image.
const IMAGES_MAX: usize = 200_000;

/// Tells `seen` of each data set in `folders`, in the order of names. `kept` is the folder in which checksums are remembered.
pub fn survey<'a>(folders: impl Into<Folders<'a>>, kept: &Path, mut seen: impl FnMut(SeenDataset)) {
    let folders = folders.into();
    for dataset in datasets(folders) {
        let mut found = SeenDataset { name: dataset.to_string(), ..SeenDataset::default() };
        match look(folders, &dataset, kept) {
            Ok(facts) => found = SeenDataset { name: found.name, ..facts },
            Err(problem) => found.problem = problem,
        }
        seen(found);
    }
}

fn look(folders: Folders<'_>, dataset: &Dataset, kept: &Path) -> Result<SeenDataset, String> {
    if let Dataset::Folder(name) = dataset {
        let listing = folders.place(name).and_then(|place| place.list()).map_err(|error| error.to_string())?;
        let (train, test) = (listing.train.files.len(), listing.test.files.len());
        if train + test > IMAGES_MAX {
            let (classes, train, test) = (listing.classes.len() as u64, train as u64, test as u64);
            return Ok(SeenDataset { classes, train, test, ..SeenDataset::default() });
        }
    }
    let facts::Facts { sha256, classes, train, test } =
        facts::facts(folders, dataset, kept).map_err(|error| error.to_string())?;
    Ok(SeenDataset { sha256, classes, train, test, ..SeenDataset::default() })
}

/// What looks like a data set by its names.
fn datasets(folders: Folders<'_>) -> Vec<Dataset> {
    let dir = folders.data;
    let official = [(Dataset::Cifar10, cifar::TEN), (Dataset::Cifar100, cifar::HUNDRED)];
    let official = official.into_iter().filter(|(_, archive)| dir.join(archive.folder).is_dir());
    let mut names: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    let image_folders = names.into_iter().filter(|path| path.join("train").is_dir()).filter_map(|path| {
        // A name that no experiment file can have is no data set.
        Dataset::try_from(format!("folder:{}", path.file_name()?.to_str()?)).ok()
    });
    let stored = folders.stored.map(packed::all).and_then(Result::ok).unwrap_or_default();
    let stored: BTreeSet<String> = stored.into_iter().map(|stored| stored.name).collect();
    let is_stored = |dataset: &Dataset| matches!(dataset, Dataset::Folder(name) if stored.contains(name));
    let mut named: Vec<Dataset> = image_folders.filter(|dataset| !is_stored(dataset)).collect();
    named.extend(stored.iter().filter_map(|name| Dataset::try_from(format!("folder:{name}")).ok()));
    named.sort_by_key(Dataset::to_string);
    official.map(|(dataset, _)| dataset).chain(named).collect()
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn every_data_set_is_told_and_a_damaged_one_by_its_file() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        for name in ["cats", "dogs", "not a name", ".hidden"] {
            for half in ["train", "test"] {
                let path = dir.join(name).join(half).join("a/1.png");
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                RgbImage::from_pixel(32, 32, Rgb([7; 3])).save(&path).unwrap();
            }
        }
        fs::create_dir(dir.join("notes")).unwrap();
        fs::write(dir.join("dogs/train/a/1.png"), "no image").unwrap();
        let mut all = Vec::new();
        survey(&dir, &root.path().join("kept"), |seen| all.push(seen));
        let [cats, dogs] = all.try_into().unwrap();
        assert_eq!((cats.name.as_str(), cats.classes, cats.train, cats.test), ("folder:cats", 1, 1, 1));
        assert!(cats.sha256.len() == 64 && cats.problem.is_empty());
        assert!(dogs.sha256.is_empty() && dogs.problem.contains("dogs/train/a/1.png"), "{dogs:?}");

        let mut none = Vec::new();
        survey(&root.path().join("absent"), &root.path().join("kept"), |seen| none.push(seen));
        assert!(none.is_empty());
    }
}
