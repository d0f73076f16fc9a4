//! Packs a listing, from any byte on: what was sent before is not read again.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{Error, Half, Listing, Worked};

/// A tar ends with two empty blocks.
const END: usize = 1024;
const BLOCK: u64 = 512;

/// How a data set is packed.
#[derive(Debug)]
pub struct Packing {
    listing: Listing,
    images: Vec<Image>,
    bytes: u64,
}

#[derive(Debug)]
struct Image {
    is_test: bool,
    index: usize,
    /// In the tar.
    name: PathBuf,
    /// Of the file.
    length: u64,
    /// In the tar, with header and padding.
    from: u64,
    to: u64,
}

impl Packing {
    /// Looks at the size of each file.
    pub fn of(listing: Listing) -> Result<Self, Error> {
        let (mut images, mut bytes) = (Vec::new(), 0);
        for (is_test, half) in [(false, &listing.train), (true, &listing.test)] {
            for (index, path) in half.files.iter().enumerate() {
                let failed = |source| Error::Read { path: path.clone(), source };
                let length = fs::metadata(path).map_err(failed)?.len();
                let name = path.strip_prefix(&listing.root).unwrap_or(path).to_owned();
                let header = entry(&name, length, &[]).map_err(failed)?.len() as u64;
                let to = bytes + header + length.next_multiple_of(BLOCK);
                images.push(Image { is_test, index, name, length, from: bytes, to });
                bytes = to;
            }
        }
        Ok(Self { listing, images, bytes: bytes + END as u64 })
    }

    /// How long the packed data set is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of the packed data set, in hex.
    pub fn sha256(&self, worked: Worked<'_>) -> Result<String, Error> {
        let mut hasher = Sha256::new();
        for part in self.parts(0) {
            hasher.update(part?);
            worked();
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// The packed data set from byte `from` on, an image at a time.
    pub fn parts(&self, from: u64) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
        let end_from = self.bytes - END as u64;
        let first = self.images.partition_point(|image| image.to <= from);
        let images = self.images[first..].iter().map(move |image| {
            let mut bytes = self.packed(image)?;
            bytes.drain(..usize::try_from(from.saturating_sub(image.from)).unwrap_or(usize::MAX).min(bytes.len()));
            Ok(bytes)
        });
        let left = self.bytes.saturating_sub(from.max(end_from));
        let end = (left > 0).then(|| Ok(vec![0; left as usize]));
        images.chain(end)
    }

    fn packed(&self, image: &Image) -> Result<Vec<u8>, Error> {
        let half: &Half = if image.is_test { &self.listing.test } else { &self.listing.train };
        let path = &half.files[image.index];
        let bytes = half.read(image.index)?;
        if bytes.len() as u64 != image.length {
            return Err(Error::Changed { path: path.clone() });
        }
        entry(&image.name, image.length, &bytes).map_err(|source| Error::Read { path: path.clone(), source })
    }
}

/// Header, bytes and padding of one file; without `bytes` the header alone.
fn entry(name: &Path, length: u64, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(length);
    let mut tar = Builder::new(Vec::with_capacity(bytes.len() + 2 * BLOCK as usize));
    tar.append_data(&mut header, name, bytes)?;
    Ok(std::mem::take(tar.get_mut()))
}
