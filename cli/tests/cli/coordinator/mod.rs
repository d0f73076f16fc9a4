//! A coordinator that answers from a script and remembers what it was asked.

mod house;
mod jobs;
mod results;

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use futures::Stream;
use tandem_proto::convert::Timestamp;
use tandem_proto::v1::{
    self, CancelRequest, CancelResponse, FetchRequest, FetchResponse, Job, JobState, ListRequest, ListResponse,
    LogLine, LogsRequest, MetricsRequest, MetricsResponse, QueryRequest, QueryResponse, Series, ShowRequest,
    ShowResponse, StatusRequest, StatusResponse, SubmitRequest, SubmitResponse, WatchRequest, WatchResponse,
    data_server::{Data, DataServer},
    devices_server::{Devices, DevicesServer},
    fleet_server::{Fleet, FleetServer},
    jobs_server::{Jobs, JobsServer},
    keeping_server::KeepingServer,
    notify_server::NotifyServer,
    people_server::PeopleServer,
    policies_server::{Policies, PoliciesServer},
    put_request::Message,
    put_response,
    results_server::{Results, ResultsServer},
};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, UnixListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::Router},
};

pub(crate) type Answer<T> = Result<Response<T>, Status>;
type AnswerStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What it says and what it heard.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) submits: Vec<SubmitRequest>,
    pub(crate) authorizations: Vec<Option<String>>,
    /// One per submit; then a plain success.
    pub(crate) submit_answers: VecDeque<Result<SubmitResponse, Status>>,
    /// One stream per watch; a stream that ends before `done` is a coordinator that went away. Without one left it
    /// never says anything.
    pub(crate) watches: VecDeque<Vec<WatchResponse>>,
    pub(crate) watched: usize,
    pub(crate) jobs: Vec<Job>,
    pub(crate) shown: ShowResponse,
    pub(crate) showed: usize,
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Streams of log lines and of bytes break after what they have.
    pub(crate) breaks: bool,
    pub(crate) cancels: Vec<CancelRequest>,
    /// Requests to change something, as they print themselves, and what is said of all of them.
    pub(crate) asked: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) why: v1::WhyResponse,
    pub(crate) policies: Vec<v1::Policy>,
    /// On a worker that is held or drained.
    pub(crate) running: String,
    pub(crate) shared: Vec<v1::SharedJob>,
    pub(crate) older: Option<v1::Submission>,
    pub(crate) namesakes: Vec<v1::Submission>,
    /// There are jobs, but none of them has results.
    pub(crate) has_no_results: bool,
    /// By target, and by an artifact's id: said instead of `shown` and `chunks`.
    pub(crate) shown_of: HashMap<String, ShowResponse>,
    pub(crate) bytes_of: HashMap<String, Vec<u8>>,
    /// What was asked in SQL's words, and what is answered.
    pub(crate) questions: Vec<v1::AskRequest>,
    /// By the cursor: `c1` asks for the second.
    pub(crate) answers: Vec<v1::AskResponse>,
    /// Views that are there.
    pub(crate) views: Vec<v1::View>,
    pub(crate) lists: Vec<ListRequest>,
    pub(crate) list_more: bool,
    /// What was fetched: the artifact's id, or step and file of a checkpoint; and from which byte on.
    pub(crate) fetches: Vec<(String, u64)>,
    pub(crate) series: Vec<Series>,
    /// Jobs have none if it is not set.
    pub(crate) receipt: Option<v1::ReceiptResponse>,
    pub(crate) receipts_asked: Vec<v1::ReceiptRequest>,
    /// By job, and by what is listed: said instead of `receipt` and `jobs`.
    pub(crate) receipt_of: HashMap<String, v1::ReceiptResponse>,
    pub(crate) listed_of: HashMap<String, Vec<Job>>,
    /// One line if there are none.
    pub(crate) logs: Vec<LogLine>,
    pub(crate) status: StatusResponse,
    pub(crate) release: Option<v1::ReleaseResponse>,
    pub(crate) devices: v1::DevicesResponse,
    pub(crate) usage: Vec<v1::Usage>,
    pub(crate) usage_since: Option<Timestamp>,
    pub(crate) policy_files: Vec<String>,
    pub(crate) people: Vec<v1::Person>,
    pub(crate) set_people: Vec<v1::SetPersonRequest>,
    pub(crate) tokens: Vec<v1::Token>,
    pub(crate) new_tokens: Vec<v1::NewTokenRequest>,
    pub(crate) unknown_token: bool,
    /// Who sends this header, if not ann.
    pub(crate) names: HashMap<String, String>,
    /// Tokens are good for nothing but to be exchanged.
    pub(crate) once_token: bool,
    pub(crate) audit: Vec<v1::AuditEntry>,
    pub(crate) stored: Vec<v1::StoredDataset>,
    /// What is said to a request to delete; and to each step of cleaning, the next one.
    pub(crate) deleted: v1::DeleteResponse,
    pub(crate) cleaned: VecDeque<v1::CleanResponse>,
    pub(crate) in_store: v1::StoredResponse,
    pub(crate) targets: Vec<v1::NotifyTarget>,
    pub(crate) tested: v1::TestNotifyResponse,
    pub(crate) experiments: Vec<v1::ExperimentSummary>,
    pub(crate) experiments_asked: Vec<v1::ExperimentsRequest>,
    /// Lists and the status are refused, as by a coordinator that shuts down.
    pub(crate) away: bool,
    /// How often it was asked whether the code of a browser was used.
    pub(crate) web_code_asked: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Coordinator {
    script: Arc<Mutex<Script>>,
}

