//! The last bytes of an archive: they prove all before, and are themselves made anew to be compared.

use std::io;

use crate::name::END;

/// A header, a block, and the two empty blocks that end a tar.
pub(crate) const TAIL: usize = 2048;
/// Without the empty blocks.
pub(crate) const MEMBER: usize = 1024;
const BLOCK: usize = 512;

/// What the end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Of all bytes before.
    pub(crate) sha256: String,
    /// Where the index begins, and how long it is.
    pub(crate) index: u64,
    pub(crate) index_bytes: u64,
}

impl Tail {
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let text = format!("{} {:020} {:020}\n", self.sha256, self.index, self.index_bytes);
        let mut bytes = header(END, text.len() as u64)?.as_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(TAIL, 0);
        Ok(bytes)
    }

    /// `None`: the bytes are no tail, or are not exactly as it would be written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let block = bytes.get(BLOCK..2 * BLOCK)?;
        let text = std::str::from_utf8(block).ok()?;
        let mut words = text.split('\n').next()?.split(' ');
        let sha256 = words.next().filter(|sha256| sha256.len() == 64)?.to_owned();
        let mut number = || words.next()?.parse().ok();
        let tail = Self { sha256, index: number()?, index_bytes: number()? };
        (tail.encode().ok()? == bytes).then_some(tail)
    }
}

/// Of a member: the same for everybody, at all times.
pub(crate) fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    // A longer one gets a member of its own before it, by whoever appends it.
    if name.len() < 100 {
        header.set_path(name)?;
    }
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}
