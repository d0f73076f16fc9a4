//! CIFAR-10 and CIFAR-100 in the "binary version" of Krizhevsky's archives.
//!
//! A record is a label byte (CIFAR-100: coarse, then fine) and 3072 bytes of planes, the layout that we use too.

use std::{io::Read, path::Path, path::PathBuf};

use tandem_images::{Error, IMAGE, RawData, RawImages, open};

use super::error::DataError;
use crate::progress;

/// Names, sizes and layout of one archive.
pub(super) struct Archive {
    pub(super) folder: &'static str,
    /// What to fetch when the folder is absent.
    file: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// Images in each of the `train` files, and in each of the `test` files.
    records: (usize, usize),
    /// Bytes before the pixels; the last one is the label.
    label_bytes: usize,
    classes: &'static [&'static str],
}

pub(super) const TEN: &Archive = &Archive {
    folder: "cifar-10-batches-bin",
    file: "cifar-10-binary.tar.gz",
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: &["test_batch.bin"],
    records: (10_000, 10_000),
    label_bytes: 1,
    classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
};

pub(super) const HUNDRED: &Archive = &Archive {
    folder: "cifar-100-binary",
    file: "cifar-100-binary.tar.gz",
    train: &["train.bin"],
    test: &["test.bin"],
    records: (50_000, 10_000),
    label_bytes: 2,
    classes: &FINE,
};

/// Reads both halves of `archive` below `dir`.
pub(super) fn read(archive: &Archive, dir: &Path) -> Result<RawData, DataError> {
    let folder = dir.join(archive.folder);
    if !folder.is_dir() {
        let how = format!(
            "fetch {} from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it in {}",
            archive.file,
            dir.display()
        );
        return Err(DataError::NotHere { path: folder, how });
    }
    let half = |files: &[&str], records: usize| -> Result<RawImages, DataError> {
        let mut images = RawImages::default();
        images.pixels.reserve_exact(files.len() * records * IMAGE);
        for file in files {
            append(&folder.join(file), archive, records, &mut images)?;
            progress::work_done();
        }
        Ok(images)
    };
    Ok(RawData {
        train: half(archive.train, archive.records.0)?,
        test: half(archive.test, archive.records.1)?,
        classes: archive.classes.iter().map(|&name| name.to_owned()).collect(),
        left_out: None,
        squeezed: None,
    })
}

/// The files that [`read`] reads.
pub(super) fn files(archive: &Archive, dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join(archive.folder);
    archive.train.iter().chain(archive.test).map(|name| folder.join(name)).collect()
}

fn append(path: &Path, archive: &Archive, records: usize, images: &mut RawImages) -> Result<(), DataError> {
    let (mut file, found) = open(path).map_err(|error| match error {
        Error::Read { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            DataError::NotHere { path, how: format!("unpack {} again, one of its files is gone", archive.file) }
        }
        error => error.into(),
    })?;
    // The size is checked first, so that a wrong file of any length is refused before it is read.
    let expected = (records * (archive.label_bytes + IMAGE)) as u64;
    if found != expected {
        return Err(DataError::Size { path: path.to_owned(), expected, found });
    }
    let mut bytes = Vec::with_capacity(expected as usize);
    file.read_to_end(&mut bytes).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 != expected {
        return Err(DataError::Size { path: path.to_owned(), expected, found: bytes.len() as u64 });
    }
    parse(path, archive, &bytes, images)
}

fn parse(path: &Path, archive: &Archive, bytes: &[u8], images: &mut RawImages) -> Result<(), DataError> {
    for (record, entry) in bytes.chunks_exact(archive.label_bytes + IMAGE).enumerate() {
        let (labels, pixels) = entry.split_at(archive.label_bytes);
        let value = labels[archive.label_bytes - 1];
        if usize::from(value) >= archive.classes.len() {
            return Err(DataError::Label { path: path.to_owned(), record, value, classes: archive.classes.len() });
        }
        images.labels.push(i64::from(value));
        images.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

#[rustfmt::skip]
const FINE: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn record(labels: &[u8], first: u8) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        bytes.extend((0..IMAGE).map(|i| first.wrapping_add(i as u8)));
        bytes
    }

    #[test]
    fn labels_and_planes_come_apart() {
        let bytes = [record(&[3], 10), record(&[9], 20)].concat();
        let mut images = RawImages::default();
        parse(Path::new("x"), TEN, &bytes, &mut images).unwrap();
        assert_eq!(images.labels, [3, 9]);
        assert_eq!((images.pixels.len(), images.pixels[0], images.pixels[IMAGE]), (2 * IMAGE, 10, 20));
    }

    #[test]
    fn cifar_100_takes_the_fine_label() {
        let mut images = RawImages::default();
        parse(Path::new("x"), HUNDRED, &record(&[19, 99], 0), &mut images).unwrap();
        assert_eq!(images.labels, [99]);
    }

    #[test]
    fn a_label_out_of_range_is_named_by_file_record_and_value() {
        let bytes = [record(&[3], 0), record(&[10], 0)].concat();
        let error = parse(Path::new("data_batch_2.bin"), TEN, &bytes, &mut RawImages::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data_batch_2.bin, record 1: label 10 is not below 10; the file is damaged, fetch it again"
        );
    }

    #[test]
    fn an_absent_folder_says_which_archive_to_fetch() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(TEN, dir.path()).err().unwrap().to_string();
        assert!(error.contains("cifar-10-batches-bin") && error.contains("cifar-10-binary.tar.gz"), "{error}");
    }

    #[test]
    fn a_cut_off_file_is_refused_with_both_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(TEN.folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("data_batch_1.bin"), record(&[1], 0)).unwrap();
        let error = read(TEN, dir.path()).err().unwrap();
        assert!(matches!(error, DataError::Size { expected: 30_730_000, found: 3073, .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_told_apart_from_a_missing_folder() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(TEN.folder)).unwrap();
        let error = read(TEN, dir.path()).err().unwrap().to_string();
        assert!(error.contains("data_batch_1.bin") && error.contains("unpack"), "{error}");
    }

    #[test]
    fn a_pipe_in_place_of_a_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(TEN.folder);
        std::fs::create_dir(&folder).unwrap();
        nix::unistd::mkfifo(&folder.join("data_batch_1.bin"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = read(TEN, dir.path()).err().unwrap().to_string();
        assert!(error.contains("data_batch_1.bin is a pipe"), "{error}");
    }

    #[test]
    fn a_hundred_names_in_the_order_of_their_labels() {
        assert!(FINE.is_sorted() && TEN.classes.is_sorted());
    }
}