impl Coordinator {
    /// Its address, and its script to look into.
    pub(crate) async fn start(script: Script) -> (String, Arc<Mutex<Script>>) {
        let coordinator = Self::with(script);
        let script = coordinator.script.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(coordinator.router().serve_with_incoming(TcpListenerStream::new(listener)));
        (address, script)
    }

    pub(crate) fn with(script: Script) -> Self {
        Self { script: Arc::new(Mutex::new(script)) }
    }

    /// The same on a socket.
    pub(crate) fn serve_socket(&self, path: &Path) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(self.router().serve_with_incoming(UnixListenerStream::new(listener)));
    }

    fn router(&self) -> Router {
        self.router_on(Server::builder())
    }

    pub(crate) fn router_on(&self, mut server: Server) -> Router {
        server
            .add_service(JobsServer::new(self.clone()))
            .add_service(ResultsServer::new(self.clone()))
            .add_service(DataServer::new(self.clone()))
            .add_service(FleetServer::new(self.clone()))
            .add_service(DevicesServer::new(self.clone()))
            .add_service(PeopleServer::new(self.clone()))
            .add_service(PoliciesServer::new(self.clone()))
            .add_service(NotifyServer::new(self.clone()))
            .add_service(KeepingServer::new(self.clone()))
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn changed(&self, request: impl std::fmt::Debug) -> Answer<v1::ChangedResponse> {
        let mut script = self.script();
        script.asked.push(format!("{request:?}"));
        Ok(Response::new(v1::ChangedResponse { changed: script.jobs.clone(), notes: script.notes.clone() }))
    }

    /// A stream that breaks off where it would end.
    fn broken_stream<T: Send + 'static>(items: Vec<T>) -> Response<AnswerStream<T>> {
        let end = std::iter::once(Err(Status::unavailable("going down")));
        Response::new(Box::pin(futures::stream::iter(items.into_iter().map(Ok).chain(end))))
    }

    fn stream<T: Send + 'static>(items: Vec<T>) -> Response<AnswerStream<T>> {
        Response::new(Box::pin(futures::stream::iter(items.into_iter().map(Ok))))
    }
}

pub(crate) fn job(name: &str, state: JobState) -> Job {
    Job {
        id: format!("{name}-0000-0000"),
        experiment_id: "e-1".to_owned(),
        experiment_name: "quickstart".to_owned(),
        name: name.to_owned(),
        state: state.into(),
        ..Job::default()
    }
}
