//! Events, by time and, at equal times, in the order in which they were scheduled.

use std::{cmp::Reverse, collections::BinaryHeap};

use tandem_domain::{read_back::Reading, state::RankOutcome};

use crate::plan::Ms;

/// The number of an attempt in the database's table. It stands for the id and the fence, which are as unique.
pub(crate) type AttemptId = usize;

/// The process that an event is for. A frozen one handles it when it goes on; a restarted one never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Coordinator(usize),
    Worker(usize),
}

/// What coordinators and workers have in common as processes: they start, freeze, and are killed.
#[derive(Default)]
pub(crate) struct Lifetime {
    pub(crate) is_up: bool,
    pub(crate) is_frozen: bool,
    /// Grows with each start: an event for an earlier epoch never arrives.
    pub(crate) epoch: u32,
    /// Events that came while it was frozen.
    pub(crate) deferred: Vec<Event>,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Submit(usize),
    Cancel(usize),
    Fault(Fault),
    // The gang of an attempt finishes a step, or has made no progress since; `serial` is that of the gang's timer.
    Step { attempt: AttemptId, serial: u32 },
    Stalled { attempt: AttemptId, serial: u32 },
    // A rank has loaded its data, or has waited too long for the others.
    Loaded { attempt: AttemptId, rank: usize },
    RendezvousTimeout { attempt: AttemptId, rank: usize },
    // A rank that could not be killed can be again.
    Unstuck { attempt: AttemptId, rank: usize },
    Quiet,
    To { process: Process, epoch: u32, what: ProcessEvent },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Inject one, and schedule the next.
    Next,
    StartWorker(usize),
    StartCoordinator(usize),
    Thaw(Process),
    ThawRank(AttemptId, usize),
    Reach(usize),
    /// Freeze a coordinator before it next stores heartbeats, for this long.
    FreezeAtWrite(usize, Ms),
    DatabaseUp,
    /// A worker that was asked to leave has left.
    Left(usize),
    /// A person releases quarantined workers.
    Operator,
}

#[derive(Clone, Debug)]
pub(crate) enum ProcessEvent {
    // Of coordinators.
    Pass,
    Execute,
    Renew,
    Dispatch,
    /// Look for attempts to read back; one was read.
    Verify,
    ReadBack {
        attempt: AttemptId,
        began: Ms,
        reading: Reading,
    },
    /// The database answers again, or what waits for it is given up.
    Answered,
    // Of workers.
    Dial,
    DialTimeout {
        connection: usize,
    },
    Beat,
    Flush,
    KillDue {
        attempt: AttemptId,
    },
    // The worker checks whether its rank has made progress.
    Watch {
        attempt: AttemptId,
    },
    // A rank of the worker printed a line, or has exited.
    RankOutput {
        attempt: AttemptId,
        output: RankOutput,
    },
    // Of both.
    Receive {
        connection: usize,
        message: Message,
    },
    Lost {
        connection: usize,
    },
}

/// A line on a rank's stdout, or its exit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RankOutput {
    Listening,
    Event(RankEvent),
    Exited(RankOutcome),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RankEvent {
    Started,
    Training,
    Metric { step: u32, value: u64 },
    Checkpoint { step: u32, hash: u64 },
    Artifact { hash: u64 },
    Result { hash: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) attempt: AttemptId,
    pub(crate) rank: usize,
    pub(crate) idle: Ms,
    pub(crate) slowest: Option<Ms>,
}

#[derive(Clone, Debug)]
pub(crate) enum Message {
    // From a worker.
    Register { running: Option<Running> },
    Heartbeat { sequence: u64, running: Option<Running> },
    Listening { attempt: AttemptId },
    Report { attempt: AttemptId, rank: usize, events: Vec<(u64, RankEvent)> },
    RankEnded { attempt: AttemptId, rank: usize, outcome: RankOutcome },
    Drain,
    // From a coordinator.
    Registered { stale: Option<AttemptId> },
    HeartbeatAck { sequence: u64 },
    Assignment { attempt: AttemptId, rank: usize, checkpoints: Vec<(u32, u64)> },
    Rendezvous { attempt: AttemptId },
    ReportAck { attempt: AttemptId, sequence: u64 },
    Stop { attempt: AttemptId, graceful: bool },
}

#[derive(Debug)]
struct Due {
    at: Ms,
    number: i64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Default)]
pub(crate) struct Agenda {
    due: BinaryHeap<Reverse<Due>>,
    number: i64,
    before: i64,
}

impl Agenda {
    pub(crate) fn at(&mut self, at: Ms, event: Event) {
        self.number += 1;
        self.due.push(Reverse(Due { at, number: self.number, event }));
    }

    /// Schedules these before all other events of that time, in this order.
    pub(crate) fn first(&mut self, at: Ms, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.before -= 1;
            self.due.push(Reverse(Due { at, number: self.before, event }));
        }
    }

    pub(crate) fn next(&mut self) -> Option<(Ms, Event)> {
        self.due.pop().map(|Reverse(due)| (due.at, due.event))
    }
}
