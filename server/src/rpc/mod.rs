//! The gRPC services: parse, call, convert. No decision is made here.

mod admission;
mod backlog;
mod data;
mod devices;
mod fleet;
mod jobs;
mod keeping;
mod notify;
mod people;
mod policies;
mod results;
mod workers;

use std::{pin::Pin, sync::Arc};

use chrono::{DateTime, Utc};
use tandem_domain::{
    access::{Identity, identity::Person},
    plan::FILE_BYTES_MAX,
};
use tandem_proto::{
    status::Code,
    v1::{
        DESCRIPTOR_SET, data_server::DataServer, devices_server::DevicesServer, fleet_server::FleetServer,
        jobs_server::JobsServer, keeping_server::KeepingServer, notify_server::NotifyServer,
        people_server::PeopleServer, policies_server::PoliciesServer, results_server::ResultsServer,
        workers_server::WorkersServer,
    },
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    Request, Status,
    service::{Routes, RoutesBuilder},
};

use crate::{
    access::{Gate, identity},
    dispatch::Dispatcher,
    error::Error,
    notifier::Notifier,
    query::watch::Watches,
    receipts::Receipts,
    report::collect::Collector,
    samples::Samples,
    sharing::outlook::Outlooks,
    store::{Store, audit::Entry},
    telling::courier::Courier,
};
pub(crate) use admission::Admission;
pub(crate) use backlog::Backlog;

/// The largest request of a person: names and ids.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// One with an experiment file, which is refused with a reason up to twice the size of a right one.
pub(crate) const FILE_REQUEST_BYTES_MAX: usize = 2 * FILE_BYTES_MAX + REQUEST_BYTES_MAX;
/// The largest message of one that puts a data set: a piece of a MiB.
const PIECE_BYTES_MAX: usize = 1024 * 1024 + REQUEST_BYTES_MAX;
/// The largest message of a worker. Its batches are smaller: one that is larger would be sent again for ever.
const WORKER_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) reports: Collector,
    pub(crate) samples: Arc<Samples>,
    pub(crate) watches: Watches,
    pub(crate) outlooks: Outlooks,
    pub(crate) admission: Admission,
    pub(crate) backlog: Backlog,
    pub(crate) gate: Arc<Gate>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) receipts: Arc<Receipts>,
    /// Bytes of data sets that each person may keep.
    pub(crate) data_limit: u64,
    /// Where a browser on this box finds the page.
    pub(crate) page_address: String,
    pub(crate) started_at: DateTime<Utc>,
    /// Streams end when it is cancelled ...
    pub(crate) closing: CancellationToken,
    /// ... and are waited for here.
    pub(crate) streams: TaskTracker,
}

impl Api {
    /// All services, with reflection in both versions that clients speak. Health comes from outside.
    pub(crate) fn routes(self, mut builder: RoutesBuilder) -> Result<Routes, tonic_reflection::server::Error> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        builder
            .add_service(JobsServer::new(self.clone()).max_decoding_message_size(FILE_REQUEST_BYTES_MAX))
            .add_service(ResultsServer::new(self.clone()).max_decoding_message_size(FILE_REQUEST_BYTES_MAX))
            .add_service(DataServer::new(self.clone()).max_decoding_message_size(PIECE_BYTES_MAX))
            .add_service(FleetServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(DevicesServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(PeopleServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(PoliciesServer::new(self.clone()).max_decoding_message_size(2 * REQUEST_BYTES_MAX))
            .add_service(NotifyServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(KeepingServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(WorkersServer::new(self).max_decoding_message_size(WORKER_MESSAGE_BYTES_MAX))
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        Ok(builder.routes())
    }
}

/// The person who calls: the table of rules lets nobody else come this far.
fn caller<T>(request: &Request<T>) -> Result<Person, Status> {
    match identity(request)? {
        Identity::Person(person) => Ok(person),
        other => Err(Code::Forbidden.status(format!("this is for people, and {} is none", other.shown()))),
    }
}

impl Api {
    /// Has a refusal noted that a method itself decided on.
    fn noted<T>(&self, by: &Person, what: &str, object: &str, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Forbidden(reason)) = &outcome {
            tracing::info!(by = by.name, from = by.origin, what, object, "refused: {reason}");
            self.gate.refused(Entry { outcome: format!("refused: {reason}"), ..Entry::done(by, what, object, "") });
        }
        outcome
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Converts what a query sends into a stream of answers, which takes up its place as long as it is open.
fn answers<T: Send + 'static, E: Into<Status> + Send + 'static, A: 'static>(
    receiver: mpsc::Receiver<Result<T, E>>,
    place: OwnedSemaphorePermit,
    convert: impl Fn(T) -> Result<A, Status> + Send + 'static,
) -> Answers<A> {
    Box::pin(ReceiverStream::new(receiver).map(move |item| {
        let _held = &place;
        convert(item.map_err(Into::<Status>::into)?)
    }))
}
