//! The open streams of this process: which worker each belongs to, its last heartbeat, and what was sent on it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::instructions::Instruction;
use crate::store::leases::{LeaseHolder, ReportedRank};

pub(crate) type Outbound = mpsc::Sender<Result<v1::CoordinatorMessage, Status>>;

/// One stream of one worker.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) worker: Uuid,
    pub(crate) name: String,
    /// Why no worker of its version gets jobs.
    pub(crate) refused: Option<String>,
    /// Of which house its worker's state folder is; empty if it does not know.
    pub(crate) house: String,
    /// One check at a time of whether it sees the store.
    pub(crate) checking: Arc<Semaphore>,
    /// Cancelled when the worker has opened another stream.
    pub(crate) superseded: CancellationToken,
    outbound: Outbound,
    last_heartbeat: Mutex<LastHeartbeat>,
    /// What is stored of its device.
    condition: Mutex<Condition>,
    /// What was sent on this stream, by attempt.
    sent: Mutex<HashSet<(Uuid, Instruction)>>,
}

/// What was stored last of the device of a stream's worker.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// Empty after the registration, as in the database.
    pub(crate) withheld: String,
    /// Why it ails, and when that was stored.
    pub(crate) ailment: Option<(String, Instant)>,
}

/// A heartbeat; the registration counts as the first.
#[derive(Clone, Debug)]
pub(super) struct Heartbeat {
    pub(super) received_at: Instant,
    pub(super) sequence: u64,
    pub(super) running: Vec<ReportedRank>,
    pub(super) facts: Option<serde_json::Value>,
}

/// The newest heartbeat.
struct LastHeartbeat {
    heartbeat: Heartbeat,
    /// Ranks in it that the worker has said to have ended.
    ended: Vec<LeaseHolder>,
    is_stored: bool,
}

impl Session {
    pub(crate) fn new(worker: Uuid, name: String, running: Vec<ReportedRank>, outbound: Outbound) -> Self {
        let heartbeat = Heartbeat { received_at: Instant::now(), sequence: 0, running, facts: None };
        let last_heartbeat = LastHeartbeat { heartbeat, ended: Vec::new(), is_stored: false };
        Self {
            id: Uuid::new_v4(),
            worker,
            name,
            refused: None,
            house: String::new(),
            checking: Arc::new(Semaphore::new(1)),
            superseded: CancellationToken::new(),
            outbound,
            last_heartbeat: Mutex::new(last_heartbeat),
            condition: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    /// The ranks that the worker reported with its last heartbeat.
    pub(crate) fn running(&self) -> Vec<ReportedRank> {
        lock(&self.last_heartbeat).heartbeat.running.clone()
    }

    /// Since the last heartbeat.
    pub(crate) fn silent_for(&self) -> Duration {
        lock(&self.last_heartbeat).heartbeat.received_at.elapsed()
    }

    /// A heartbeat came. It is acknowledged once the leases that it renews are stored.
    pub(crate) fn receive(&self, sequence: u64, running: Vec<ReportedRank>, facts: Option<serde_json::Value>) {
        let heartbeat = Heartbeat { received_at: Instant::now(), sequence, running, facts };
        let mut last = lock(&self.last_heartbeat);
        let mut ended = std::mem::take(&mut last.ended);
        ended.retain(|holder| heartbeat.running.iter().any(|rank| is_of(rank, holder)));
        *last = LastHeartbeat { heartbeat, ended, is_stored: false };
    }

    /// The worker says that a rank has ended. A heartbeat that lists it may have been sent before and is still
    /// acknowledged, because the rank relies on no lease any more: the worker must not take its coordinator for deaf.
    pub(crate) fn end(&self, holder: LeaseHolder) {
        let mut last = lock(&self.last_heartbeat);
        if last.heartbeat.running.iter().any(|rank| is_of(rank, &holder)) && !last.ended.contains(&holder) {
            last.ended.push(holder);
        }
    }

    pub(super) fn has_ended(&self, rank: &ReportedRank) -> bool {
        lock(&self.last_heartbeat).ended.iter().any(|holder| is_of(rank, holder))
    }

    pub(super) fn newest(&self) -> Heartbeat {
        lock(&self.last_heartbeat).heartbeat.clone()
    }

    /// This heartbeat was stored; `false` if it was before, too.
    pub(super) fn set_stored(&self, heartbeat: &Heartbeat) -> bool {
        let mut last = lock(&self.last_heartbeat);
        // A newer one may have come meanwhile, which is not stored yet.
        let is_newest = last.heartbeat.received_at == heartbeat.received_at;
        !is_newest || !std::mem::replace(&mut last.is_stored, true)
    }

    pub(crate) fn condition(&self) -> MutexGuard<'_, Condition> {
        lock(&self.condition)
    }

    /// Sends a message; `false` if the worker has gone or reads too slowly, in which case it is dropped.
    pub(crate) fn send(&self, message: Message) -> bool {
        self.outbound.try_send(Ok(v1::CoordinatorMessage { message: Some(message) })).is_ok()
    }

    /// Sends `message` unless the same instruction was sent on this stream before.
    pub(super) fn send_once(&self, attempt: Uuid, instruction: Instruction, message: Message) {
        if !self.was_sent(attempt, instruction) && self.send(message) {
            self.mark_sent(attempt, instruction);
        }
    }

    /// Another message carried the instruction.
    pub(super) fn mark_sent(&self, attempt: Uuid, instruction: Instruction) {
        lock(&self.sent).insert((attempt, instruction));
    }

    pub(super) fn was_sent(&self, attempt: Uuid, instruction: Instruction) -> bool {
        lock(&self.sent).contains(&(attempt, instruction))
    }
}

fn is_of(rank: &ReportedRank, holder: &LeaseHolder) -> bool {
    *holder == LeaseHolder { worker: rank.worker, attempt: rank.attempt, fence: rank.fence, rank: rank.rank }
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Uuid, Arc<Session>>>);

impl Sessions {
    /// Makes this the stream of its worker, in place of an older one that is still half open.
    pub(crate) fn add(&self, session: Arc<Session>) {
        let mut sessions = lock(&self.0);
        for older in sessions.extract_if(|_, other| other.worker == session.worker) {
            older.1.superseded.cancel();
        }
        sessions.insert(session.id, session);
    }

    pub(crate) fn remove(&self, id: Uuid) {
        lock(&self.0).remove(&id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        lock(&self.0).values().cloned().collect()
    }
}

/// The data are plain: they are whole even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
