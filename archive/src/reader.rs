//! Reads an archive, member by member, and believes nothing of it that is not proved.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{
    error::Error,
    manifest::{Begin, FORMAT, Manifest},
    name::{BEGIN, INDEX, Kind, MANIFEST},
    summed::Summed,
    tail::{TAIL, Tail},
};

/// What an archive says of itself is read into memory, and is no longer than this.
const OWN_LONGEST: u64 = 64 << 20;
/// A line of the index.
const LINE_LONGEST: u64 = 16 << 10;

/// Reads all of an archive and compares it with what it says of itself. `progress` is told how many bytes have been read.
///
/// # Errors
/// Where it cannot be read, or is not whole.
pub fn check(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Manifest, Error> {
    visit(path, progress, &mut |_, _, _| Ok(()))
}

/// What an archive says of when and of what it was made; read from its beginning, with no more than a look at its end.
///
/// # Errors
/// As [`check`], of what is looked at.
pub fn begin(path: &Path) -> Result<Begin, Error> {
    let (file, _, _) = open(path)?;
    let mut tar = tar::Archive::new(BufReader::new(file));
    let first = tar.entries()?.next().ok_or(Error::NotWhole("it is empty"))?;
    first_member(&mut first?)
}

/// Is given what a member is, its length and its bytes.
pub type Each<'a> = dyn FnMut(Kind<'_>, u64, &mut dyn Read) -> Result<(), Error> + 'a;

/// As [`check`], and hands each member of database and store to `each`: what it is, its bytes' number, and those. What is handed over
/// is proved when `each` has returned and not before, and the archive as a whole when this has.
///
/// # Errors
/// As [`check`], and what `each` returns.
pub fn visit(path: &Path, progress: &mut dyn FnMut(u64), each: &mut Each<'_>) -> Result<Manifest, Error> {
    let (file, length, tail) = open(path)?;
    let mut lines = index(path, &tail)?;
    let body = length - TAIL as u64;
    let mut archive = tar::Archive::new(Summed::new(BufReader::with_capacity(1 << 20, file.take(body))));
    let (mut begin, mut manifest, mut has_index) = (None, None::<Manifest>, false);
    let mut names = HashSet::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        progress(entry.raw_header_position());
        let name = plain_name(&entry)?;
        if has_index {
            return Err(Error::damaged(format!("the member {name:?} stands after the index")));
        }
        let kind = Kind::of(&name).map_err(Error::Damaged)?;
        if name == INDEX {
            has_index = true;
            if (entry.raw_file_position(), entry.size()) != (tail.index, tail.index_bytes) {
                return Err(Error::damaged("its index is not where its end says"));
            }
            io::copy(&mut entry, &mut io::sink())?;
            continue;
        }
        let sum: [u8; 32] = Sha256::digest(&name).into();
        if !names.insert(sum) {
            return Err(Error::damaged(format!("the member {name:?} is there twice")));
        }
        let (size, mut summed) = (entry.size(), Summed::new(entry));
        match name.as_str() {
            BEGIN => begin = Some(first_member(&mut summed)?),
            _ if begin.is_none() => return Err(Error::NotWhole("it does not begin as one")),
            MANIFEST => manifest = Some(own(&mut summed, MANIFEST)?),
            _ if manifest.is_some() => return Err(Error::damaged(format!("{name:?} stands after the manifest"))),
            _ => each(kind, size, &mut summed)?,
        }
        io::copy(&mut summed, &mut io::sink())?;
        let wanted = next_line(&mut lines)?;
        let found = format!("{} {size} {name}", summed.sha256());
        if wanted.as_deref() != Some(&found) {
            return Err(Error::damaged(format!("the member {name:?} is not what the index says")));
        }
    }
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink())?;
    if rest.count() != body || rest.sha256() != tail.sha256 {
        return Err(Error::damaged("its bytes are not those that were written"));
    }
    if !has_index || next_line(&mut lines)?.is_some() {
        return Err(Error::damaged("its index lists members that are not there"));
    }
    progress(length);
    let manifest = manifest.ok_or(Error::NotWhole("it has no manifest"))?;
    if Some(&manifest.begin) != begin.as_ref() {
        return Err(Error::damaged("its manifest is another archive's"));
    }
    Ok(manifest)
}

/// The file, its length, and what its end says.
fn open(path: &Path) -> Result<(File, u64, Tail), Error> {
    let mut file = File::open(path).map_err(Error::Read)?;
    let meta = file.metadata().map_err(Error::Read)?;
    if !meta.is_file() {
        return Err(Error::NotWhole("it is no file"));
    }
    let length = meta.len();
    if length < TAIL as u64 {
        return Err(Error::NotWhole("it is too short"));
    }
    let mut bytes = vec![0; TAIL];
    file.seek(SeekFrom::End(-(TAIL as i64))).map_err(Error::Read)?;
    file.read_exact(&mut bytes).map_err(Error::Read)?;
    file.rewind().map_err(Error::Read)?;
    let tail = Tail::decode(&bytes).ok_or(Error::NotWhole("its last bytes are no end of one"))?;
    let body = length - TAIL as u64;
    if tail.index.checked_add(tail.index_bytes).is_none_or(|end| end > body) {
        return Err(Error::damaged("its index is not where its end says"));
    }
    Ok((file, length, tail))
}

fn index(path: &Path, tail: &Tail) -> Result<impl BufRead, Error> {
    let mut file = File::open(path).map_err(Error::Read)?;
    file.seek(SeekFrom::Start(tail.index)).map_err(Error::Read)?;
    Ok(BufReader::new(file.take(tail.index_bytes)))
}

fn next_line(lines: &mut impl BufRead) -> Result<Option<String>, Error> {
    let mut line = String::new();
    lines.take(LINE_LONGEST).read_line(&mut line).map_err(|_| Error::damaged("its index is no text"))?;
    Ok(line.strip_suffix('\n').map(str::to_owned))
}

/// The name of a plain file.
fn plain_name(entry: &tar::Entry<'_, impl Read>) -> Result<String, Error> {
    let name = String::from_utf8(entry.path_bytes().into_owned());
    let name = name.map_err(|_| Error::damaged("the name of a member is no text"))?;
    match entry.header().entry_type() {
        tar::EntryType::Regular => Ok(name),
        other => Err(Error::damaged(format!("the member {name:?} is no plain file but {other:?}"))),
    }
}

fn first_member(member: &mut impl Read) -> Result<Begin, Error> {
    let begin: Begin = own(member, BEGIN)?;
    if begin.format == FORMAT { Ok(begin) } else { Err(Error::Format(begin.format)) }
}

fn own<T: serde::de::DeserializeOwned>(member: &mut impl Read, name: &str) -> Result<T, Error> {
    serde_json::from_reader(member.take(OWN_LONGEST)).map_err(|error| Error::damaged(format!("{name}: {error}")))
}
