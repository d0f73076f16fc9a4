//! The archive, read on a thread of its own: rows go to who puts them into the database, files into the store's folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use tandem_archive::{Error, Kind, Manifest, visit};
use tokio::sync::mpsc::Sender;

/// Rows of one member at most: in memory at a time. A single row may be large.
const ROWS_LONGEST: u64 = 1 << 30;
const BLOCK: usize = 1 << 20;

/// What the thread and who waits for it share.
#[derive(Clone, Default)]
pub(super) struct Shared {
    /// Bytes of the archive that were read.
    pub(super) read: Arc<AtomicU64>,
    pub(super) stop: Arc<AtomicBool>,
    /// The greatest fence in the name of a file.
    pub(super) fence: Arc<AtomicI64>,
}

/// Rows of a table.
pub(super) struct Rows {
    pub(super) table: String,
    pub(super) text: Vec<u8>,
}

/// Reads the archive at `path`; its files come into `root`, which is an empty folder.
///
/// # Errors
/// As [`visit`]; where the folder takes no file; where nobody takes the rows any more.
pub(super) fn unpack(path: &Path, root: &Path, rows: Sender<Rows>, shared: &Shared) -> Result<Manifest, Error> {
    // Held until the first file: by then all rows have been handed over.
    let mut rows = Some(rows);
    let mut folders = Folders::default();
    let manifest = visit(path, &mut |read| shared.read.store(read, Relaxed), &mut |kind, size, bytes| {
        let stopped = || Error::Stopped("it was asked to stop".to_owned());
        if shared.stop.load(Relaxed) {
            return Err(stopped());
        }
        match kind {
            Kind::Rows { table } => {
                let Some(rows) = &rows else {
                    return Err(Error::Damaged(format!("rows of {table} stand after files of the store")));
                };
                let text = rows_of(table, size, bytes)?;
                rows.blocking_send(Rows { table: table.to_owned(), text }).map_err(|_| stopped())
            }
            Kind::File { path } => {
                rows = None;
                shared.fence.fetch_max(fence_in(path), Relaxed);
                let place = root.join(path);
                write(&place, bytes, shared, &mut folders)
                    .map_err(|error| Error::Stopped(format!("cannot write {}: {error}", place.display())))
            }
            Kind::Own => Ok(()),
        }
    })?;
    folders.sync(root).map_err(|error| Error::Stopped(format!("cannot write {}: {error}", root.display())))?;
    Ok(manifest)
}

fn rows_of(table: &str, size: u64, bytes: &mut dyn Read) -> Result<Vec<u8>, Error> {
    if size > ROWS_LONGEST {
        return Err(Error::Damaged(format!("{size} bytes of rows of {table} in one piece")));
    }
    let mut text = Vec::new();
    bytes.take(size).read_to_end(&mut text)?;
    Ok(text)
}

fn write(place: &Path, bytes: &mut dyn Read, shared: &Shared, folders: &mut Folders) -> io::Result<()> {
    folders.make(place)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(place)?;
    let mut block = vec![0; BLOCK];
    loop {
        if shared.stop.load(Relaxed) {
            return Err(io::Error::other("it was asked to stop"));
        }
        match bytes.read(&mut block)? {
            0 => break,
            read => file.write_all(&block[..read])?,
        }
    }
    file.sync_all()
}

/// The folder that files come into, one after the other: each is forced to disk when the next one begins.
#[derive(Default)]
struct Folders(Option<PathBuf>);

impl Folders {
    fn make(&mut self, file: &Path) -> io::Result<()> {
        let Some(folder) = file.parent() else { return Ok(()) };
        if self.0.as_deref() == Some(folder) {
            return Ok(());
        }
        if let Some(last) = self.0.replace(folder.to_owned()) {
            tandem_durable::sync_folder(&last)?;
        }
        fs::create_dir_all(folder)
    }

    fn sync(self, root: &Path) -> io::Result<()> {
        if let Some(last) = self.0 {
            tandem_durable::sync_folder(&last)?;
        }
        File::open(root)?.sync_all()?;
        rustix::fs::sync();
        Ok(())
    }
}

/// The fence that a path holds: `step-00000120-f17`, `artifacts/f17`; 0 if it holds none.
fn fence_in(path: &str) -> i64 {
    let after = |separator: &'static str| path.match_indices(separator).map(move |(at, _)| at + separator.len());
    let numbers = after("-f").chain(after("/f")).filter_map(|at| {
        let digits: String = path[at..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<i64>().ok()
    });
    numbers.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_of_a_file_is_in_its_path() {
        for (path, fence) in [
            ("jobs/1/step-00000120-f17/manifest.json", 17),
            ("jobs/1/attacked-00000064-f3.safetensors", 3),
            ("jobs/1/artifacts/f1000042/encoder.safetensors", 1_000_042),
            ("datasets/cats.ab.tar", 0),
            ("jobs/1-f/a", 0),
        ] {
            assert_eq!(fence_in(path), fence, "{path}");
        }
    }
}
