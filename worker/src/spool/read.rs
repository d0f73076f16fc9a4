//! Reads the spools of an earlier process of this worker, which was killed or whose machine went down.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tandem_proto::v1::RankEvent;

use super::record::{MARK, Record, SpoolHeader, take};
use crate::verdict::Verdict;

pub(super) const SUFFIX: &str = ".spool";

/// Where the spools of a worker are; `state` is its state folder.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("spool")
}

/// What one spool holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Contents {
    pub(crate) header: SpoolHeader,
    /// Unconfirmed, by number.
    pub(crate) events: Vec<RankEvent>,
    pub(crate) verdict: Option<Verdict>,
    /// The coordinator has stored everything up to this number.
    pub(crate) confirmed: u64,
    /// Bytes after the end of the last whole record.
    pub(super) torn_bytes: u64,
}

/// The spools of the worker whose state folder is `state`, and messages about what could not be read.
pub(crate) fn recover(state: &Path) -> (Vec<(PathBuf, Contents)>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let folder = folder(state);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (found, problems),
        Err(error) => {
            let folder = folder.display();
            problems.push(format!("cannot read the folder {folder}, which may hold events of earlier ranks: {error}"));
            return (found, problems);
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(tandem_durable::UNFINISHED) {
            // An unfinished rewrite; the spool itself is still whole.
            let _ = fs::remove_file(&path);
        } else if name.ends_with(SUFFIX) {
            match fs::read(&path).map_err(|error| error.to_string()).and_then(|bytes| read(&bytes)) {
                Ok(contents) => {
                    if contents.torn_bytes > 0 {
                        let torn = contents.torn_bytes;
                        problems.push(format!("the last {torn} bytes of {} are damaged: left out", path.display()));
                    }
                    found.push((path, contents));
                }
                Err(problem) => problems.push(format!(
                    "events of an earlier rank in {} cannot be read and are not reported: {problem}; delete the file to \
                     end this warning",
                    path.display()
                )),
            }
        }
    }
    (found, problems)
}

fn read(bytes: &[u8]) -> Result<Contents, String> {
    let mut rest = bytes.strip_prefix(&MARK[..]).ok_or("it is no spool of this version")?;
    let Some(Record::SpoolHeader(header)) = take(&mut rest) else {
        return Err("its header, which names the attempt, is damaged".to_owned());
    };
    let (mut events, mut verdict, mut confirmed) = (Vec::<RankEvent>::new(), None, 0);
    while let Some(record) = take(&mut rest) {
        match record {
            Record::Event(event) => events.push(event),
            Record::Ended(ended) => verdict = Some(Verdict::new(ended.outcome(), ended.cause)),
            Record::Confirmed(sequence) => confirmed = confirmed.max(sequence),
            Record::SpoolHeader(_) => {}
        }
    }
    events.retain(|event| event.sequence > confirmed);
    Ok(Contents { header, events, verdict, confirmed, torn_bytes: rest.len() as u64 })
}
