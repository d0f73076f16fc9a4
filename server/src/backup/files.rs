//! The files that rows name, from the store's folder into the archive: as they are found, and said where that is not as the rows have it.

#![expect(clippy::unit_arg, reason = "a problem is noted, and with that the file is done")]

use std::{
    cell::RefCell,
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    os::fd::OwnedFd,
    path::Path,
    sync::atomic::Ordering::Relaxed,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tandem_archive::{Problem, Writer, store_name};

use super::work::Work;
use crate::{
    datasets::stored_file,
    store::named_files::{Kind, NamedFile},
    store_folder::open_to_read,
    store_path::path_in_store,
};

/// Of a checkpoint's folder: `learn` writes it.
const CHECKPOINT_MANIFEST: &str = "manifest.json";
const MANIFEST_LONGEST: u64 = 4 << 20;
/// So many problems are named; the others are counted.
const PROBLEMS_NAMED: usize = 10_000;

#[derive(Debug, Deserialize)]
struct CheckpointManifest {
    files: Vec<CheckpointFile>,
}

#[derive(Debug, Deserialize)]
struct CheckpointFile {
    name: String,
    sha256: String,
}

/// What came of it.
pub(super) struct Copied {
    pub(super) writer: Writer,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) problems: Vec<Problem>,
    pub(super) problems_left_out: u64,
}

/// Copies the files of `named`, a list with a line for each.
///
/// # Errors
/// Where the archive cannot be written, or the store is not there at all. A file that is not as it should be is a problem, not an error.
pub(super) fn copy(writer: Writer, named: File, root: &Path, work: &Work) -> io::Result<Copied> {
    let mut named = named;
    named.rewind()?;
    let folder = File::open(root)?.into();
    let copied = Copied { writer, files: 0, bytes: 0, problems: Vec::new(), problems_left_out: 0 };
    let mut copier = Copier { folder, root, copied, seen: HashSet::new() };
    for line in BufReader::new(named).lines() {
        let file: NamedFile = serde_json::from_str(&line?)?;
        // For who looks whether it goes on: a store may name many files that are not there.
        work.looked.fetch_add(1, Relaxed);
        copier.named(&file)?;
    }
    Ok(copier.copied)
}

struct Copier<'r> {
    folder: OwnedFd,
    root: &'r Path,
    copied: Copied,
    /// Of the paths that are in the archive: several rows may name one.
    seen: HashSet<[u8; 32]>,
}

impl Copier<'_> {
    fn named(&mut self, file: &NamedFile) -> io::Result<()> {
        let path = match file.kind {
            Kind::Dataset => stored_file(&file.path, &file.sha256),
            _ => match path_in_store(&file.path, self.root) {
                Ok(path) => path,
                Err(why) => return Ok(self.problem(&file.path, why)),
            },
        };
        match file.kind {
            Kind::Artifact | Kind::Dataset => self.file(&path, Some(&file.sha256)),
            Kind::Checkpoint => self.checkpoint(&path, &file.sha256),
            // Nothing needs it, and it may be gone at any moment.
            Kind::OlderCheckpoint if self.open(&path).is_err() => Ok(()),
            Kind::OlderCheckpoint => self.checkpoint(&path, &file.sha256),
        }
    }

    fn checkpoint(&mut self, path: &str, sha256: &str) -> io::Result<()> {
        match self.open(path).and_then(|file| file.metadata()) {
            Ok(meta) if meta.is_dir() => {}
            _ => return self.file(path, Some(sha256)),
        }
        let name = format!("{path}/{CHECKPOINT_MANIFEST}");
        let mut text = Vec::new();
        let read = self.open(&name).and_then(|file| file.take(MANIFEST_LONGEST).read_to_end(&mut text));
        if let Err(error) = read {
            return Ok(self.problem(&name, missing(&error)));
        }
        self.file(&name, Some(sha256))?;
        let is_whole = hex_digest(&text).eq_ignore_ascii_case(sha256);
        // One that is not as its row says may name anything.
        let manifest = is_whole.then(|| serde_json::from_slice::<CheckpointManifest>(&text));
        match manifest {
            Some(Ok(manifest)) => manifest.files.iter().try_for_each(|file| {
                match path_in_store(&file.name, self.root).ok().filter(|name| !name.contains('/')) {
                    Some(name) => self.file(&format!("{path}/{name}"), Some(&file.sha256)),
                    None => {
                        Ok(self.problem(&name, format!("it names `{}`, which is no file of its folder", file.name)))
                    }
                }
            }),
            Some(Err(error)) => Ok(self.problem(&name, format!("it cannot be read: {error}"))),
            None => Ok(()),
        }
    }

    /// Copies one file; the sum is what its row, or its checkpoint, says.
    fn file(&mut self, path: &str, sha256: Option<&str>) -> io::Result<()> {
        if !self.seen.insert(Sha256::digest(path).into()) {
            return Ok(());
        }
        let opened = self.open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (meta, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(self.problem(path, missing(&error))),
        };
        if !meta.is_file() {
            return Ok(self.problem(path, "it is no regular file".to_owned()));
        }
        let name = store_name(path);
        let (size, source) = (meta.len(), Told::new(file));
        let found = self.copied.writer.file(&name, &source, size)?;
        self.copied.files += 1;
        self.copied.bytes += size;
        if let Some(error) = source.failed() {
            return Ok(self.problem(path, format!("it cannot be read: {error}; what could not is zeros")));
        }
        if let Some(wanted) = sha256.filter(|wanted| !found.eq_ignore_ascii_case(wanted)) {
            let [found, wanted] = [found.as_str(), wanted].map(|sum| sum.get(..12).unwrap_or(sum));
            self.problem(
                path,
                format!("it is damaged: its SHA-256 is {found}.., and {wanted}.. was stored; it is kept as it is"),
            );
        }
        Ok(())
    }

    fn problem(&mut self, path: &str, why: String) {
        if self.copied.problems.len() < PROBLEMS_NAMED {
            self.copied.problems.push(Problem { path: path.to_owned(), why });
        } else {
            self.copied.problems_left_out += 1;
        }
    }

    /// Below the store's folder: a link that leads out of it would put somebody else's file into the archive.
    fn open(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match openat2(&self.folder, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
            // A kernel, or a sandbox, without it.
            Err(Errno::NOSYS) => {
                let place = self.root.join(path).canonicalize()?;
                if !place.starts_with(self.root.canonicalize()?) {
                    return Err(io::ErrorKind::CrossesDevices.into());
                }
                open_to_read(&place)
            }
            opened => Ok(opened?.into()),
        }
    }
}

/// A file that ends where it cannot be read, and says so: the archive has its size already.
struct Told {
    file: File,
    failed: RefCell<Option<io::Error>>,
}

impl Told {
    fn new(file: File) -> Self {
        Self { file, failed: RefCell::new(None) }
    }

    fn failed(&self) -> Option<io::Error> {
        self.failed.take()
    }
}

impl Read for &Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.file).read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed.replace(Some(error));
                Ok(0)
            }
            read => read,
        }
    }
}

fn missing(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "it is missing".to_owned(),
        io::ErrorKind::CrossesDevices => "a link leads out of the store".to_owned(),
        _ => format!("it cannot be opened: {error}"),
    }
}

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
