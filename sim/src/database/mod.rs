//! Postgres as the coordinators use it: rows, the guards of the SQL statements, whole transactions.
//!
//! Every function that changes something is one transaction of the server's `store`, by the database's clock. It
//! appends what it committed to [`Database::writes`], for the invariants.

mod conclude;
mod evidence;
mod ids;
mod leases;
mod reads;
mod transitions;

use std::collections::BTreeMap;

use tandem_domain::{
    lease::Expiry,
    spec::Workers,
    state::{AttemptState, JobState, RankOutcome},
    timing::Timing,
};

pub(crate) use ids::{attempt_id, job_id, moment, number, worker_id};

use crate::{
    broken::Broken,
    event::{AttemptId, RankEvent},
    plan::{Ms, Plan, ms},
};

pub(crate) struct JobRow {
    pub(crate) name: String,
    pub(crate) priority: i32,
    pub(crate) workers: Workers,
    pub(crate) shards: u32,
    pub(crate) inputs: Vec<usize>,
    /// `None` before it is submitted.
    pub(crate) state: Option<JobState>,
    pub(crate) queued_at: Option<Ms>,
    pub(crate) not_before: Option<Ms>,
    pub(crate) made_room_at: Option<String>,
    pub(crate) metrics: Vec<bool>,
    /// By step.
    pub(crate) checkpoints: BTreeMap<u32, CheckpointRow>,
    pub(crate) result: Option<u64>,
    pub(crate) left: Option<Left>,
    pub(crate) artifact: Option<ArtifactRow>,
    pub(crate) reason: String,
    /// Its spec makes any rank crash.
    pub(crate) crashes: bool,
    pub(crate) estimate: Option<Ms>,
}

/// How long a job still takes, as its rank 0 last reported.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    pub(crate) ms: Ms,
    pub(crate) at: Ms,
}

pub(crate) struct CheckpointRow {
    pub(crate) hash: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) at: Ms,
}

/// The artifact that a rank reported.
#[derive(Clone, Copy)]
pub(crate) struct ArtifactRow {
    pub(crate) attempt: AttemptId,
    pub(crate) rank: usize,
}

pub(crate) struct AttemptRow {
    pub(crate) job: usize,
    pub(crate) state: AttemptState,
    pub(crate) leases: Vec<LeaseRow>,
    pub(crate) has_rendezvous: bool,
    pub(crate) assigned_at: Ms,
    pub(crate) training_at: Option<Ms>,
    pub(crate) stop_asked_at: Option<Ms>,
    /// It was asked to stop and ended without a checkpoint.
    pub(crate) saved_nothing: bool,
}

pub(crate) struct LeaseRow {
    pub(crate) worker: usize,
    pub(crate) expires_at: Ms,
    pub(crate) dispatched: bool,
    pub(crate) last_sequence: u64,
    pub(crate) outcome: Option<RankOutcome>,
    pub(crate) released_at: Option<Ms>,
    pub(crate) progress_at: Option<Ms>,
    pub(crate) slowest: Option<Ms>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    /// Never seen, or left.
    Gone,
    Ready,
    Draining,
    Lost,
}

pub(crate) struct WorkerRow {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) host: &'static str,
    pub(crate) device: String,
    pub(crate) state: WorkerState,
    pub(crate) session: Option<usize>,
    pub(crate) last_seen: Ms,
    pub(crate) quarantine: Option<Quarantine>,
    /// When somebody last released it.
    pub(crate) released_at: Option<Ms>,
}

pub(crate) struct Quarantine {
    pub(crate) until: Ms,
    pub(crate) reason: String,
}

