//! The requests under way, each with who makes it: what is revoked ends them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tandem_domain::access::{Denial, Identity, rules::Rule, session::SecretHash};
use tokio_util::sync::CancellationToken;

/// Whose standing a request depends on.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Nobody,
    /// By its token.
    Token(Identity),
    /// By the socket: the account of the box.
    Account(u32),
    /// By the cookie of a browser.
    Session(SecretHash),
}

#[derive(Clone)]
pub(super) struct Request {
    pub(super) caller: Caller,
    pub(super) rule: &'static Rule,
    pub(super) ending: Arc<Ending>,
}

#[derive(Default)]
pub(super) struct OpenRequests {
    next: AtomicU64,
    requests: Mutex<HashMap<u64, Request>>,
}

/// How a request is ended from outside.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) ended: CancellationToken,
    reason: OnceLock<Denial>,
}

impl Ending {
    pub(super) fn reason(&self) -> Denial {
        self.reason.get().cloned().unwrap_or(Denial::Unknown)
    }

    pub(super) fn end(&self, reason: Denial) {
        // The first reason is the one that ended it.
        let _ = self.reason.set(reason);
        self.ended.cancel();
    }
}

impl OpenRequests {
    /// Lists a request until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, caller: Caller, rule: &'static Rule) -> Arc<Held> {
        let (number, ending) = (self.next.fetch_add(1, Relaxed), Arc::new(Ending::default()));
        self.lock().insert(number, Request { caller, rule, ending: ending.clone() });
        Arc::new(Held { number, ending, requests: self.clone() })
    }

    pub(super) fn all(&self) -> Vec<Request> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on the list.
pub(super) struct Held {
    number: u64,
    pub(super) ending: Arc<Ending>,
    requests: Arc<OpenRequests>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.requests.lock().remove(&self.number);
    }
}
