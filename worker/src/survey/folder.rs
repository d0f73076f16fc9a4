//! Whether a data folder has changed, as far as the times of its folders tell: cheap enough to ask every few seconds.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::Path,
    time::SystemTime,
};

/// Names and times of the data folder's entries, and of the classes of image folders: data/, NAME/, train/, CLASS/.
const DEPTH: u32 = 3;
/// More are not looked at.
const ENTRIES_MAX: usize = 5_000;

/// A hash that changes when a folder got or lost an entry.
pub(super) fn looks(data: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut left = ENTRIES_MAX;
    walk(data, DEPTH, &mut left, &mut hasher);
    hasher.finish()
}

fn walk(folder: &Path, depth: u32, left: &mut usize, hasher: &mut DefaultHasher) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().take(*left).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    *left -= entries.len();
    for entry in entries {
        entry.file_name().hash(hasher);
        // Through links: a data set may lie elsewhere.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).hash(hasher);
        metadata.len().hash(hasher);
        if metadata.is_dir() && depth > 1 {
            walk(&entry.path(), depth - 1, left, hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_image_and_a_new_data_set_are_noticed() {
        let data = tempfile::tempdir().unwrap();
        let class = data.path().join("cats/train/a");
        fs::create_dir_all(&class).unwrap();
        let before = looks(data.path());
        assert_eq!(looks(data.path()), before);
        fs::write(class.join("1.png"), "x").unwrap();
        let with_image = looks(data.path());
        assert_ne!(with_image, before);
        fs::create_dir(data.path().join("dogs")).unwrap();
        assert_ne!(looks(data.path()), with_image);
        assert_eq!(looks(&data.path().join("absent")), looks(&data.path().join("absent too")));
    }
}
