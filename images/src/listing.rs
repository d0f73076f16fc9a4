//! The images of a folder, before any of them is read.
//!
//! As torchvision's `ImageFolder` lists them: the classes are the folders under `train/` and `test/`; all folders below a
//! class count, in the order of their paths' bytes, and the files of each in the order of their names. An image therefore
//! has the same id on every machine. Hidden files and folders do not count.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Error, Worked, error::Blame, file};

/// Extensions of the files that are read, in any case: those of torchvision.
const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"];
/// Of what is left out, so many extensions are named.
const NAMED: usize = 8;

/// What is in a data set.
#[derive(Debug)]
pub struct Listing {
    /// Where people find it, and what paths of images are said relative to.
    pub(crate) root: PathBuf,
    /// Names of the class folders as they are on disk, in the order of their labels.
    pub classes: Vec<OsString>,
    pub train: Half,
    pub test: Half,
    /// A sentence for people on the files that are no images by their names; `None` if there are none.
    pub left_out: Option<String>,
}

/// Images and their classes.
#[derive(Debug, Default)]
pub struct Half {
    /// Of a packed data set, the names are those in it.
    pub files: Vec<PathBuf>,
    pub labels: Vec<i64>,
    pub(crate) place: Place,
}

/// Where the bytes of a half's images are.
#[derive(Debug, Default)]
pub(crate) enum Place {
    #[default]
    Files,
    /// In one file, each at its offset with its length.
    Packed { file: Arc<fs::File>, spans: Vec<(u64, u64)> },
}

impl Half {
    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All bytes of an image, as it is on disk.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, Error> {
        let path = &self.files[index];
        match &self.place {
            Place::Files => file::read(path),
            Place::Packed { file, spans } => {
                let (offset, length) = spans[index];
                let mut bytes = vec![0; file::image_bytes(path, length)?];
                let read = file.read_exact_at(&mut bytes, offset);
                read.map_err(|source| Error::Read { path: path.clone(), source })?;
                Ok(bytes)
            }
        }
    }
}

#[derive(Default)]
struct LeftOut {
    count: usize,
    extensions: BTreeSet<String>,
    first: Option<PathBuf>,
}

/// Lists an image folder.
pub fn list(folder: &Path, worked: Worked<'_>) -> Result<Listing, Error> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(not_here(folder, "it is no folder")),
        Err(source) => {
            // A disk that fails is told from a data set that nobody has put here.
            let absent = not_here(folder, &source.to_string());
            let failed = Error::Read { path: folder.to_owned(), source };
            return Err(if failed.blame() == Blame::Machine { failed } else { absent });
        }
    }
    let mut left_out = LeftOut::default();
    let halves = ["train", "test"].map(|half| folder.join(half));
    for half in &halves {
        match metadata(half) {
            Ok(found) if found.is_dir() => {}
            Err(error) if error.blame() == Blame::Machine => return Err(error),
            _ => {
                let how = format!(
                    "an image folder needs train/CLASS/*.png and test/CLASS/*.png (or .jpg, ..){}",
                    what_is_there(folder)
                );
                return Err(Error::Missing { path: half.clone(), how });
            }
        }
    }
    let [train, test] = &halves;
    let (classes, others) = (class_names(train, &mut left_out)?, class_names(test, &mut left_out)?);
    for (names, others, half) in [(&classes, &others, train), (&others, &classes, test)] {
        if let Some(class) = names.iter().find(|name| !others.contains(name)) {
            return Err(Error::Classes { class: class.to_string_lossy().into_owned(), path: half.clone() });
        }
    }
    if classes.is_empty() {
        return Err(Error::NoClasses { path: train.clone() });
    }
    let train = Half::list(train, &classes, &mut left_out, worked)?;
    let test = Half::list(test, &classes, &mut left_out, worked)?;
    Ok(Listing { root: folder.to_owned(), left_out: left_out.sentence(folder), classes, train, test })
}

