//! What is open in this process: streams, requests, reports that wait, connections to Postgres.

use std::sync::Arc;

use super::gauges::Open;
use crate::{access::Gate, dispatch::Dispatcher, report::collect::Collector, rpc::Backlog, store::Store};

/// Where it is looked.
pub(crate) struct Sight {
    pub(crate) store: Store,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) reports: Collector,
    pub(crate) backlog: Backlog,
}

impl Sight {
    pub(super) fn look(&self) -> Open {
        let sessions = self.dispatcher.sessions.all();
        let (streams, calls) = self.gate.open_requests();
        Open {
            sessions: sessions.len(),
            oldest_heartbeat: sessions.iter().map(|session| session.silent_for()).max(),
            streams,
            calls,
            waiting_reports: self.reports.waiting(),
            waiting_bytes: self.backlog.taken(),
            pools: self.store.connections(),
        }
    }
}
