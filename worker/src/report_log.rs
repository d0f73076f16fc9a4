//! What is not yet reported of one rank of one attempt, kept in memory and on disk until it is confirmed.
//!
//! The log outlives the rank's process. Through its spool it also outlives the worker's: the next process of this worker
//! recovers it and reports the rest.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use tandem_proto::v1::{
    self, NoteEvent, RunningRank, rank_event::Event as Kind, worker_message::Message as WorkerMessage,
};

use crate::{
    outbox::Outbox,
    spool::{Contents, Spool, SpoolHeader, Writer},
    verdict::Verdict,
};

pub(crate) struct ReportLog {
    header: SpoolHeader,
    outbox: Outbox,
    spool: Spool,
    /// The coordinator wants no report of this attempt.
    stale: bool,
    /// It wants to know no more than how the rank ended.
    verdict_only: bool,
}

impl ReportLog {
    pub(crate) fn new(state: &Path, header: SpoolHeader, writer: Writer) -> Self {
        Self {
            spool: Spool::new(state, header.clone(), writer),
            header,
            outbox: Outbox::new(),
            stale: false,
            verdict_only: false,
        }
    }

    /// The log of a rank whose worker was killed.
    pub(crate) fn recovered(now: Instant, path: PathBuf, contents: Contents, writer: Writer) -> Self {
        let spool = Spool::reopen(path, contents.header.clone(), writer);
        let Contents { header, events, verdict, confirmed, .. } = contents;
        let verdict =
            verdict.unwrap_or_else(|| Verdict::lost("the worker was killed or restarted, and its rank with it"));
        let outbox = Outbox::recovered(now, events, confirmed, verdict);
        Self { header, outbox, spool, stale: false, verdict_only: false }
    }

    pub(crate) fn id(&self) -> &str {
        &self.header.attempt_id
    }

    pub(crate) fn is(&self, id: &str, fence: i64) -> bool {
        self.header.attempt_id == id && self.header.fence == fence
    }

    pub(crate) fn is_rank_0(&self) -> bool {
        self.header.rank == 0
    }

    pub(crate) fn push(&mut self, now: Instant, event: Kind) {
        self.outbox.push(now, SystemTime::now(), event);
    }

    /// The rank has ended: nothing follows.
    pub(crate) fn end(&mut self, verdict: Verdict) {
        self.outbox.end(verdict);
    }

    /// Nobody needs a report of this attempt.
    pub(crate) fn mark_stale(&mut self) {
        self.stale = true;
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The attempt is over for the coordinator, which now only waits for the verdict. Events that it will never confirm
    /// must not hold the verdict back.
    pub(crate) fn drop_unsent(&mut self) {
        self.outbox.drop_unsent();
        self.verdict_only = true;
    }

    /// The rank has ended and the coordinator needs nothing more: its spool can be removed.
    pub(crate) fn is_finished(&self) -> bool {
        self.stale || self.verdict_only && self.outbox.all_sent()
    }

    /// Everything, the verdict included, was sent on the present stream; or nobody wants it.
    pub(crate) fn all_sent(&self) -> bool {
        self.stale || self.outbox.all_sent()
    }

    /// For a heartbeat: the rank, while reports of it are outstanding. The coordinator must not count it as lost meanwhile.
    pub(crate) fn running(&self) -> Option<RunningRank> {
        (!self.all_sent()).then(|| self.running_rank())
    }

    /// For the registration: the coordinator may have missed whatever was sent on an earlier stream.
    pub(crate) fn unconfirmed(&self) -> Option<RunningRank> {
        (!self.stale).then(|| self.running_rank())
    }

    /// The coordinator has stored everything up to `sequence`. Returns the newest step whose checkpoint was among it.
    pub(crate) fn confirm(&mut self, sequence: u64) -> Option<u64> {
        self.outbox.confirm(sequence)
    }

    /// A new stream: whatever was not confirmed is sent again.
    pub(crate) fn resend(&mut self, now: Instant) {
        self.outbox.resend(now);
    }

    /// The stream ended because the coordinator does not take something that was sent on it.
    pub(crate) fn refused(&mut self, reason: &str) {
        if let Some(given_up) = self.outbox.refused(reason) {
            tracing::warn!(attempt = self.header.attempt_id, "{given_up}");
        }
    }

    /// The coordinator has refused something, and it is not clear yet what.
    pub(crate) fn is_cautious(&self) -> bool {
        !self.stale && self.outbox.is_cautious()
    }

    /// Events were sent on the present stream that are not confirmed.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.stale && self.outbox.is_under_way()
    }

    /// Has what is new in memory written to disk. Call it before anything is sent: what is not on disk is not sent, unless
    /// the disk is at fault.
    pub(crate) fn save(&mut self, now: Instant) {
        if self.stale {
            return;
        }
        if let Some(message) = self.spool.save(now, &mut self.outbox) {
            self.push(now, Kind::Note(NoteEvent { kind: "spool".to_owned(), message }));
        }
    }

    /// The worker did not run for `by`.
    pub(crate) fn shift(&mut self, by: Duration) {
        self.spool.shift(by);
    }

    /// When [`Self::save`] has something to do even if nothing happens.
    pub(crate) fn save_at(&self, now: Instant) -> Option<Instant> {
        self.spool.save_at(now).filter(|_| !self.stale)
    }

    /// The next message for the coordinator, if one is due.
    pub(crate) fn message(&mut self, now: Instant) -> Option<WorkerMessage> {
        if self.stale {
            return None;
        }
        let SpoolHeader { attempt_id, fence, rank } = self.header.clone();
        if let Some(events) = self.outbox.take_batch(now) {
            return Some(WorkerMessage::Report(v1::Report { attempt_id, fence, rank, events }));
        }
        let Verdict { outcome, cause } = self.outbox.take_verdict()?;
        Some(WorkerMessage::RankEnded(v1::RankEnded { attempt_id, fence, rank, outcome: outcome.into(), cause }))
    }

    /// When [`Self::message`] next returns something.
    pub(crate) fn message_at(&self, now: Instant) -> Option<Instant> {
        if self.stale { None } else { self.outbox.due_at(now) }
    }

    /// Removes the spool, once the coordinator needs nothing more.
    pub(crate) fn forget(self) {
        self.spool.remove();
    }

    fn running_rank(&self) -> RunningRank {
        let SpoolHeader { attempt_id, fence, rank } = self.header.clone();
        RunningRank { attempt_id, fence, rank, idle_ms: 0, slowest_ms: None }
    }
}
