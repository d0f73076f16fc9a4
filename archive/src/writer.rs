//! Writes an archive beside its place: it gets its name when it is whole.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tandem_durable::{Mode, NewFile};

use crate::{
    manifest::{Begin, Manifest},
    name::{BEGIN, INDEX, MANIFEST},
    summed::Summed,
    tail::{MEMBER, Tail, header},
};

/// An archive that is being written. Dropped before [`Writer::finish`], nothing of it stays.
pub struct Writer {
    tar: tar::Builder<Summed<BufWriter<NewFile>>>,
    /// A line for each member so far, in a file without a name.
    index: BufWriter<File>,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    /// `written` grows with the bytes; once `stop` is true, the next piece fails as interrupted.
    ///
    /// # Errors
    /// Where the folder of `path` takes no file.
    pub fn create(path: &Path, begin: &Begin, written: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> io::Result<Self> {
        // What a backup that was killed has left of this name.
        let _ = tandem_durable::remove_leftovers(path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let index = BufWriter::new(tempfile::tempfile_in(folder)?);
        // It holds whatever the house knows.
        let file = NewFile::create(path, Mode::Private)?;
        let tar = tar::Builder::new(Summed::new(BufWriter::with_capacity(1 << 20, file)));
        let mut writer = Self { tar, index, written, stop };
        writer.bytes(BEGIN, &serde_json::to_vec_pretty(begin)?)?;
        Ok(writer)
    }

    /// Adds a member that is in memory.
    ///
    /// # Errors
    /// Where the disk is full or does not answer.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.member(name, bytes.len() as u64, bytes).map(drop)
    }

    /// Adds `size` bytes of a file; returns their SHA-256. A file that became shorter meanwhile is filled up with zeros, as the
    /// size stands before them: then its sum is not what anybody expects.
    ///
    /// # Errors
    /// Where `file` cannot be read, or the disk is full or does not answer.
    pub fn file(&mut self, name: &str, file: impl Read, size: u64) -> io::Result<String> {
        self.member(name, size, file.chain(io::repeat(0)).take(size))
    }

    fn member(&mut self, name: &str, size: u64, bytes: impl Read) -> io::Result<String> {
        let mut summed = Summed::new(Watched { inner: bytes, written: &self.written, stop: &self.stop });
        self.tar.append_data(&mut header(name, size)?, name, &mut summed)?;
        let sha256 = summed.sha256();
        writeln!(self.index, "{sha256} {size} {name}")?;
        Ok(sha256)
    }

    /// Adds what the archive says of itself, and puts it in place over what was there. Returns its size.
    ///
    /// # Errors
    /// Where the disk is full or does not answer; then what was there stays.
    pub fn finish(mut self, manifest: &Manifest) -> io::Result<u64> {
        self.bytes(MANIFEST, &serde_json::to_vec_pretty(manifest)?)?;
        let mut index = self.index.into_inner().map_err(io::IntoInnerError::into_error)?;
        let index_bytes = index.stream_position()?;
        index.rewind()?;
        let header_at = self.tar.get_ref().count();
        self.tar.append_data(&mut header(INDEX, index_bytes)?, INDEX, index.take(index_bytes))?;
        let tail = Tail { sha256: self.tar.get_ref().sha256(), index: header_at + 512, index_bytes };
        self.tar.get_mut().write_all(&tail.encode()?[..MEMBER])?;
        // The two empty blocks are tar's own.
        let summed = self.tar.into_inner()?;
        let bytes = summed.count();
        let file = summed.into_inner().into_inner().map_err(io::IntoInnerError::into_error)?;
        file.replace()?;
        Ok(bytes)
    }
}

/// Counts what passes, and breaks off when it is to stop.
struct Watched<'w, R> {
    inner: R,
    written: &'w AtomicU64,
    stop: &'w AtomicBool,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Relaxed) {
            // Not `Interrupted`: whoever copies would try again.
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was asked to stop"));
        }
        let read = self.inner.read(buffer)?;
        self.written.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}
