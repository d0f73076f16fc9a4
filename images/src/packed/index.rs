//! Lists a packed data set, which anybody may have made.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use super::HALVES;
use crate::{
    Error, Listing, Worked, file,
    listing::{Half, Place, bytes, empty, is_image},
};

/// More images are in no packed data set.
const IMAGES_MAX: usize = 2_000_000;
/// The longest name of an image in one.
const NAME_BYTES_MAX: u64 = 4096;
/// Read at a time.
const STEP: usize = 1 << 20;

/// Lists the packed data set at `path`, which people know as `name`.
pub fn list(path: &Path, name: &str, worked: Worked<'_>) -> Result<Listing, Error> {
    let (file, length) = file::open(path)?;
    let refused = |why: String| Error::Packed { path: PathBuf::from(name), why };
    let failed = |source: io::Error| match source.raw_os_error() {
        Some(_) => Error::Read { path: path.to_owned(), source },
        // It may quote what is there, which is anything.
        None => refused(source.to_string().replace(|char: char| char.is_control(), "?")),
    };
    let mut found = Found::default();
    let mut archive = Archive::new(&file);
    let mut long_name = None;
    // Raw: what the format could say in headers of any length is not followed.
    for entry in archive.entries_with_seek().map_err(failed)?.raw(true) {
        let mut entry = entry.map_err(failed)?;
        let size = entry.size();
        let from = entry.raw_file_position();
        match entry.header().entry_type() {
            EntryType::GNULongName if size <= NAME_BYTES_MAX => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(failed)?;
                bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
                long_name = Some(bytes);
                continue;
            }
            EntryType::Regular => {}
            other => return Err(refused(format!("it holds an entry of the type {other:?} and {size} bytes"))),
        }
        let of_image = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        if from.checked_add(size).is_none_or(|end| end > length) {
            return Err(refused(format!("it ends within {}", String::from_utf8_lossy(&of_image))));
        }
        found.add(Path::new(OsStr::from_bytes(&of_image)), (from, size)).map_err(refused)?;
        worked();
    }
    found.listing(name, Arc::new(file))
}

/// The SHA-256 of a file, in hex.
pub fn sha256(path: &Path, worked: Worked<'_>) -> Result<String, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let (mut file, _) = file::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; STEP]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
        worked();
    }
}

/// What has been found of each half, in the order of a listing.
#[derive(Default)]
struct Found {
    halves: [Images; 2],
    last: Option<(usize, OsString, PathBuf, OsString)>,
}

#[derive(Default)]
struct Images {
    classes: Vec<OsString>,
    files: Vec<PathBuf>,
    labels: Vec<i64>,
    spans: Vec<(u64, u64)>,
}

impl Found {
    fn add(&mut self, path: &Path, span: (u64, u64)) -> Result<(), String> {
        let shown = path.display();
        let parts: Option<Vec<&OsStr>> = path
            .components()
            .map(|part| match part {
                Component::Normal(part) if !part.as_bytes().starts_with(b".") => Some(part),
                _ => None,
            })
            .collect();
        let half = |parts: &[&OsStr]| HALVES.iter().position(|half| parts.first().is_some_and(|first| first == half));
        let (Some(parts), Some(folder), true) = (parts, path.parent(), is_image(path)) else {
            return Err(format!("{shown} is no image by its name"));
        };
        let (Some(half), [_, class, .., file]) = (half(&parts), parts.as_slice()) else {
            return Err(format!("{shown} is not below train/CLASS/ or test/CLASS/"));
        };
        // As a folder is listed: each image once, and in the same place on every machine.
        let place = (half, (*class).to_owned(), folder.to_owned(), (*file).to_owned());
        let key = |(half, class, folder, file): &(usize, OsString, PathBuf, OsString)| {
            (*half, class.as_bytes().to_vec(), bytes(folder).to_vec(), file.as_bytes().to_vec())
        };
        if self.last.as_ref().is_some_and(|last| key(last) >= key(&place)) {
            return Err(format!("{shown} is out of its order"));
        }
        let images = &mut self.halves[half];
        if images.classes.last() != Some(&place.1) {
            images.classes.push(place.1.clone());
        }
        images.labels.push(images.classes.len() as i64 - 1);
        images.files.push(path.to_owned());
        images.spans.push(span);
        self.last = Some(place);
        if self.halves.iter().map(|half| half.files.len()).sum::<usize>() > IMAGES_MAX {
            return Err(format!("it holds more than {IMAGES_MAX} images"));
        }
        Ok(())
    }

    fn listing(self, name: &str, file: Arc<File>) -> Result<Listing, Error> {
        let root = PathBuf::from(name);
        let [train, test] = self.halves;
        let halves = [(&train, &test, "train"), (&test, &train, "test")];
        if let Some((_, _, half)) = halves.iter().find(|(images, ..)| images.files.is_empty()) {
            return Err(empty(&root.join(half)));
        }
        for (images, others, half) in halves {
            // They are in order.
            if let Some(class) = images.classes.iter().find(|class| others.classes.binary_search(class).is_err()) {
                return Err(Error::Classes { class: class.to_string_lossy().into_owned(), path: root.join(half) });
            }
        }
        let classes = train.classes.clone();
        let [train, test] = [train, test].map(|images| Half {
            files: images.files.into_iter().map(|path| root.join(path)).collect(),
            labels: images.labels,
            place: Place::Packed { file: file.clone(), spans: images.spans },
        });
        Ok(Listing { root, classes, train, test, left_out: None })
    }
}
