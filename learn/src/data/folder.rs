//! `folder:NAME`: one sub-folder per class under `train/` and `test/`.
//!
//! Classes and files come in the order of their names' bytes, so that an image has the same id on every machine. An
//! image of another size is resized to 32x32 by a triangle filter, which does not keep its aspect ratio.

use std::path::{Path, PathBuf};

use image::{ImageReader, imageops::FilterType};

use super::error::DataError;
use super::images::{IMAGE, PLANE, RawData, RawImages, SIDE, cores};
use crate::progress;

pub(super) fn read(folder: &Path) -> Result<RawData, DataError> {
    let (train, test) = (folder.join("train"), folder.join("test"));
    for half in [&train, &test] {
        if !half.is_dir() {
            let how = "an image folder needs train/CLASS/*.png and test/CLASS/*.png (or .jpg, .jpeg)".to_owned();
            return Err(DataError::Missing { path: half.clone(), how });
        }
    }
    let classes = class_names(&train)?;
    let test_classes = class_names(&test)?;
    for (names, others, half) in [(&classes, &test_classes, &train), (&test_classes, &classes, &test)] {
        if let Some(class) = names.iter().find(|name| !others.contains(name)) {
            return Err(DataError::Classes { class: class.clone(), path: half.clone() });
        }
    }
    if classes.is_empty() {
        return Err(DataError::EmptyClass { path: train });
    }
    Ok(RawData { train: read_half(&train, &classes)?, test: read_half(&test, &classes)?, classes })
}

fn class_names(half: &Path) -> Result<Vec<String>, DataError> {
    let names = list(half)?.into_iter().filter(|path| path.is_dir());
    Ok(names.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
}

/// The entries of `folder`, sorted by name, without hidden files.
fn list(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| ["png", "jpg", "jpeg"].iter().any(|known| extension == *known))
}

fn read_half(half: &Path, classes: &[String]) -> Result<RawImages, DataError> {
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (label, class) in classes.iter().enumerate() {
        let path = half.join(class);
        let before = files.len();
        files.extend(list(&path)?.into_iter().filter(|path| is_image(path)));
        if files.len() == before {
            return Err(DataError::EmptyClass { path });
        }
        labels.resize(files.len(), label as i64);
    }
    let mut pixels = vec![0; files.len() * IMAGE];
    let share = files.len().div_ceil(cores());
    std::thread::scope(|scope| {
        let parts = files.chunks(share).zip(pixels.chunks_mut(share * IMAGE));
        let threads: Vec<_> = parts
            .map(|(files, pixels)| {
                scope.spawn(|| files.iter().zip(pixels.chunks_exact_mut(IMAGE)).try_for_each(|(f, p)| decode(f, p)))
            })
            .collect();
        // In the order of the files, so that the same damaged file is named each time.
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(RawImages { pixels, labels })
}

fn decode(path: &Path, planes: &mut [u8]) -> Result<(), DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let undecodable = |source| DataError::Decode { path: path.to_owned(), source };
    // By its content, not its extension: a JPEG named .png is common.
    let reader = ImageReader::open(path).map_err(unreadable)?.with_guessed_format().map_err(unreadable)?;
    let mut image = reader.decode().map_err(undecodable)?.into_rgb8();
    if image.dimensions() != (SIDE as u32, SIDE as u32) {
        image = image::imageops::resize(&image, SIDE as u32, SIDE as u32, FilterType::Triangle);
    }
    let (red, rest) = planes.split_at_mut(PLANE);
    let (green, blue) = rest.split_at_mut(PLANE);
    for (i, pixel) in image.pixels().enumerate() {
        [red[i], green[i], blue[i]] = pixel.0;
    }
    progress::work_done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn save(root: &Path, name: &str, side: u32, colour: [u8; 3]) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(side, side, Rgb(colour)).save(path).unwrap();
    }

    fn small() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for half in ["train", "test"] {
            save(dir.path(), &format!("{half}/cat/b.png"), 32, [1, 2, 3]);
            save(dir.path(), &format!("{half}/cat/a.PNG"), 32, [4, 5, 6]);
            save(dir.path(), &format!("{half}/ant/big.png"), 64, [7, 8, 9]);
            std::fs::write(dir.path().join(half).join("cat/notes.txt"), "no image").unwrap();
        }
        dir
    }

    #[test]
    fn classes_and_files_come_in_the_order_of_their_names() {
        let raw = read(small().path()).unwrap();
        assert_eq!(raw.classes, ["ant", "cat"]);
        assert_eq!(raw.train.labels, [0, 1, 1]);
        let corners: Vec<u8> =
            (0..3).flat_map(|i| (0..3).map(move |c| i * IMAGE + c * PLANE)).map(|at| raw.train.pixels[at]).collect();
        assert_eq!(corners, [7, 8, 9, 4, 5, 6, 1, 2, 3]);
    }

    #[test]
    fn a_damaged_image_is_named() {
        let dir = small();
        std::fs::write(dir.path().join("test/cat/b.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
        let error = read(dir.path()).err().unwrap();
        assert!(matches!(&error, DataError::Decode { path, .. } if path.ends_with("test/cat/b.png")), "{error}");
    }

    #[test]
    fn an_empty_class_is_named() {
        let dir = small();
        std::fs::remove_file(dir.path().join("train/ant/big.png")).unwrap();
        let error = read(dir.path()).err().unwrap();
        assert!(matches!(&error, DataError::EmptyClass { path } if path.ends_with("train/ant")), "{error}");
    }

    #[test]
    fn classes_must_agree() {
        let dir = small();
        save(dir.path(), "test/dog/a.png", 32, [0, 0, 0]);
        let error = read(dir.path()).err().unwrap().to_string();
        assert!(error.contains("`dog` is only in"), "{error}");
    }

    #[test]
    fn an_absent_folder_says_what_is_expected() {
        let error = read(Path::new("nowhere")).err().unwrap().to_string();
        assert!(error.contains("nowhere/train") && error.contains("train/CLASS"), "{error}");
    }
}
