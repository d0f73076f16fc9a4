//! The open streams of this process: who is there, what it said last, and what it was told.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::next::Step;
use crate::store::leases::Held;

pub(crate) type Outbound = mpsc::Sender<Result<v1::CoordinatorMessage, Status>>;

/// One stream of one worker.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) worker: Uuid,
    pub(crate) name: String,
    /// Cancelled when another stream has become the worker's.
    pub(crate) superseded: CancellationToken,
    outbound: Outbound,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    running: Vec<Held>,
    facts: Option<serde_json::Value>,
    /// Last heartbeat that was not written down yet, and its number.
    heard_at: Option<Instant>,
    sequence: u64,
    told: HashSet<(Uuid, Step)>,
}

/// The last heartbeat.
pub(super) struct News {
    pub(super) heard_at: Instant,
    pub(super) sequence: u64,
    pub(super) running: Vec<Held>,
    pub(super) facts: Option<serde_json::Value>,
}

impl Session {
    pub(crate) fn new(worker: Uuid, name: String, running: Vec<Held>, outbound: Outbound) -> Self {
        let said = Mutex::new(Said { running, heard_at: Some(Instant::now()), ..Said::default() });
        Self { id: Uuid::new_v4(), worker, name, superseded: CancellationToken::new(), outbound, said }
    }

    /// What the worker says it runs.
    pub(crate) fn running(&self) -> Vec<Held> {
        self.said().running.clone()
    }

    /// A heartbeat came. It is acknowledged once the lease is written that it renews.
    pub(crate) fn hear(&self, sequence: u64, running: Vec<Held>, facts: Option<serde_json::Value>) {
        let mut said = self.said();
        said.running = running;
        said.facts = facts;
        said.sequence = sequence;
        said.heard_at = Some(Instant::now());
    }

    /// What to write down, if it was heard of since the last time.
    pub(super) fn take_news(&self) -> Option<News> {
        let mut said = self.said();
        let heard_at = said.heard_at.take()?;
        Some(News { heard_at, sequence: said.sequence, running: said.running.clone(), facts: said.facts.clone() })
    }

    /// Sends, or leaves it: the worker may have gone, or does not read. Whether it was sent.
    pub(crate) fn send(&self, message: Message) -> bool {
        self.outbound.try_send(Ok(v1::CoordinatorMessage { message: Some(message) })).is_ok()
    }

    /// Sends unless that was told on this stream.
    pub(super) fn tell_once(&self, attempt: Uuid, step: Step, message: Message) {
        if !self.was_told(attempt, step) && self.send(message) {
            self.count_as_told(attempt, step);
        }
    }

    /// It was told in another message.
    pub(super) fn count_as_told(&self, attempt: Uuid, step: Step) {
        self.said().told.insert((attempt, step));
    }

    pub(super) fn was_told(&self, attempt: Uuid, step: Step) -> bool {
        self.said().told.contains(&(attempt, step))
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // Plain data: whole even if somebody panicked beside it.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All streams of this process.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Uuid, Arc<Session>>>);

impl Sessions {
    /// From now on this is the stream of its worker; an older one, half open still, is not.
    pub(crate) fn add(&self, session: Arc<Session>) {
        let mut sessions = self.lock();
        for older in sessions.extract_if(|_, other| other.worker == session.worker) {
            older.1.superseded.cancel();
        }
        sessions.insert(session.id, session);
    }

    pub(crate) fn remove(&self, id: Uuid) {
        self.lock().remove(&id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
