//! Reads files that may be anything: a person put them there.

use std::fs::{File, FileType, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::Error;

/// The largest image file that is read: far above any photograph, and no thread fills the memory with one.
const MOST_BYTES: u64 = 256 << 20;

/// Opens a regular file and says how long it is. A pipe or a device is refused and never waited for.
pub fn open(path: &Path) -> Result<(File, u64), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    // Before it is opened: opening some devices does something.
    regular(path, std::fs::metadata(path).map_err(failed)?.file_type())?;
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    regular(path, metadata.file_type())?;
    Ok((file, metadata.len()))
}

/// Reads a whole image file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let (file, bytes) = open(path)?;
    let mut content = Vec::with_capacity(image_bytes(path, bytes)?);
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut content);
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    image_bytes(path, content.len() as u64)?;
    Ok(content)
}

/// The length of an image file, if one is read that has it.
pub(crate) fn image_bytes(path: &Path, bytes: u64) -> Result<usize, Error> {
    if bytes > MOST_BYTES {
        return Err(Error::Large { path: path.to_owned(), bytes, most: MOST_BYTES });
    }
    Ok(bytes as usize)
}

fn regular(path: &Path, kind: FileType) -> Result<(), Error> {
    if kind.is_file() {
        return Ok(());
    }
    let what = match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(Error::NotAFile { path: path.to_owned(), what })
}
