//! All data sets in a data folder, and what they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tandem_domain::images::SeenDataset;
use tandem_domain::spec::Dataset;
use tandem_domain::timing::DATA_SURVEY_LIMIT;
use tandem_images::{Facts, packed};

use super::cifar;
use super::facts;
use super::folders::Folders;

/// A larger image folder is not read before a job asks for it: that takes long, and 3 KB of memory an image.
const IMAGES_MAX: u64 = 200_000;
/// Nor is one of the store whose images take longer than this: anybody may have put it, and it holds up those that are larger.
const STORED_WITHIN: Duration = Duration::from_secs(20 * 60);
/// Those of the machine's own have all the time that there is.
const OWN_WITHIN: Duration = DATA_SURVEY_LIMIT;

/// Tells `seen` of each data set in `folders`, those that are soon read first. `kept` is the folder in which checksums are
/// remembered.
pub fn survey<'a>(folders: impl Into<Folders<'a>>, kept: &Path, mut seen: impl FnMut(SeenDataset)) {
    let folders = folders.into();
    let stored = folders.stored.map_or(Ok(Vec::new()), packed::all);
    let names = |stored: &[packed::Stored]| stored.iter().map(|stored| stored.name.clone()).collect();
    let datasets = datasets(folders, &stored.as_deref().map(names).unwrap_or_default());
    match stored {
        Ok(_) => facts::forget_others(kept, &datasets),
        // What it holds may be there again in a moment.
        Err(error) => eprintln!("cannot list the data sets of the store: {error}"),
    }
    let mut places: Vec<(u64, String, Dataset, String)> = Vec::new();
    for dataset in datasets {
        let (cost, stored) = cost(folders, &dataset);
        places.push((cost, dataset.to_string(), dataset, stored));
    }
    places.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    for (_, name, dataset, stored) in places {
        let within = if stored.is_empty() { OWN_WITHIN } else { STORED_WITHIN };
        let found = match look(folders, &dataset, kept, within) {
            Ok(facts) => facts,
            Err(problem) => SeenDataset { problem, ..SeenDataset::default() },
        };
        // Another one has taken its place meanwhile: nobody knows of which this is true.
        if cost(folders, &dataset).1 == stored {
            seen(SeenDataset { name, stored, ..found });
        }
    }
}

/// How much there is to read, to compare with others, and of the store's the SHA-256 of its file.
fn cost(folders: Folders<'_>, dataset: &Dataset) -> (u64, String) {
    match dataset {
        Dataset::Folder(name) => folders.place(name).map_or((0, String::new()), |place| place.cost()),
        _ => (0, String::new()),
    }
}

fn look(folders: Folders<'_>, dataset: &Dataset, kept: &Path, within: Duration) -> Result<SeenDataset, String> {
    if let Some(facts) = facts::known(folders, dataset, kept) {
        return Ok(of(facts));
    }
    let mut unread = SeenDataset::default();
    if let Dataset::Folder(name) = dataset {
        let listing = folders.place(name).and_then(|place| place.list()).map_err(|error| error.to_string())?;
        let [classes, train, test] = [listing.classes.len(), listing.train.len(), listing.test.len()].map(|n| n as u64);
        unread = SeenDataset { classes, train, test, ..unread };
        if train + test > IMAGES_MAX {
            return Ok(unread);
        }
    }
    // A thread that takes too long goes on until this process ends, which is when the others have been read.
    let (sender, receiver) = channel();
    let (data, stored) = (folders.data.to_owned(), folders.stored.map(Path::to_owned));
    let (of_thread, of_kept) = (dataset.clone(), kept.to_owned());
    thread::spawn(move || {
        let folders = Folders { data: &data, stored: stored.as_deref() };
        let _ = sender.send(facts::facts(folders, &of_thread, &of_kept));
    });
    match receiver.recv_timeout(within) {
        Ok(Ok(facts)) => Ok(of(facts)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(RecvTimeoutError::Disconnected) => {
            Err("reading it ended by a fault of the reader; see this worker's log".to_owned())
        }
        Err(RecvTimeoutError::Timeout) => {
            let SeenDataset { classes, train, test, .. } = unread;
            facts::remember(folders, dataset, kept, &Facts { sha256: String::new(), classes, train, test });
            Ok(unread)
        }
    }
}

fn of(Facts { sha256, classes, train, test }: Facts) -> SeenDataset {
    SeenDataset { sha256, classes, train, test, ..SeenDataset::default() }
}

/// What looks like a data set by its names; `stored`: those of the store.
fn datasets(folders: Folders<'_>, stored: &BTreeSet<String>) -> Vec<Dataset> {
    let dir = folders.data;
    let official = [(Dataset::Cifar10, cifar::TEN), (Dataset::Cifar100, cifar::HUNDRED)];
    let official = official.into_iter().filter(|(_, archive)| dir.join(archive.folder).is_dir());
    let mut names: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    let image_folders = names.into_iter().filter(|path| path.join("train").is_dir()).filter_map(|path| {
        // A name that no experiment file can have is no data set.
        Dataset::try_from(format!("folder:{}", path.file_name()?.to_str()?)).ok()
    });
    let is_stored = |dataset: &Dataset| matches!(dataset, Dataset::Folder(name) if stored.contains(name));
    let mut named: Vec<Dataset> = image_folders.filter(|dataset| !is_stored(dataset)).collect();
    named.extend(stored.iter().filter_map(|name| Dataset::try_from(format!("folder:{name}")).ok()));
    named.sort_by_key(Dataset::to_string);
    official.map(|(dataset, _)| dataset).chain(named).collect()
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use tandem_images::list;

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

        // One of that name in the store goes before it, and says of which file it was read.
        let stored = root.path().join("stored");
        fs::create_dir(&stored).unwrap();
        let packing = packed::Packing::of(list(&dir.join("cats"), &|| ()).unwrap()).unwrap();
        let bytes: Vec<u8> = packing.parts(0).flat_map(Result::unwrap).collect();
        let sha256 = packing.sha256(&|| ()).unwrap();
        fs::write(stored.join(packed::file_name("cats", &sha256)), bytes).unwrap();
        fs::write(root.path().join("kept/folder-gone.json"), "{}").unwrap();
        let mut all = Vec::new();
        survey(Folders { data: &dir, stored: Some(&stored) }, &root.path().join("kept"), |seen| all.push(seen));
        let of_store = all.iter().find(|seen| seen.name == "folder:cats").unwrap();
        assert_eq!((&of_store.stored, &of_store.sha256, all.len()), (&sha256, &cats.sha256, 2));
        assert!(all.iter().all(|seen| seen.name == "folder:cats" || seen.stored.is_empty()));
        assert!(!root.path().join("kept/folder-gone.json").exists(), "nothing is remembered of what is gone");

        let mut none = Vec::new();
        survey(&root.path().join("absent"), &root.path().join("kept"), |seen| none.push(seen));
        assert!(none.is_empty());
    }
}
