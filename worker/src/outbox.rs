//! Events of a rank that the coordinator has not confirmed yet, and the verdict on the rank.
//!
//! Every event gets the next number and keeps it, so that it may be sent twice: the coordinator skips numbers that it
//! has. Events are sent in batches and in order, wait here until they are confirmed, and are sent again after a
//! reconnect. The verdict is always last.
//!
//! A batch is bounded by number and by bytes, far below what gRPC takes. Should the coordinator refuse one all the same,
//! smaller ones follow ([`caution`]), and a single event that it refuses is given up and said: nothing is sent again for
//! ever.
//!
//! Pure: time is an argument. The session asks what is due, and the spool asks what is new.

mod caution;
mod end;
mod event;

use std::{
    collections::VecDeque,
    time::{Instant, SystemTime},
};

use tandem_domain::timing;
use tandem_proto::v1::{NoteEvent, RankEvent, rank_event::Event as Kind};

use crate::verdict::Verdict;
use caution::Caution;
use end::End;
use event::{describe, is_essential, is_result, is_urgent, sent_bytes, shorten, weight};

/// Most events that are sent but not confirmed: a slow coordinator slows its senders down.
const WINDOW_EVENTS: usize = 8 * timing::REPORT_BATCH_EVENTS;

/// Most bytes of events in one batch: a quarter of what gRPC takes.
const BATCH_BYTES: usize = 1 << 20;

/// The kind of a note on an event that was given up.
const REFUSED: &str = "refused";

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
    caution: Caution,
    /// What may be sent: the rest is not on disk yet.
    released: Released,
    end: End,
}

/// What of an outbox may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Released {
    /// Events up to this number.
    pub(crate) sequence: u64,
    pub(crate) verdict: bool,
}

impl Released {
    pub(crate) const ALL: Self = Self { sequence: u64::MAX, verdict: true };
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
            caution: Caution::default(),
            released: Released::ALL,
            end: End::default(),
        }
    }

    /// The outbox of a rank that has ended, from its spool.
    pub(crate) fn recovered(now: Instant, events: Vec<RankEvent>, confirmed: u64, verdict: Verdict) -> Self {
        let last = events.last().map_or(confirmed, |event| event.sequence);
        let mut outbox = Self { confirmed, next_sequence: last + 1, ..Self::new() };
        outbox.end.set(verdict);
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
        self.end.set(verdict);
    }

    /// From now on no more than this is sent.
    pub(crate) fn release(&mut self, released: Released) {
        self.released = released;
    }

    /// When [`Self::take_batch`] or [`Self::take_verdict`] next returns something; `None` while nothing waits.
    pub(crate) fn due_at(&self, now: Instant) -> Option<Instant> {
        let (unsent, ready) = (self.events.len() - self.sent, self.ready());
        match unsent {
            _ if self.is_cautious() && self.is_under_way() => None,
            0 => (self.released.verdict && self.end.is_pending()).then_some(now),
            _ if ready == 0 || self.sent >= WINDOW_EVENTS => None,
            _ if ready >= timing::REPORT_BATCH_EVENTS || !self.end.is_open() => Some(now),
            _ => self.due_at,
        }
    }

    /// The next events to send, if they are due.
    pub(crate) fn take_batch(&mut self, now: Instant) -> Option<Vec<RankEvent>> {
        if self.events.len() == self.sent || self.due_at(now).is_none_or(|due| due > now) {
            return None;
        }
        let most = self.caution.most().unwrap_or(timing::REPORT_BATCH_EVENTS).min(self.ready());
        let mut bytes = 0;
        let fits = |event: &&RankEvent| {
            let first = bytes == 0;
            bytes += sent_bytes(event);
            first || bytes <= BATCH_BYTES
        };
        let batch: Vec<_> = self.events.range(self.sent..).take(most).take_while(fits).cloned().collect();
        self.sent += batch.len();
        self.due_at = (self.sent < self.events.len()).then_some(now);
        Some(batch)
    }

    /// The verdict, once all events were sent on this stream.
    pub(crate) fn take_verdict(&mut self) -> Option<Verdict> {
        let waits = self.is_cautious() && self.is_under_way();
        if self.sent < self.events.len() || !self.released.verdict || waits {
            return None;
        }
        self.end.take()
    }

    /// The coordinator has stored everything up to `sequence`. Returns the newest step whose checkpoint was among it.
    pub(crate) fn confirm(&mut self, sequence: u64) -> Option<u64> {
        let (mut committed, was_under_way) = (None, self.is_under_way());
        while let Some(event) = self.events.pop_front_if(|event| event.sequence <= sequence) {
            self.bytes -= weight(&event);
            self.sent = self.sent.saturating_sub(1);
            self.confirmed = event.sequence;
            if let Some(Kind::Checkpoint(checkpoint)) = &event.event {
                committed = committed.max(Some(checkpoint.step));
            }
        }
        if was_under_way && !self.is_under_way() {
            self.caution.taken(timing::REPORT_BATCH_EVENTS);
        }
        committed
    }

    /// The stream ended because the coordinator does not take something that was sent on it. Call it before
    /// [`Self::resend`]. Returns what was given up, in words.
    pub(crate) fn refused(&mut self, reason: &str) -> Option<String> {
        if self.events.is_empty() {
            self.end.refused();
        }
        if !self.is_under_way() || !self.caution.refused(self.sent.min(timing::REPORT_BATCH_EVENTS)) {
            return None;
        }
        let refused = self.events.pop_front()?;
        self.bytes -= weight(&refused);
        self.sent = 0;
        let given_up = format!("{} was left out: the coordinator refuses it ({reason})", describe(&refused));
        if refused.event.as_ref().is_some_and(is_result) {
            self.end.spoil(&given_up);
        }
        // A note takes its place and its number, unless it was such a note.
        if !matches!(&refused.event, Some(Kind::Note(note)) if note.kind == REFUSED) {
            let note = NoteEvent { kind: REFUSED.to_owned(), message: given_up.clone() };
            let note = RankEvent { event: Some(Kind::Note(note)), ..refused };
            self.bytes += weight(&note);
            self.events.push_front(note);
        }
        // The spool is written anew.
        self.evictions += 1;
        Some(given_up)
    }

    /// The coordinator has refused something, and it is not clear yet what.
    pub(crate) fn is_cautious(&self) -> bool {
        self.caution.most().is_some()
    }

    /// Events were sent on the present stream that are not confirmed.
    pub(crate) fn is_under_way(&self) -> bool {
        self.sent > 0
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
        self.end.send_again();
    }

    /// Everything, the verdict included, was sent on the present stream.
    pub(crate) fn all_sent(&self) -> bool {
        self.end.is_sent()
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
        self.end.verdict()
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

    /// How many unsent events may be sent.
    fn ready(&self) -> usize {
        self.events.partition_point(|event| event.sequence <= self.released.sequence).saturating_sub(self.sent)
    }

    fn append(&mut self, at: SystemTime, mut event: Kind) {
        shorten(&mut event);
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

#[cfg(test)]
mod tests;
