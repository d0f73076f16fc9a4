//! What a worker knows: its connection, its heartbeats, and the rank that it runs.

use std::collections::VecDeque;

use tandem_domain::state::RankOutcome;

use super::outbox::{End, Outbox};
use crate::{
    event::{AttemptId, Lifetime},
    plan::Ms,
};

#[derive(Default)]
pub(crate) struct Worker {
    pub(crate) lifetime: Lifetime,
    pub(super) link: Link,
    pub(super) failures: u32,
    pub(super) next_dial: usize,
    pub(super) dialled_at: Ms,
    pub(super) heartbeats: Option<HeartbeatTimer>,
    pub(crate) attempt: Option<Attempt>,
    /// It reaches no coordinator until then.
    pub(crate) cut_off_until: Ms,
    /// A fault has affected it or its connection until then.
    pub(crate) disturbed_until: Ms,
    pub(crate) is_leaving: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Link {
    #[default]
    Waiting,
    Dialling(usize),
    Up(usize),
}

pub(super) struct HeartbeatTimer {
    pub(super) next_at: Ms,
    pub(super) sequence: u64,
    pub(super) unanswered: VecDeque<(u64, Ms)>,
    /// When the newest acknowledged heartbeat was sent.
    pub(super) confirmed_at: Ms,
}

impl Worker {
    pub(crate) fn disturb(&mut self, until: Ms) {
        self.disturbed_until = self.disturbed_until.max(until);
    }

    pub(crate) fn connection(&self) -> Option<usize> {
        match self.link {
            Link::Up(connection) => Some(connection),
            Link::Waiting | Link::Dialling(_) => None,
        }
    }
}

pub(crate) struct Attempt {
    pub(crate) attempt: AttemptId,
    pub(crate) rank: usize,
    pub(crate) phase: AttemptPhase,
    pub(crate) outbox: Outbox,
    /// Rank 0 listens, and the other ranks may not know yet.
    pub(crate) listens: bool,
    pub(crate) listens_sent: bool,
    pub(crate) is_stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AttemptPhase {
    Running,
    Stopping { kill_at: Ms },
    // SIGKILL was sent; the outcome to report.
    Killed(RankOutcome),
    Ended,
}

impl Attempt {
    pub(crate) fn new(attempt: AttemptId, rank: usize) -> Self {
        let (phase, outbox) = (AttemptPhase::Running, Outbox::default());
        Self { attempt, rank, phase, outbox, listens: false, listens_sent: false, is_stale: false }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase == AttemptPhase::Ended
    }

    /// It was not killed.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, AttemptPhase::Running | AttemptPhase::Stopping { .. })
    }

    pub(crate) fn is_reported(&self) -> bool {
        self.has_ended() && (self.is_stale || self.outbox.is_reported())
    }
}

impl Worker {
    /// Restores what a killed worker finds in its spool: the events of its rank, which is gone.
    pub(crate) fn recover(&mut self, now: Ms) {
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| !attempt.is_stale) {
            attempt.phase = AttemptPhase::Ended;
            attempt.listens = false;
            if attempt.outbox.end == End::Open {
                attempt.outbox.end(now, RankOutcome::Lost);
            }
        } else {
            self.attempt = None;
        }
    }
}