#[derive(Clone, Copy)]
pub(crate) struct Leader {
    pub(crate) holder: (usize, u32),
    pub(crate) term: u64,
    pub(crate) expires_at: Ms,
}

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Claimed { attempt: AttemptId, term: u64 },
    // A rank's lease is over because it ran out.
    TakenOver { attempt: AttemptId, rank: usize, expiry: Expiry },
    Released { attempt: AttemptId, rank: usize },
    // All ranks succeeded, and what they made is read back; a rank's artifact was found missing or damaged.
    Verifying { attempt: AttemptId },
    Blamed { attempt: AttemptId, rank: usize },
    AttemptEnded { attempt: AttemptId },
    StopAsked { attempt: AttemptId, room_for: Option<usize>, term: u64 },
    // An event of a rank, under its fence; a metric only if its row was new.
    Stored { attempt: AttemptId, rank: usize, sequence: u64, event: RankEvent, new_row: bool },
    JobMoved { job: usize, to: JobState },
    Quarantined { worker: usize },
}

pub(crate) struct Database {
    pub(crate) now: Ms,
    pub(crate) is_up: bool,
    /// It answers nothing: since when and until when.
    pub(crate) stall: Option<(Ms, Ms)>,
    /// The most jobs of each size of gang that a pass reads.
    pub(crate) window: usize,
    pub(crate) across_hosts: bool,
    pub(crate) timing: Timing,
    pub(crate) broken: Option<Broken>,
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) workers: Vec<WorkerRow>,
    pub(crate) leader: Option<Leader>,
    pub(crate) leased: Vec<AttemptId>,
    pub(crate) writes: Vec<Write>,
    /// A transaction sent NOTIFY.
    pub(crate) notifies: bool,
}

impl Database {
    pub(crate) fn new(plan: &Plan, broken: Option<Broken>) -> Self {
        let job = |(number, job): (usize, &crate::plan::JobPlan)| JobRow {
            name: format!("job{number}"),
            priority: job.priority,
            workers: job.workers,
            shards: job.shards,
            inputs: job.inputs.clone(),
            state: None,
            queued_at: None,
            not_before: None,
            made_room_at: None,
            metrics: vec![false; job.steps as usize + 1],
            checkpoints: BTreeMap::new(),
            result: None,
            artifact: None,
            left: None,
            reason: String::new(),
            crashes: job.crash_at.is_some(),
            estimate: job.is_estimated.then(|| job.longest()),
        };
        let worker = |(number, device): (usize, &crate::plan::Device)| WorkerRow {
            name: format!("w{number}"),
            kind: device.kind,
            host: device.host,
            device: format!("device{}", device.number),
            state: WorkerState::Gone,
            session: None,
            last_seen: 0,
            quarantine: None,
            released_at: None,
        };
        Self {
            now: 0,
            is_up: true,
            stall: None,
            window: plan.window,
            across_hosts: plan.across_hosts,
            timing: plan.timing,
            broken,
            jobs: plan.jobs.iter().enumerate().map(job).collect(),
            attempts: Vec::new(),
            workers: plan.devices.iter().enumerate().map(worker).collect(),
            leader: None,
            leased: Vec::new(),
            writes: Vec::new(),
            notifies: false,
        }
    }

    pub(crate) fn is_broken(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    pub(crate) fn lease(&self) -> Ms {
        // Longer than a heartbeat and its write take, or nothing would run at all.
        if self.is_broken(Broken::ShortLease) { ms(self.timing.self_end) / 2 } else { ms(self.timing.lease) }
    }

    pub(crate) fn lease_of(&self, worker: usize) -> Option<(AttemptId, usize)> {
        self.leased.iter().find_map(|&attempt| {
            let rank = self.attempts[attempt]
                .leases
                .iter()
                .position(|lease| lease.worker == worker && lease.outcome.is_none())?;
            Some((attempt, rank))
        })
    }

    /// The live lease of a device, whichever of its workers holds it.
    pub(crate) fn lease_of_device(&self, worker: usize) -> Option<(AttemptId, usize)> {
        let device = &self.workers[worker].device;
        (0..self.workers.len()).filter(|&other| self.workers[other].device == *device).find_map(|w| self.lease_of(w))
    }

    pub(crate) fn live_attempt(&self, job: usize) -> Option<AttemptId> {
        let is_live = |attempt: &AttemptRow| attempt.job == job && !attempt.state.is_ended();
        self.attempts.iter().rposition(is_live)
    }
}
