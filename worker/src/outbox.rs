//! Events of a rank that the coordinator has not confirmed yet, and the verdict on the rank.
//!
//! Every event gets the next number and keeps it, so that it may be sent twice: the coordinator skips numbers that it
//! has. Events are sent in batches and in order, wait here until they are confirmed, and are sent again after a
//! reconnect. The verdict is always last.
//!
//! Pure: time is an argument. The session asks what is due, and the spool asks what is new.

use std::{
    collections::VecDeque,
    time::{Instant, SystemTime},
};

use tandem_domain::timing;
use tandem_proto::binary;
use tandem_proto::v1::{NoteEvent, RankEvent, rank_event::Event as Kind};

use crate::verdict::Verdict;

/// Most events that are sent but not confirmed: a slow coordinator slows its senders down.
const WINDOW_EVENTS: usize = 8 * timing::REPORT_BATCH_EVENTS;

/// Most bytes that wait in memory while no coordinator can be reached. At 20 metric points a second this is six hours.
const CAPACITY_BYTES: usize = 48 << 20;

/// Numbered events of one rank of one attempt, and its end.
pub(crate) struct Outbox {
    /// Unconfirmed, by number; the first `sent` of them were sent on the present stream.
    events: VecDeque<RankEvent>,
    sent: usize,
    bytes: usize,
    capacity_bytes: usize,
    next_sequence: u64,
    /// The coordinator has stored everything up to this number.
    confirmed: u64,
    /// How often events were dropped for want of room.
    evictions: u32,
    /// When the next batch is due: a batch interval after its first event, or at once if an event in it is urgent.
    due_at: Option<Instant>,
    end: End,
}

