//! The outbox on disk, so that a killed worker loses none of its rank's reports.
//!
//! `STATE/spool/ATTEMPT-RANK.spool` gets every event before it is sent, and the verdict. It holds at least what is
//! unconfirmed. Confirmations are appended too, and a file that has grown is rewritten from memory. The next process of
//! this worker reads it ([`recover`]) and reports the rest.
//!
//! All that is new goes out in one `write`, without fsync: written data outlive the process, however it ends. A machine
//! that loses power loses the attempt as well, and the next attempt has no use for its last events.
//!
//! A spool that cannot be written stops no training: events stay in memory only, and writing is tried again.

mod read;
mod record;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tandem_proto::v1::RankEnded;

use crate::outbox::Outbox;
pub(crate) use read::{Contents, recover};
use read::{SUFFIX, folder};
pub(crate) use record::SpoolHeader;

/// The file is rewritten before it grows larger than this. The outbox holds less, so that it then fits.
const CAPACITY_BYTES: u64 = 64 << 20;

/// A larger file is cut back to its header once nothing is unconfirmed.
const IDLE_BYTES: u64 = 1 << 20;

/// Time between two tries to write.
const RETRY: Duration = Duration::from_secs(10);

/// The file of one rank of one attempt.
pub(crate) struct Spool {
    path: PathBuf,
    header: SpoolHeader,
    /// `None` before the first write, and while the file cannot be written.
    file: Option<File>,
    retry_at: Option<Instant>,
    written: Written,
    /// The first failure was reported.
    failure_reported: bool,
}

/// What the file holds.
#[derive(Default)]
struct Written {
    bytes: u64,
    last_sequence: u64,
    confirmed: u64,
    verdict: bool,
    /// [`Outbox::evictions`] when the file was last rewritten.
    evictions: u32,
}

impl Spool {
    /// The first [`Self::save`] creates the file.
    pub(crate) fn new(state: &Path, header: SpoolHeader) -> Self {
        // The id comes from the coordinator: it must not lead out of the folder.
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        let name: String = header.attempt_id.chars().map(plain).take(100).collect();
        let path = folder(state).join(format!("{name}-{}{SUFFIX}", header.rank));
        Self { path, header, file: None, retry_at: None, written: Written::default(), failure_reported: false }
    }

    /// Goes on with a file of an earlier process.
    pub(crate) fn reopen(path: PathBuf, contents: &Contents) -> Self {
        let file = File::options().append(true).open(&path).and_then(|file| {
            file.set_len(contents.good_bytes)?;
            Ok(file)
        });
        let written = Written {
            bytes: contents.good_bytes,
            last_sequence: contents.events.last().map_or(0, |event| event.sequence),
            confirmed: contents.confirmed,
            verdict: contents.verdict.is_some(),
            evictions: 0,
        };
        let header = contents.header.clone();
        Self { path, header, file: file.ok(), retry_at: None, written, failure_reported: false }
    }

    /// Writes what is new in `outbox`. Returns a message on the first failure, for people to read beside the job.
    pub(crate) fn save(&mut self, now: Instant, outbox: &Outbox) -> Option<String> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        let result = match self.file.take() {
            Some(file) if outbox.evictions() == self.written.evictions => self.append(file, outbox),
            _ => self.rewrite(outbox),
        };
        match result {
            Ok(file) => {
                self.file = Some(file);
                if self.retry_at.take().is_some() {
                    tracing::info!(path = %self.path.display(), "events can be written to disk again");
                }
                None
            }
            Err(error) => {
                let again = self.retry_at.replace(now + RETRY).is_some();
                let message = format!(
                    "events cannot be written to disk, in {}: {error}; training goes on, but unreported events are lost \
                     if this worker is killed; make room there, writing is tried again every {RETRY:?}",
                    self.path.display()
                );
                if !again {
                    tracing::warn!(attempt = self.header.attempt_id, "{message}");
                }
                (!std::mem::replace(&mut self.failure_reported, true)).then_some(message)
            }
        }
    }

    /// When [`Self::save`] must be called even if nothing new happens.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The coordinator knows everything in it.
    pub(crate) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "the file of reported events cannot be removed");
        }
    }

    /// Appends what is new.
    fn append(&mut self, mut file: File, outbox: &Outbox) -> io::Result<File> {
        // Not with a verdict: until it is written again, it would be nowhere on disk.
        if outbox.is_empty() && outbox.verdict().is_none() && self.written.bytes > IDLE_BYTES {
            let mut head = Vec::new();
            record::put_header(&mut head, &self.header);
            file.set_len(head.len() as u64)?;
            self.written.bytes = head.len() as u64;
            // Written again below: the numbers of later events go on from there.
            self.written.confirmed = 0;
        }
        let mut new = Vec::new();
        for event in outbox.after(self.written.last_sequence) {
            record::put_event(&mut new, event);
        }
        if outbox.confirmed() > self.written.confirmed {
            record::put_confirmed(&mut new, outbox.confirmed());
        }
        if !self.written.verdict {
            self.put_verdict(&mut new, outbox);
        }
        if new.is_empty() {
            return Ok(file);
        }
        if self.written.bytes + new.len() as u64 > CAPACITY_BYTES {
            return self.rewrite(outbox);
        }
        if let Err(error) = file.write_all(&new) {
            // Half a record would hide all that is appended after it.
            let _ = file.set_len(self.written.bytes);
            return Err(error);
        }
        self.record_written(self.written.bytes + new.len() as u64, outbox);
        Ok(file)
    }

    /// Writes all that is unconfirmed to a new file, which replaces the old one.
    fn rewrite(&mut self, outbox: &Outbox) -> io::Result<File> {
        let mut all = Vec::new();
        record::put_header(&mut all, &self.header);
        if outbox.confirmed() > 0 {
            record::put_confirmed(&mut all, outbox.confirmed());
        }
        for event in outbox.after(0) {
            record::put_event(&mut all, event);
        }
        self.put_verdict(&mut all, outbox);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut new = tandem_durable::NewFile::create(&self.path, tandem_durable::Mode::Shared)?;
        new.write_all(&all)?;
        new.replace_without_sync()?;
        // Opened again in append mode: writes go to the end even after the file was cut back.
        let file = File::options().append(true).open(&self.path)?;
        self.record_written(all.len() as u64, outbox);
        self.written.evictions = outbox.evictions();
        Ok(file)
    }

    fn put_verdict(&self, to: &mut Vec<u8>, outbox: &Outbox) {
        let Some(verdict) = outbox.verdict() else { return };
        let SpoolHeader { attempt_id, fence, rank } = self.header.clone();
        let (outcome, cause) = (verdict.outcome.into(), verdict.cause.clone());
        record::put_ended(to, &RankEnded { attempt_id, fence, rank, outcome, cause });
    }

    fn record_written(&mut self, bytes: u64, outbox: &Outbox) {
        self.written.bytes = bytes;
        self.written.last_sequence = outbox.last_sequence();
        self.written.confirmed = outbox.confirmed();
        self.written.verdict = outbox.verdict().is_some();
    }
}

#[cfg(test)]
mod tests;