/// What lies where `train` or `test` is missing: it may have another name.
fn what_is_there(folder: &Path) -> String {
    let names: Vec<String> = entries(folder)
        .unwrap_or_default()
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let more = if names.len() > NAMED { ", .." } else { "" };
    match names.len() {
        0 => "; there is nothing in it".to_owned(),
        _ => format!("; there is {}{more}", names[..names.len().min(NAMED)].join(", ")),
    }
}

fn not_here(folder: &Path, why: &str) -> Error {
    let how = format!(
        "{why}; copy the image folder there, start the worker with the right --data, or put it by `tandem data put`"
    );
    Error::NotHere { path: folder.to_owned(), how }
}

pub(crate) fn empty(path: &Path) -> Error {
    Error::EmptyClass { path: path.to_owned(), expected: format!(".{}", EXTENSIONS.join(", .")) }
}

fn class_names(half: &Path, left_out: &mut LeftOut) -> Result<Vec<OsString>, Error> {
    let mut names = Vec::new();
    for path in entries(half)? {
        match metadata(&path)?.is_dir() {
            true => names.extend(path.file_name().map(OsStr::to_owned)),
            false => left_out.add(path),
        }
    }
    Ok(names)
}

impl Half {
    fn list(half: &Path, classes: &[OsString], left_out: &mut LeftOut, worked: Worked<'_>) -> Result<Self, Error> {
        let mut all = Self::default();
        for (label, class) in (0..).zip(classes) {
            let path = half.join(class);
            let mut folders = Vec::new();
            walk(&path, &mut Vec::new(), &mut folders, left_out, worked)?;
            folders.sort_by(|(a, _), (b, _)| bytes(a).cmp(bytes(b)));
            let before = all.files.len();
            all.files.extend(folders.into_iter().flat_map(|(_, files)| files));
            if all.files.len() == before {
                return Err(empty(&path));
            }
            all.labels.resize(all.files.len(), label);
        }
        Ok(all)
    }
}

/// Adds `folder` and all folders below it, with their images. `above` identifies the folders on the way.
fn walk(
    folder: &Path,
    above: &mut Vec<(u64, u64)>,
    found: &mut Vec<(PathBuf, Vec<PathBuf>)>,
    left_out: &mut LeftOut,
    worked: Worked<'_>,
) -> Result<(), Error> {
    let this = metadata(folder)?;
    let this = (this.dev(), this.ino());
    if above.contains(&this) {
        return Err(Error::Circle { path: folder.to_owned() });
    }
    above.push(this);
    let mut images = Vec::new();
    for path in entries(folder)? {
        let kind = fs::symlink_metadata(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        match (is_image(&path), kind.is_dir() || kind.is_symlink() && fs::metadata(&path).is_ok_and(|to| to.is_dir())) {
            // A folder of such a name is refused by its name when it is read as a file.
            (true, _) => images.push(path),
            (false, true) => walk(&path, above, found, left_out, worked)?,
            (false, false) => left_out.add(path),
        }
    }
    found.push((folder.to_owned(), images));
    above.pop();
    worked();
    Ok(())
}

/// What is in `folder`, sorted by name, without what is hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    Ok(paths)
}

fn metadata(path: &Path) -> Result<Metadata, Error> {
    fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

pub(crate) fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(OsStr::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

impl LeftOut {
    fn add(&mut self, path: PathBuf) {
        self.count += 1;
        if self.extensions.len() <= NAMED {
            let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
            self.extensions.insert(extension.unwrap_or_else(|| "without extension".to_owned()));
        }
        self.first.get_or_insert(path);
    }

    fn sentence(&self, folder: &Path) -> Option<String> {
        let first = self.first.as_ref()?;
        let first = first.strip_prefix(folder).unwrap_or(first);
        let mut named: Vec<&str> = self.extensions.iter().map(String::as_str).take(NAMED).collect();
        if self.extensions.len() > NAMED {
            named.push("..");
        }
        Some(format!(
            "left out: {} {} ({}), the first {}; images are the files in class folders that end in .{}",
            self.count,
            if self.count == 1 { "file" } else { "files" },
            named.join(", "),
            first.display(),
            EXTENSIONS.join(", .")
        ))
    }
}

#[cfg(test)]
mod tests;
