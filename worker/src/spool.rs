//! The outbox on disk, so that a killed worker loses none of its rank's reports.
//!
//! `STATE/spool/ATTEMPT-RANK.spool` gets every event before it is sent, and the verdict. It holds at least what is
//! unconfirmed. Confirmations are appended too, and a file that has grown is rewritten from memory. The next process of
//! this worker reads it ([`recover`]) and reports the rest.
//!
//! There is no fsync: written data outlive the process, however it ends. A machine that loses power loses the attempt as
//! well, and the next attempt has no use for its last events.
//!
//! A thread does the writing ([`Writer`]): here is only decided what it writes next, and asked how far it is. A spool that
//! cannot be written, or not in time, stops no training and no report: events stay in memory only, and writing is tried
//! again.

mod read;
mod record;
mod writer;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_proto::v1::RankEnded;

use crate::outbox::{Outbox, Released};
pub(crate) use read::{Contents, recover};
use read::{SUFFIX, folder};
pub(crate) use record::SpoolHeader;
pub(crate) use writer::Writer;
use writer::{Change, Progress};

/// The file is rewritten before it grows larger than this. The outbox holds less, so that it then fits.
const CAPACITY_BYTES: u64 = 64 << 20;

/// A larger file is cut back to its header once nothing is unconfirmed.
const IDLE_BYTES: u64 = 1 << 20;

/// Most bytes of events in one write; the rest follows in the next.
const WRITE_BYTES: usize = 4 << 20;

/// Time between two tries to write.
const RETRY: Duration = Duration::from_secs(10);

/// Reports wait so long for the disk, and then go without.
const STALL: Duration = Duration::from_secs(2);

/// The file of one rank of one attempt.
pub(crate) struct Spool {
    path: PathBuf,
    header: SpoolHeader,
    writer: Writer,
    progress: Arc<Progress>,
    /// What the file will hold when all is written that was handed over; `None` if it must be written anew.
    handed: Option<Handed>,
    /// Of the newest write.
    ticket: u64,
    /// The writes that are not done, and what of the outbox is on disk after each.
    waiting: VecDeque<(u64, Released)>,
    on_disk: Released,
    /// Nothing was done since then, though something waits.
    stalled_since: Option<Instant>,
    retry_at: Option<Instant>,
    /// A failure or a stall was reported.
    trouble_reported: bool,
    /// There may be a file.
    exists: bool,
}

struct Handed {
    bytes: u64,
    last_sequence: u64,
    confirmed: u64,
    verdict: bool,
    /// [`Outbox::evictions`] when the file was last rewritten.
    evictions: u32,
}

impl Spool {
    /// The first [`Self::save`] creates the file.
    pub(crate) fn new(state: &Path, header: SpoolHeader, writer: Writer) -> Self {
        // The id comes from the coordinator: it must not lead out of the folder.
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        let name: String = header.attempt_id.chars().map(plain).take(100).collect();
        let path = folder(state).join(format!("{name}-{}{SUFFIX}", header.rank));
        Self::at(path, header, writer)
    }

    /// Goes on with a file of an earlier process, which the first [`Self::save`] replaces.
    pub(crate) fn reopen(path: PathBuf, header: SpoolHeader, writer: Writer) -> Self {
        Self { exists: true, ..Self::at(path, header, writer) }
    }

    fn at(path: PathBuf, header: SpoolHeader, writer: Writer) -> Self {
        Self {
            path,
            header,
            writer,
            progress: Arc::default(),
            handed: None,
            ticket: 0,
            waiting: VecDeque::new(),
            on_disk: Released { sequence: 0, verdict: false },
            stalled_since: None,
            retry_at: None,
            trouble_reported: false,
            exists: false,
        }
    }

    /// Hands over what is new in `outbox`, and tells it what is on disk. Returns a message on the first trouble, for people
    /// to read beside the job.
    pub(crate) fn save(&mut self, now: Instant, outbox: &mut Outbox) -> Option<String> {
        let failure = self.look(now);
        if self.retry_at.is_none_or(|at| now >= at) {
            self.hand_over(now, outbox);
        }
        let stalled = self.is_stalled(now);
        outbox.release(if self.retry_at.is_some() || stalled { Released::ALL } else { self.on_disk });
        let trouble = match failure {
            Some(error) => format!(
                "events cannot be written to disk, in {}: {error}; make room there, writing is tried again every {RETRY:?}",
                self.path.display()
            ),
            None if stalled => format!(
                "events are not written to disk, in {}: it has not answered for {STALL:?}; look at that disk",
                self.path.display()
            ),
            None => return None,
        };
        let message =
            format!("{trouble}; training and reports go on, but what is not reported is lost if this worker is killed");
        if std::mem::replace(&mut self.trouble_reported, true) {
            return None;
        }
        tracing::warn!(attempt = self.header.attempt_id, "{message}");
        Some(message)
    }

    /// When [`Self::save`] must be called even if nothing new happens and the writer is not heard of.
    pub(crate) fn save_at(&self, now: Instant) -> Option<Instant> {
        let stalls_at = self.stalled_since.map(|since| since + STALL).filter(|at| now < *at);
        let retry_at = self.retry_at.filter(|at| now < *at);
        stalls_at.into_iter().chain(retry_at).min()
    }

