//! What happens in a scenario, and what a store answers: plain data.
//!
//! Everything has a number: workers and jobs as the scenario lists them, attempts in the order in which they are claimed,
//! streams in the order in which they are opened, coordinators as one likes.

use std::time::Duration;

use tandem_domain::state::{AttemptState, JobState, RankOutcome};

#[derive(Clone, Debug)]
pub struct Worker {
    pub kind: &'static str,
    pub host: &'static str,
    /// Two workers may hold one device.
    pub device: usize,
}

#[derive(Clone, Debug)]
pub struct NewJob {
    pub priority: i32,
    /// The fewest and the most.
    pub workers: (u32, u32),
    pub inputs: &'static [usize],
    /// That a rank ends for an unknown reason is by its spec, and said alike everywhere; else by the device.
    pub crashes: bool,
}

/// Who says that it is a rank of an attempt. The number of the attempt stands for its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub worker: usize,
    pub attempt: usize,
    pub rank: usize,
}

/// A rank as its worker's heartbeat reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub attempt: usize,
    pub rank: usize,
    /// Since it last made progress.
    pub idle: Duration,
    pub slowest: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Started,
    Training,
    Metric { step: u32 },
    Checkpoint { step: u32, hash: u64 },
    Result(u64),
}

#[derive(Clone, Debug)]
pub enum Operation {
    /// Nothing else moves the clock.
    Pass(Duration),

    // Of people.
    /// One file with these jobs; its priority is that of the first.
    Submit(&'static [usize]),
    Cancel(usize),
    Release(usize),

    // Of workers.
    Open {
        worker: usize,
        runs: Option<Running>,
    },
    /// It is stored a moment later, by the coordinator's own clock: what it renews may end as much sooner.
    Heartbeat {
        stream: usize,
        runs: Option<Running>,
    },
    Drain {
        stream: usize,
    },
    Close {
        stream: usize,
    },
    Listen(Holder),
    /// Events with their numbers.
    Report(Holder, &'static [(u64, Event)]),
    End(Holder, RankOutcome),

    // Of coordinators. One acts under the last term that it had.
    Lead(usize),
    Claim {
        by: usize,
        job: usize,
        workers: &'static [usize],
    },
    Dispatch {
        attempt: usize,
        rank: usize,
    },
    AskStop {
        by: usize,
        attempts: &'static [usize],
        room_for: Option<usize>,
    },
    Reap {
        by: usize,
    },
    MarkLost {
        by: usize,
    },
    Unblock,

    // Questions.
    JobIs(usize),
    AttemptIs(usize),
    /// How long a queued job waits before it may run again.
    RetryDelay(usize),
    /// The queued jobs that the fleet can hold, as they start.
    QueueIs,
    /// Workers that a queued job was lost on and is not given to if there are others; those that cannot read its input.
    Avoids(usize),
    Unreadable(usize),
    FleetIs,
    /// What a worker is told.
    LeaseOf(usize),
    /// How a live attempt looks to whoever wants to stop it.
    GangIs(usize),
    CheckpointsOf(usize),
    MetricsOf(usize),
    ResultOf(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done,
    /// The worker has no right to that, or no longer.
    Stale,
    /// Not any more, or not yet: nothing has changed.
    Refused,
    Term(u64),
    /// How many ranks were ended.
    Ended(usize),
    Job(JobState),
    Attempt(AttemptState),
    Delay(Duration),
    Jobs(Vec<usize>),
    Workers(Vec<usize>),
    Fleet(Vec<Status>),
    Holds(Option<Lease>),
    Looks(Gang),
    /// Step and hash, the newest first.
    Checkpoints(Vec<(u32, u64)>),
    Steps(Vec<u32>),
    Result(Option<u64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Never seen, or left.
    Gone,
    Idle,
    Busy,
    Quarantined,
    Unfit,
    Draining,
    Lost,
}

/// A live lease, from its worker's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub attempt: usize,
    pub rank: usize,
    pub is_over: bool,
    pub has_reported: bool,
    pub has_rendezvous: bool,
    /// It is to stop at a checkpoint.
    pub stops: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gang {
    pub trains: bool,
    pub is_stopping: bool,
    pub has_saved: bool,
    pub wasted_stops: u32,
}
