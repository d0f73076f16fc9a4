//! Brings one file, from where an earlier run broke off.

use std::io::{ErrorKind, Write};

use anyhow::{Error, Result};
use tandem_durable::PartFile;

use super::wanted::Wanted;
use crate::{
    client::Client,
    download::{self, Arrived},
    exit::{Exit, Failure, classify},
    files::{cannot, make_dir},
    gauge::{Gauge, Unit},
    output::Output,
    render::units,
};

/// Characters of the SHA-256 in a part's name: enough to tell one version of a file from another.
const TAG: usize = 16;

pub(super) async fn file(client: &Client, output: &Output, wanted: &Wanted, force: bool) -> Result<()> {
    wanted.path.parent().map_or(Ok(()), make_dir)?;
    loop {
        let (mut part, arrived) = open(wanted)?;
        let before = arrived.bytes;
        let mut now = before;
        let outcome = {
            let gauge = Gauge::new(&format!("fetching {}", wanted.expected.name), Unit::Bytes, wanted.expected.bytes);
            gauge.set(before);
            let each = |bytes: &[u8]| {
                part.write_all(bytes).map_err(|error| cannot("write", &wanted.path, &error))?;
                now += bytes.len() as u64;
                gauge.add(bytes.len() as u64);
                Ok(())
            };
            download::rest(client, &wanted.expected, arrived, each).await
        };
        let Err(error) = outcome else { return finish(part, wanted, force) };
        if classify(&error).0 != Exit::Damaged {
            kept(part, now, wanted, output)?;
            return Err(error);
        }
        part.discard().map_err(|error| cannot("remove the part of", &wanted.path, &error))?;
        // What an earlier run left may have been what is damaged, as after a power cut; the store is asked for all of it once.
        if before == 0 {
            return Err(error);
        }
    }
}

/// What has arrived before, and its hash so far.
fn open(wanted: &Wanted) -> Result<(PartFile, Arrived)> {
    let (path, expected) = (&wanted.path, &wanted.expected);
    let tag = expected.sha256.get(..TAG).filter(|tag| tag.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let tag = tag.ok_or_else(|| {
        let message = format!("the coordinator names no SHA-256 of {}: `{}`", expected.name, expected.sha256);
        Failure::error(Exit::Internal, message)
    })?;
    loop {
        let mut part = PartFile::open(path, tag).map_err(|error| unopened(&error, wanted))?;
        let mut arrived = Arrived::default();
        part.replay(|bytes| arrived.add(bytes)).map_err(|error| cannot("read the part of", path, &error))?;
        if arrived.bytes <= expected.bytes {
            return Ok((part, arrived));
        }
        part.discard().map_err(|error| cannot("remove the part of", path, &error))?;
    }
}

fn unopened(error: &std::io::Error, wanted: &Wanted) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock => {
            let message = format!("another `tandem fetch` is at {} just now", wanted.path.display());
            Failure::error(Exit::Temporary, message)
        }
        _ => cannot("write", &wanted.path, error),
    }
}

fn finish(part: PartFile, wanted: &Wanted, force: bool) -> Result<()> {
    let finished = if force { part.replace() } else { part.keep_existing() };
    finished.map_err(|error| cannot("write", &wanted.path, &error))
}

/// An empty part is of no use; of any other, whoever broke it off is told that it is there.
fn kept(part: PartFile, now: u64, wanted: &Wanted, output: &Output) -> Result<()> {
    if now == 0 {
        return part.discard().map_err(|error| cannot("remove the part of", &wanted.path, &error));
    }
    let (done, all) = (units::bytes(now), units::bytes(wanted.expected.bytes));
    let name = &wanted.expected.name;
    output.note(&format!(
        "tandem: {done} of {all} of {name} have arrived and are kept; the same command goes on from there"
    ));
    Ok(())
}
