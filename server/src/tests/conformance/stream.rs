//! A worker's stream, at a coordinator of its own.

use std::sync::Arc;

use tandem_proto::v1::{CoordinatorMessage, coordinator_message::Message};
use tokio::sync::mpsc;
use tonic::Status;

use crate::{
    dispatch::{Dispatcher, sessions::Session},
    notifier::Notifier,
    store::{Store, leases::ReportedRank, workers::Registration},
    store_folder::StoreFolder,
};

pub(super) struct Stream {
    dispatcher: Dispatcher,
    session: Arc<Session>,
    sent: mpsc::Receiver<Result<CoordinatorMessage, Status>>,
}

impl Stream {
    /// Registers the worker; also returns whether its rank has a lease.
    pub(super) async fn open(store: &Store, worker: &Registration, running: Vec<ReportedRank>) -> (Self, bool) {
        let folder = StoreFolder { root: "/srv/store".into(), id: String::new() };
        let dispatcher = Dispatcher::new(store.clone(), Arc::new(Notifier::new()), folder);
        let (outbound, sent) = mpsc::channel(8);
        let session = Arc::new(Session::new(worker.id, worker.name.clone(), running, outbound));
        let registered = dispatcher.open(worker, &session).await.unwrap();
        dispatcher.sessions.add(session.clone());
        (Self { dispatcher, session, sent }, registered.stale_attempt_ids.is_empty())
    }

    /// Stores a heartbeat; returns whether it is acknowledged.
    pub(super) async fn heartbeat(&mut self, running: Vec<ReportedRank>) -> bool {
        self.session.receive(1, running, None);
        self.dispatcher.store_heartbeats().await.unwrap();
        let is_acknowledgement =
            |message: CoordinatorMessage| matches!(message.message, Some(Message::HeartbeatAck(_)));
        self.sent.try_recv().is_ok_and(|message| message.is_ok_and(is_acknowledgement))
    }

    pub(super) async fn drain(&self) {
        self.dispatcher.drain(&self.session).await.unwrap();
    }

    pub(super) async fn close(&self) {
        self.dispatcher.close(&self.session).await.unwrap();
    }
}
