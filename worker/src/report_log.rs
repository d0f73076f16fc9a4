//! What the coordinator is told of one rank of one attempt: kept in memory and on disk until it knows.
//!
//! It outlives the process that it is about, and by way of its spool also the worker: what an earlier process of this
//! worker had no time to say is an account without a rank.

use std::{
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use tandem_proto::v1::{
    self, NoteEvent, RunningRank, rank_event::Event as Kind, worker_message::Message as WorkerMessage,
};

use crate::{
    outbox::Outbox,
    spool::{Contents, Spool, SpoolHeader},
    verdict::Verdict,
};

pub(crate) struct ReportLog {
    header: SpoolHeader,
    outbox: Outbox,
    spool: Spool,
    /// The coordinator wants to hear nothing of this attempt.
    stale: bool,
    /// It wants to hear how the rank ended, at most.
    verdict_only: bool,
}

impl ReportLog {
    pub(crate) fn new(state: &Path, header: SpoolHeader) -> Self {
        Self {
            spool: Spool::new(state, header.clone()),
            header,
            outbox: Outbox::new(),
            stale: false,
            verdict_only: false,
        }
    }

    /// Of a rank whose worker was killed.
    pub(crate) fn recovered(now: Instant, path: PathBuf, contents: Contents) -> Self {
        let spool = Spool::reopen(path, &contents);
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

    /// The rank is gone: nothing follows.
    pub(crate) fn end(&mut self, verdict: Verdict) {
        self.outbox.end(verdict);
    }

    /// Nobody needs to hear of it.
    pub(crate) fn mark_stale(&mut self) {
        self.stale = true;
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The attempt is over for the coordinator: of a rank that is gone it hears the verdict, for which a lease may wait.
    /// Events that wait for a receipt that never comes must not hold it back.
    pub(crate) fn drop_unsent(&mut self) {
        self.outbox.drop_unsent();
        self.verdict_only = true;
    }

    /// Of a rank that is gone: there is nothing more to say, and nobody will ask.
    pub(crate) fn is_finished(&self) -> bool {
        self.stale || self.verdict_only && self.outbox.all_sent()
    }

    /// All was sent on the present connection, the verdict included, if anybody wants it.
    pub(crate) fn all_sent(&self) -> bool {
        self.stale || self.outbox.all_sent()
    }

    /// For a heartbeat: what the coordinator still has to hear of. It must not take the rank for lost meanwhile.
    pub(crate) fn running(&self) -> Option<RunningRank> {
        (!self.all_sent()).then(|| self.running_rank())
    }

    /// The same, for a coordinator that may have missed all that was said on an earlier connection.
    pub(crate) fn unconfirmed(&self) -> Option<RunningRank> {
        (!self.stale).then(|| self.running_rank())
    }

    /// The coordinator has stored everything up to `sequence`. The newest step whose checkpoint was among it.
    pub(crate) fn confirm(&mut self, sequence: u64) -> Option<u64> {
        self.outbox.confirm(sequence)
    }

    /// A new connection: what is not known to be known is said again.
    pub(crate) fn resend(&mut self, now: Instant) {
        self.outbox.resend(now);
    }

    /// Brings the disk to what memory holds: before anything of it is sent.
    pub(crate) fn save(&mut self, now: Instant) {
        if self.stale {
            return;
        }
        if let Some(message) = self.spool.save(now, &self.outbox) {
            self.push(now, Kind::Note(NoteEvent { kind: "spool".to_owned(), message }));
        }
    }

    /// When [`Self::save`] has something to do even if nothing happens.
    pub(crate) fn save_at(&self) -> Option<Instant> {
        self.spool.retry_at().filter(|_| !self.stale)
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

    /// When [`Self::message`] has something to give.
    pub(crate) fn message_at(&self, now: Instant) -> Option<Instant> {
        if self.stale { None } else { self.outbox.due_at(now) }
    }

    /// The coordinator knows, or does not want to: nothing of it stays.
    pub(crate) fn forget(self) {
        self.spool.remove();
    }

    fn running_rank(&self) -> RunningRank {
        let SpoolHeader { attempt_id, fence, rank } = self.header.clone();
        RunningRank { attempt_id, fence, rank, idle_ms: 0, slowest_ms: None }
    }
}