enum End {
    Open,
    /// To be sent after the last event.
    Pending(Verdict),
    /// Sent on the present stream.
    Sent(Verdict),
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self::with_capacity(CAPACITY_BYTES)
    }

    fn with_capacity(capacity_bytes: usize) -> Self {
        Self {
            events: VecDeque::new(),
            sent: 0,
            bytes: 0,
            capacity_bytes,
            next_sequence: 1,
            confirmed: 0,
            evictions: 0,
            due_at: None,
            end: End::Open,
        }
    }

    /// The outbox of a rank that has ended, from its spool.
    pub(crate) fn recovered(now: Instant, events: Vec<RankEvent>, confirmed: u64, verdict: Verdict) -> Self {
        let last = events.last().map_or(confirmed, |event| event.sequence);
        let mut outbox = Self { confirmed, next_sequence: last + 1, end: End::Pending(verdict), ..Self::new() };
        outbox.bytes = events.iter().map(weight).sum();
        outbox.events = events.into();
        outbox.resend(now);
        outbox
    }

    /// Adds an event, which happened `at` by the wall clock and arrived at `now`.
    pub(crate) fn push(&mut self, now: Instant, at: SystemTime, event: Kind) {
        // Only the newest progress matters: it replaces one that was not sent yet.
        if matches!(event, Kind::Progress(_))
            && let Some(older) =
                self.events.range(self.sent..).rposition(|e| matches!(e.event, Some(Kind::Progress(_))))
            && let Some(replaced) = self.events.remove(self.sent + older)
        {
            self.bytes -= weight(&replaced);
        }
        let due = if is_urgent(&event) { now } else { now + timing::REPORT_BATCH };
        self.due_at = Some(self.due_at.map_or(due, |earlier| earlier.min(due)));
        self.append(at, event);
        if self.bytes > self.capacity_bytes {
            self.evict(at);
        }
    }

    /// The rank has ended: nothing follows.
    pub(crate) fn end(&mut self, verdict: Verdict) {
        self.end = End::Pending(verdict);
    }

    /// When [`Self::take_batch`] or [`Self::take_verdict`] next returns something; `None` while nothing waits.
    pub(crate) fn due_at(&self, now: Instant) -> Option<Instant> {
        let unsent = self.events.len() - self.sent;
        match unsent {
            0 => matches!(self.end, End::Pending(_)).then_some(now),
            _ if self.sent >= WINDOW_EVENTS => None,
            _ if unsent >= timing::REPORT_BATCH_EVENTS || !matches!(self.end, End::Open) => Some(now),
            _ => self.due_at,
        }
    }

    /// The next events to send, if they are due.
    pub(crate) fn take_batch(&mut self, now: Instant) -> Option<Vec<RankEvent>> {
        if self.events.len() == self.sent || self.due_at(now).is_none_or(|due| due > now) {
            return None;
        }
        let batch: Vec<_> = self.events.range(self.sent..).take(timing::REPORT_BATCH_EVENTS).cloned().collect();
        self.sent += batch.len();
        self.due_at = (self.sent < self.events.len()).then_some(now);
        Some(batch)
    }

    /// The verdict, once all events were sent on this stream.
    pub(crate) fn take_verdict(&mut self) -> Option<Verdict> {
        let End::Pending(verdict) = &self.end else { return None };
        if self.sent < self.events.len() {
            return None;
        }
        let verdict = verdict.clone();
        self.end = End::Sent(verdict.clone());
        Some(verdict)
    }

    /// The coordinator has stored everything up to `sequence`. Returns the newest step whose checkpoint was among it.
    pub(crate) fn confirm(&mut self, sequence: u64) -> Option<u64> {
        let mut committed = None;
        while let Some(event) = self.events.pop_front_if(|event| event.sequence <= sequence) {
            self.bytes -= weight(&event);
            self.sent = self.sent.saturating_sub(1);
            self.confirmed = event.sequence;
            if let Some(Kind::Checkpoint(checkpoint)) = &event.event {
                committed = committed.max(Some(checkpoint.step));
            }
        }
        committed
    }

    /// Drops the events that were not sent yet; the verdict still follows.
    pub(crate) fn drop_unsent(&mut self) {
        self.events.truncate(self.sent);
        self.bytes = self.events.iter().map(weight).sum();
    }

    /// A new stream: whatever is not confirmed is sent again.
    pub(crate) fn resend(&mut self, now: Instant) {
        self.sent = 0;
        self.due_at = (!self.events.is_empty()).then_some(now);
        if let End::Sent(verdict) = &self.end {
            self.end = End::Pending(verdict.clone());
        }
    }

    /// Everything, the verdict included, was sent on the present stream.
    pub(crate) fn all_sent(&self) -> bool {
        matches!(self.end, End::Sent(_))
    }

    /// No event is unconfirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The unconfirmed events with a higher number.
    pub(crate) fn after(&self, sequence: u64) -> impl Iterator<Item = &RankEvent> {
        self.events.range(self.events.partition_point(|event| event.sequence <= sequence)..)
    }

    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        match &self.end {
            End::Open => None,
            End::Pending(verdict) | End::Sent(verdict) => Some(verdict),
        }
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub(crate) fn evictions(&self) -> u32 {
        self.evictions
    }

    fn append(&mut self, at: SystemTime, event: Kind) {
        let event = RankEvent { sequence: self.next_sequence, at: Some(at.into()), event: Some(event) };
        self.next_sequence += 1;
        self.bytes += weight(&event);
        self.events.push_back(event);
    }

    /// Makes room: of the older half of the unsent events only essential ones stay, and a note says so.
    fn evict(&mut self, at: SystemTime) {
        let before = self.events.len();
        let middle = self.sent + (before - self.sent).div_ceil(2);
        let mut index = 0;
        let sent = self.sent;
        self.events.retain(|event| {
            index += 1;
            let old_and_unsent = (sent..middle).contains(&(index - 1));
            !old_and_unsent || event.event.as_ref().is_some_and(is_essential)
        });
        self.bytes = self.events.iter().map(weight).sum();
        self.evictions += 1;
        let dropped = before - self.events.len();
        let message = format!(
            "{dropped} metric points, log lines and notes were dropped: no coordinator could be reached, and the worker \
             keeps no more than {} MiB of events",
            self.capacity_bytes >> 20
        );
        self.append(at, Kind::Note(NoteEvent { kind: "dropped".to_owned(), message }));
    }
}

/// Sent at once: a person or another rank waits for it, or it says that something is durable.
fn is_urgent(event: &Kind) -> bool {
    matches!(event, Kind::Phase(_) | Kind::Checkpoint(_) | Kind::Artifact(_) | Kind::Note(_))
}

/// Never dropped.
fn is_essential(event: &Kind) -> bool {
    matches!(event, Kind::Phase(_) | Kind::Checkpoint(_) | Kind::Artifact(_) | Kind::Result(_))
}

/// Bytes that an event takes: nearly those in memory, and at least those on disk.
fn weight(event: &RankEvent) -> usize {
    size_of::<RankEvent>() + binary::encoded_len(event)
}

#[cfg(test)]
mod tests;
