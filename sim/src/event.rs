//! What may happen, and when: events in the order of their moments, those of one moment in the order of their making.

use std::{cmp::Reverse, collections::BinaryHeap};

use tandem_domain::state::RankOutcome;

use crate::plan::Ms;

/// Attempts are known by their number in the database's table; it stands for the id and the fence, which are as unique.
pub(crate) type AttemptId = usize;

/// Who something happens to. A frozen process takes it in when it goes on; one that was started anew never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Coordinator(usize),
    Worker(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Submit(usize),
    Cancel(usize),
    Fault(Fault),
    /// The gang of an attempt finishes a step; or has stood still since that many steps and recoveries.
    Step {
        attempt: AttemptId,
        serial: u32,
    },
    Stalled {
        attempt: AttemptId,
        serial: u32,
    },
    /// A rank has read its data, or waited too long for the others.
    Loaded {
        attempt: AttemptId,
        rank: usize,
    },
    MeetingOver {
        attempt: AttemptId,
        rank: usize,
    },
    /// A rank that could not be killed is at last.
    Unstuck {
        attempt: AttemptId,
        rank: usize,
    },
    Quiet,
    To {
        process: Process,
        epoch: u32,
        what: ProcessEvent,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Draw one, and the moment of the next.
    Next,
    StartWorker(usize),
    StartCoordinator(usize),
    Thaw(Process),
    ThawRank(AttemptId, usize),
    Reach(usize),
    /// When it is about to write heartbeats down the next time.
    FreezeAtWrite(usize, Ms),
    DatabaseUp,
    /// A worker that was asked to leave has left.
    Left(usize),
    /// A person looks after quarantined workers.
    Operator,
}

#[derive(Clone, Debug)]
pub(crate) enum ProcessEvent {
    /// Coordinators.
    Pass,
    Execute,
    Renew,
    Dispatch,
    /// Workers.
    Dial,
    DialTimeout {
        connection: usize,
    },
    Beat,
    Flush,
    KillDue {
        attempt: AttemptId,
    },
    /// The worker looks whether its rank has made progress.
    Watch {
        attempt: AttemptId,
    },
    /// A rank of the worker printed a line, or has exited.
    RankOutput {
        attempt: AttemptId,
        output: RankOutput,
    },
    /// Both.
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
    // A worker's.
    Register { running: Option<Running> },
    Heartbeat { sequence: u64, running: Option<Running> },
    Listens { attempt: AttemptId },
    Report { attempt: AttemptId, rank: usize, events: Vec<(u64, RankEvent)> },
    RankEnded { attempt: AttemptId, rank: usize, outcome: RankOutcome },
    Drain,
    // A coordinator's.
    Registered { stale: Option<AttemptId> },
    HeartbeatAck { sequence: u64 },
    Assignment { attempt: AttemptId, rank: usize, checkpoints: Vec<(u32, u64)> },
    Meet { attempt: AttemptId },
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

    /// Before all else of this moment, in this order.
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
