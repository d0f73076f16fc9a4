//! Events of a rank that the coordinator has not confirmed yet: numbered once, and sent until they are confirmed. They
//! are spooled, so they outlive the worker's process.

use std::collections::VecDeque;

use tandem_domain::{state::RankOutcome, timing};

use crate::{
    event::RankEvent,
    plan::{Ms, ms},
};

#[derive(Default)]
pub(crate) struct Outbox {
    events: VecDeque<(u64, RankEvent)>,
    sent: usize,
    sequence: u64,
    pub(crate) due_at: Option<Ms>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum End {
    #[default]
    Open,
    Known(RankOutcome),
    /// It was sent on the present connection.
    Sent(RankOutcome),
}

impl Outbox {
    pub(crate) fn push(&mut self, now: Ms, event: RankEvent) {
        self.sequence += 1;
        self.events.push_back((self.sequence, event));
        let is_urgent = !matches!(event, RankEvent::Metric { .. } | RankEvent::Result { .. });
        let due = if is_urgent { now } else { now + ms(timing::REPORT_BATCH) };
        self.due_at = Some(self.due_at.map_or(due, |earlier| earlier.min(due)));
    }

    pub(crate) fn end(&mut self, now: Ms, outcome: RankOutcome) {
        self.end = End::Known(outcome);
        self.due_at = Some(now);
    }

    pub(crate) fn take_batch(&mut self, now: Ms) -> Option<Vec<(u64, RankEvent)>> {
        if self.events.len() == self.sent || self.due_at.is_none_or(|due| due > now) {
            return None;
        }
        let batch: Vec<_> = self.events.range(self.sent..).copied().collect();
        self.sent = self.events.len();
        Some(batch)
    }

    pub(crate) fn take_verdict(&mut self) -> Option<RankOutcome> {
        let End::Known(outcome) = self.end else { return None };
        self.end = End::Sent(outcome);
        Some(outcome)
    }

    /// Removes the events up to this number and returns them.
    pub(crate) fn confirm(&mut self, sequence: u64) -> Vec<RankEvent> {
        let mut confirmed = Vec::new();
        while let Some(&(number, event)) = self.events.front().filter(|(number, _)| *number <= sequence) {
            debug_assert!(number <= self.sequence);
            confirmed.push(event);
            self.events.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
        confirmed
    }

    /// On a new connection everything that is not confirmed is sent again.
    pub(crate) fn resend(&mut self, now: Ms) {
        self.sent = 0;
        if let End::Sent(outcome) = self.end {
            self.end = End::Known(outcome);
        }
        self.due_at = Some(now);
    }

    pub(crate) fn is_reported(&self) -> bool {
        matches!(self.end, End::Sent(_))
    }
}