    /// This process did not run for `by`, and neither did the writer.
    pub(crate) fn shift(&mut self, by: Duration) {
        self.stalled_since = self.stalled_since.map(|since| since + by);
    }

    /// The coordinator knows everything in it.
    pub(crate) fn remove(self) {
        if self.exists {
            self.writer.remove(self.path);
        }
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_since.is_some_and(|since| now >= since + STALL)
    }

    /// Looks how far the writer is. Returns why it has failed, if it has.
    fn look(&mut self, now: Instant) -> Option<String> {
        let of_old_write = |failed: &(u64, String)| self.waiting.front().is_none_or(|(first, _)| failed.0 < *first);
        let progress = match self.progress.take() {
            // A newer write has replaced what that one should have written.
            Err(failed) if of_old_write(&failed) => self.progress.take(),
            progress => progress,
        };
        match progress {
            Ok(done) => {
                let before = self.waiting.len();
                while let Some((_, on_disk)) = self.waiting.pop_front_if(|(ticket, _)| *ticket <= done) {
                    self.on_disk = on_disk;
                }
                if self.waiting.len() < before {
                    self.stalled_since = (!self.waiting.is_empty()).then_some(now);
                    if self.retry_at.take().is_some() {
                        tracing::info!(path = %self.path.display(), "events can be written to disk again");
                    }
                }
                None
            }
            Err((_, error)) => {
                (self.handed, self.stalled_since) = (None, None);
                self.waiting.clear();
                self.retry_at = Some(now + RETRY);
                Some(error)
            }
        }
    }

    fn hand_over(&mut self, now: Instant, outbox: &Outbox) {
        if self.writer.is_full() {
            return;
        }
        let change = match self.handed.take() {
            Some(handed) if !self.is_outgrown(&handed, outbox) => self.append(handed, outbox),
            // The whole outbox at once: nothing else may wait beside it.
            _ if self.writer.queued_bytes() > 0 => None,
            _ => Some(Change::Replace(self.all(outbox))),
        };
        let Some((change, handed)) = change.zip(self.handed.as_ref()) else { return };
        let on_disk = Released { sequence: handed.last_sequence, verdict: handed.verdict };
        self.ticket += 1;
        self.waiting.push_back((self.ticket, on_disk));
        self.stalled_since.get_or_insert(now);
        self.exists = true;
        self.writer.write(&self.path, change, self.ticket, &self.progress);
    }

    /// The file must be written anew, from memory.
    fn is_outgrown(&self, handed: &Handed, outbox: &Outbox) -> bool {
        // Not with a verdict: until it is written again, it would be nowhere on disk.
        let idle = outbox.is_empty() && outbox.verdict().is_none() && handed.bytes > IDLE_BYTES;
        idle || outbox.evictions() != handed.evictions || handed.bytes > CAPACITY_BYTES - WRITE_BYTES as u64
    }

    /// What is new.
    fn append(&mut self, handed: Handed, outbox: &Outbox) -> Option<Change> {
        let handed = self.handed.insert(handed);
        let mut new = Vec::new();
        let mut complete = true;
        for event in outbox.after(handed.last_sequence) {
            if new.len() >= WRITE_BYTES - (1 << 20) {
                complete = false;
                break;
            }
            record::put_event(&mut new, event);
            handed.last_sequence = event.sequence;
        }
        if outbox.confirmed() > handed.confirmed {
            record::put_confirmed(&mut new, outbox.confirmed());
            handed.confirmed = outbox.confirmed();
        }
        if complete && !handed.verdict {
            put_verdict(&mut new, &self.header, outbox);
            handed.verdict = outbox.verdict().is_some();
        }
        handed.bytes += new.len() as u64;
        (!new.is_empty()).then_some(Change::Append(new))
    }

    /// All that is unconfirmed.
    fn all(&mut self, outbox: &Outbox) -> Vec<u8> {
        let mut all = Vec::new();
        record::put_header(&mut all, &self.header);
        if outbox.confirmed() > 0 {
            record::put_confirmed(&mut all, outbox.confirmed());
        }
        for event in outbox.after(0) {
            record::put_event(&mut all, event);
        }
        put_verdict(&mut all, &self.header, outbox);
        self.handed = Some(Handed {
            bytes: all.len() as u64,
            last_sequence: outbox.last_sequence(),
            confirmed: outbox.confirmed(),
            verdict: outbox.verdict().is_some(),
            evictions: outbox.evictions(),
        });
        all
    }
}

fn put_verdict(to: &mut Vec<u8>, header: &SpoolHeader, outbox: &Outbox) {
    let Some(verdict) = outbox.verdict() else { return };
    let SpoolHeader { attempt_id, fence, rank } = header.clone();
    let (outcome, cause) = (verdict.outcome.into(), verdict.cause.clone());
    record::put_ended(to, &RankEnded { attempt_id, fence, rank, outcome, cause });
}

#[cfg(test)]
mod tests;
