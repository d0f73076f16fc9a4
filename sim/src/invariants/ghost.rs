//! A second, simpler account of what happened (ghost state, as in program verification), and its first violation.

use super::{blame::Blame, files::Files};
use crate::{
    event::AttemptId,
    plan::{JobPlan, Ms},
};

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub at: u64,
    pub facts: String,
}

#[derive(Default)]
pub(crate) struct Ghost {
    /// By job.
    pub(crate) cancelled: Vec<bool>,
    pub(super) live: Vec<Option<AttemptId>>,
    pub(super) metrics: Vec<Vec<bool>>,
    pub(super) succeeded: Vec<bool>,
    pub(super) ended: Vec<bool>,
    pub(super) losses: Vec<u32>,
    /// By device: its live lease.
    pub(super) lease: Vec<Option<(AttemptId, usize)>>,
    /// By worker: the rank that computes there. That of a frozen worker may still when another worker has the device.
    pub(super) computes: Vec<Option<(AttemptId, usize)>>,
    /// By attempt.
    pub(super) is_over: Vec<bool>,
    /// By attempt and rank: the last event that was stored.
    pub(super) stored: Vec<Vec<u64>>,
    /// The fleet at the last decision.
    pub(super) usable: Vec<uuid::Uuid>,
    pub(crate) stops: Stops,
    pub(crate) blame: Blame,
    pub(crate) files: Files,
    pub(super) found: Option<Violation>,
}

impl Ghost {
    pub(crate) fn new(jobs: &[JobPlan], workers: usize) -> Self {
        let count = jobs.len();
        Self {
            cancelled: vec![false; count],
            live: vec![None; count],
            metrics: jobs.iter().map(|job| vec![false; job.steps as usize + 1]).collect(),
            succeeded: vec![false; count],
            ended: vec![false; count],
            losses: vec![0; count],
            lease: vec![None; workers],
            computes: vec![None; workers],
            ..Self::default()
        }
    }

    /// Only the first violation is kept.
    pub(super) fn violated(&mut self, invariant: &'static str, at: Ms, facts: String) {
        self.found.get_or_insert(Violation { invariant, at, facts });
    }

    /// Something changed from outside, so what was decided before need not come true.
    pub(crate) fn changed(&mut self) {
        self.stops.changes += 1;
    }

    pub(crate) fn rank_starts(&mut self, now: Ms, worker: usize, attempt: AttemptId, rank: usize) {
        if let Some((other, _)) = self.computes[worker] {
            let facts = format!("a{attempt} starts on w{worker} while a rank of a{other} computes there");
            self.violated("one_gang_per_device", now, facts);
        }
        self.computes[worker] = Some((attempt, rank));
    }

    pub(crate) fn rank_ended(&mut self, worker: usize) {
        self.computes[worker] = None;
    }

    /// A checkpoint's file was removed; `newest` is the newest step that the database has a row of.
    pub(crate) fn file_removed(&mut self, now: Ms, job: usize, step: u32, newest: Option<u32>) {
        if newest == Some(step) && !self.ended[job] {
            let facts = format!("the files of job{job}'s newest committed checkpoint, step {step}, were removed");
            self.violated("committed_is_durable", now, facts);
        }
    }
}

#[derive(Default)]
pub(crate) struct Stops {
    /// The number of outside changes.
    pub(super) changes: u64,
    /// The number of changes when the decision was made that is being carried out.
    pub(crate) decided_at: u64,
    pub(super) rooms: Vec<Room>,
    pub(super) growths: Vec<Growth>,
}

pub(super) struct Room {
    pub(super) job: usize,
    pub(super) victim: AttemptId,
    pub(super) until: Ms,
    pub(super) changes: u64,
}

pub(super) struct Growth {
    pub(super) job: usize,
    pub(super) size: usize,
    pub(super) changes: u64,
    /// Workers that its job avoided then: if one is no longer avoided, the job may start on fewer workers.
    pub(super) avoided: Vec<uuid::Uuid>,
}

impl Stops {
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }
}
