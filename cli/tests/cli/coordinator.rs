//! A coordinator that answers from a script and remembers what it was asked.

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

#[tonic::async_trait]
impl Data for Coordinator {
    type PutStream = AnswerStream<v1::PutResponse>;

    async fn list(&self, _: Request<v1::ListDataRequest>) -> Answer<v1::ListDataResponse> {
        let datasets = self.script().stored.clone();
        Ok(Response::new(v1::ListDataResponse { datasets, ..Default::default() }))
    }

    /// Takes the first of the stored ones for what arrives.
    async fn put(&self, request: Request<Streaming<v1::PutRequest>>) -> Answer<Self::PutStream> {
        let mut pieces = request.into_inner();
        let Some(Message::Begin(begin)) = pieces.message().await?.and_then(|first| first.message) else {
            return Err(Status::invalid_argument("expected `begin`"));
        };
        let dataset = self.script().stored.first().cloned();
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let said = |message| Ok(v1::PutResponse { message: Some(message) });
            let _ = sender.send(said(put_response::Message::SendFrom(0))).await;
            let mut arrived = 0;
            while arrived < begin.bytes {
                let Ok(Some(v1::PutRequest { message: Some(Message::Chunk(chunk)) })) = pieces.message().await else {
                    return;
                };
                arrived += chunk.len() as u64;
            }
            let done = v1::PutDone { dataset, present: false };
            let _ = sender.send(said(put_response::Message::Done(done))).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn remove(&self, _: Request<v1::RemoveDataRequest>) -> Answer<v1::RemoveDataResponse> {
        let dataset = self.script().stored.first().cloned();
        Ok(Response::new(v1::RemoveDataResponse { dataset }))
    }
}

#[tonic::async_trait]
impl Jobs for Coordinator {
    type WatchStream = AnswerStream<WatchResponse>;
    type LogsStream = AnswerStream<LogLine>;

    async fn submit(&self, request: Request<SubmitRequest>) -> Answer<SubmitResponse> {
        let mut script = self.script.lock().unwrap();
        script.submits.push(request.into_inner());
        let success = || {
            let jobs =
                vec![v1::PlannedJob { job_id: "7f".to_owned(), name: "encoder".to_owned(), ..Default::default() }];
            Ok(SubmitResponse {
                experiment_id: "e-1".to_owned(),
                name: "quickstart".to_owned(),
                jobs,
                priority: 0,
                notes: Vec::new(),
            })
        };
        script.submit_answers.pop_front().unwrap_or_else(success).map(Response::new)
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let token = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let mut script = self.script.lock().unwrap();
        script.authorizations.push(token);
        let request = request.into_inner();
        let ListRequest { states, experiment, .. } = request.clone();
        script.lists.push(request);
        let is_asked = |job: &&Job| states.is_empty() || states.contains(&job.state);
        let jobs = match script.listed_of.get(&experiment) {
            Some(jobs) => jobs,
            None if script.listed_of.is_empty() => &script.jobs,
            None => return Err(Status::not_found(format!("no job or experiment `{experiment}`"))),
        };
        let jobs = jobs.iter().filter(is_asked).cloned().collect();
        Ok(Response::new(ListResponse { jobs, more: script.list_more, ..ListResponse::default() }))
    }

    async fn experiments(&self, request: Request<v1::ExperimentsRequest>) -> Answer<v1::ExperimentsResponse> {
        let mut script = self.script.lock().unwrap();
        script.experiments_asked.push(request.into_inner());
        Ok(Response::new(v1::ExperimentsResponse { experiments: script.experiments.clone() }))
    }

    async fn show(&self, request: Request<ShowRequest>) -> Answer<ShowResponse> {
        let target = request.into_inner().target;
        if target == "nobody" {
            return Err(Status::not_found("no job or experiment `nobody`"));
        }
        let mut script = self.script.lock().unwrap();
        script.showed += 1;
        if script.away {
            return Err(Status::unavailable("the coordinator is shutting down"));
        }
        Ok(Response::new(script.shown_of.get(&target).unwrap_or(&script.shown).clone()))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let mut script = self.script.lock().unwrap();
        script.watched += 1;
        Ok(match script.watches.pop_front() {
            Some(snapshots) => Self::stream(snapshots),
            None => Response::new(Box::pin(futures::stream::pending())),
        })
    }

    async fn logs(&self, _: Request<LogsRequest>) -> Answer<Self::LogsStream> {
        let (mut logs, breaks) = {
            let script = self.script.lock().unwrap();
            (script.logs.clone(), script.breaks)
        };
        if breaks {
            return Ok(Self::broken_stream(logs));
        }
        if logs.is_empty() {
            let (line, job_name) = ("hello".to_owned(), "encoder".to_owned());
            logs.push(LogLine { line, job_name, ..LogLine::default() });
        }
        Ok(Self::stream(logs))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Answer<CancelResponse> {
        let mut script = self.script.lock().unwrap();
        script.cancels.push(request.into_inner());
        Ok(Response::new(CancelResponse { cancelled: script.jobs.clone(), shared: script.shared.clone() }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn requeue(&self, request: Request<v1::RequeueRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn set_priority(&self, request: Request<v1::SetPriorityRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn why(&self, _: Request<v1::WhyRequest>) -> Answer<v1::WhyResponse> {
        Ok(Response::new(self.script().why.clone()))
    }
}

#[tonic::async_trait]
impl Results for Coordinator {
    type FetchStream = AnswerStream<FetchResponse>;

    async fn query(&self, _: Request<QueryRequest>) -> Answer<QueryResponse> {
        let script = self.script.lock().unwrap();
        let jobs = if script.has_no_results { Vec::new() } else { script.jobs.clone() };
        Ok(Response::new(QueryResponse { jobs, older: script.older.clone() }))
    }

    async fn ask(&self, request: Request<v1::AskRequest>) -> Answer<v1::AskResponse> {
        let mut script = self.script();
        let request = request.into_inner();
        let page = request.cursor.strip_prefix('c').map_or(0, |page| page.parse().unwrap());
        script.questions.push(request);
        Ok(Response::new(script.answers.get(page).cloned().unwrap_or_default()))
    }

    async fn save_view(&self, request: Request<v1::SaveViewRequest>) -> Answer<v1::SaveViewResponse> {
        let v1::SaveViewRequest { name, question } = request.into_inner();
        let view = v1::View { owner: "ada".to_owned(), name, question, made_at: None };
        let mut script = self.script();
        let before = script.views.len();
        script.views.retain(|one| one.name != view.name);
        let replaced = script.views.len() < before;
        script.views.push(view.clone());
        Ok(Response::new(v1::SaveViewResponse { view: Some(view), replaced }))
    }

    async fn list_views(&self, _: Request<v1::ListViewsRequest>) -> Answer<v1::ListViewsResponse> {
        Ok(Response::new(v1::ListViewsResponse { views: self.script().views.clone(), more: false }))
    }

    async fn remove_view(&self, request: Request<v1::RemoveViewRequest>) -> Answer<v1::RemoveViewResponse> {
        let mut script = self.script();
        let name = request.into_inner().name;
        match script.views.iter().position(|view| view.name == name) {
            Some(at) => Ok(Response::new(v1::RemoveViewResponse { view: Some(script.views.remove(at)) })),
            None => Err(Status::not_found(format!("there is no view `{name}`"))),
        }
    }

    async fn metrics(&self, request: Request<MetricsRequest>) -> Answer<MetricsResponse> {
        let request = request.into_inner();
        let MetricsRequest { target, names, .. } = &request;
        let is_wanted = |one: &Series| one.job_id == *target && (names.is_empty() || names.contains(&one.name));
        let mut series = self.script.lock().unwrap().series.clone();
        series.retain(is_wanted);
        for one in &mut series {
            one.count = one.values.len() as u64;
            if request.most > 0 {
                let skipped = one.steps.iter().filter(|step| **step < request.from_step).count();
                let end = one.steps.len().min(skipped + request.most as usize);
                (one.steps, one.values) = (one.steps[skipped..end].to_vec(), one.values[skipped..end].to_vec());
            }
        }
        series.retain(|one| !one.values.is_empty());
        Ok(Response::new(MetricsResponse { series }))
    }

    async fn fetch(&self, request: Request<FetchRequest>) -> Answer<Self::FetchStream> {
        let mut script = self.script.lock().unwrap();
        let FetchRequest { artifact_id, offset, checkpoint } = request.into_inner();
        let asked = checkpoint.map_or(artifact_id, |wanted| format!("{}/{}", wanted.step, wanted.file));
        script.fetches.push((asked.clone(), offset));
        let own = script.bytes_of.get(&asked);
        let chunks = own.map_or_else(|| script.chunks.clone(), |bytes| vec![bytes.clone()]);
        let mut skipped = offset as usize;
        let chunks = chunks.into_iter().map(|chunk| {
            let here = skipped.min(chunk.len());
            skipped -= here;
            chunk[here..].to_vec().into()
        });
        let messages = chunks.map(|chunk| FetchResponse { chunk, offset, ..FetchResponse::default() }).collect();
        Ok(if script.breaks { Self::broken_stream(messages) } else { Self::stream(messages) })
    }

    async fn receipt(&self, request: Request<v1::ReceiptRequest>) -> Answer<v1::ReceiptResponse> {
        let mut script = self.script.lock().unwrap();
        let request = request.into_inner();
        let own = script.receipt_of.get(&request.target).cloned();
        script.receipts_asked.push(request);
        if let Some(own) = own {
            return Ok(Response::new(own));
        }
        let none = || Status::failed_precondition("it has no receipt: it succeeded before this house kept any");
        script.receipt.clone().map(Response::new).ok_or_else(none)
    }

    async fn reproduce(&self, request: Request<v1::ReproduceRequest>) -> Answer<v1::ReproduceResponse> {
        let v1::ReproduceRequest { target, replay } = request.into_inner();
        let (from_step, until_step) = if replay { (8, 16) } else { (0, 0) };
        let experiment = if replay { "verify-0199a1b2" } else { "reproduce-0199a1b2" }.to_owned();
        let job_id = "0199a1b2-c3d4-7aaa-8000-000000000002".to_owned();
        let (of_id, already) = (target, false);
        Ok(Response::new(v1::ReproduceResponse { job_id, experiment, of_id, already, from_step, until_step }))
    }

    async fn receipt_keys(&self, _: Request<v1::ReceiptKeysRequest>) -> Answer<v1::ReceiptKeysResponse> {
        let receipt = self.script.lock().unwrap().receipt.clone();
        let key = |receipt: v1::ReceiptResponse| v1::ReceiptKey { id: "ab".to_owned(), pem: receipt.key, since: None };
        Ok(Response::new(v1::ReceiptKeysResponse { keys: receipt.map(key).into_iter().collect() }))
    }
}

#[tonic::async_trait]
impl Devices for Coordinator {
    async fn show(&self, _: Request<v1::DevicesRequest>) -> Answer<v1::DevicesResponse> {
        Ok(Response::new(self.script.lock().unwrap().devices.clone()))
    }

    async fn usage(&self, _: Request<v1::UsageRequest>) -> Answer<v1::UsageResponse> {
        let script = self.script();
        Ok(Response::new(v1::UsageResponse { usage: script.usage.clone(), since: script.usage_since }))
    }
}

#[tonic::async_trait]
impl Fleet for Coordinator {
    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let script = self.script.lock().unwrap();
        if script.away {
            return Err(Status::unavailable("the coordinator is shutting down"));
        }
        Ok(Response::new(script.status.clone()))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Answer<v1::ReleaseResponse> {
        if let Some(release) = self.script.lock().unwrap().release.clone() {
            return Ok(Response::new(release));
        }
        let name = request.into_inner().worker;
        if name != "cpu-0" {
            return Err(Status::not_found(format!("no worker `{name}` here; there are: cpu-0")));
        }
        let worker = Some(v1::Worker { name, ..Default::default() });
        Ok(Response::new(v1::ReleaseResponse { worker, was_quarantined: true }))
    }

    async fn hold(&self, request: Request<v1::HoldRequest>) -> Answer<v1::HoldResponse> {
        let request = request.into_inner();
        let mut script = self.script();
        script.asked.push(format!("{request:?}"));
        let until = Some(tandem_proto::convert::timestamp(chrono::DateTime::UNIX_EPOCH));
        let hold = Some(v1::Withheld { by: "ann".to_owned(), reason: request.reason, until });
        let worker = Some(v1::Worker { name: request.worker, hold, ..Default::default() });
        Ok(Response::new(v1::HoldResponse { worker, running: script.running.clone(), stopping: request.now }))
    }

    async fn unhold(&self, request: Request<v1::UnholdRequest>) -> Answer<v1::UnholdResponse> {
        let drain = Some(v1::Withheld { by: "root".to_owned(), ..Default::default() });
        let worker = Some(v1::Worker { name: request.into_inner().worker, drain, ..Default::default() });
        Ok(Response::new(v1::UnholdResponse { worker, was_held: true }))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Answer<v1::DrainResponse> {
        let request = request.into_inner();
        let running = self.script().running.clone();
        Ok(Response::new(v1::DrainResponse { worker: None, running, stopping: request.now }))
    }

    async fn undrain(&self, _: Request<v1::UndrainRequest>) -> Answer<v1::UndrainResponse> {
        Ok(Response::new(v1::UndrainResponse { worker: None, was_drained: false }))
    }
}

#[tonic::async_trait]
impl Policies for Coordinator {
    async fn get(&self, _: Request<v1::GetPolicyRequest>) -> Answer<v1::GetPolicyResponse> {
        let policy = Some(self.script().policies.first().cloned().unwrap_or_default());
        Ok(Response::new(v1::GetPolicyResponse { policy, effective: "[fair_share]\n".to_owned() }))
    }

    async fn set(&self, request: Request<v1::SetPolicyRequest>) -> Answer<v1::SetPolicyResponse> {
        let request = request.into_inner();
        if request.toml.contains("wrong") {
            return Err(Status::invalid_argument("the policy is wrong: line 1"));
        }
        self.script().policy_files.push(request.file_name);
        let policy = (!request.dry_run).then(|| v1::Policy { version: 4, ..Default::default() });
        let changes = vec!["limits.queued_jobs: 3, was 5".to_owned()];
        let notes = vec!["nobody here is called `zoe`".to_owned()];
        Ok(Response::new(v1::SetPolicyResponse { policy, changes, notes, ..Default::default() }))
    }

    async fn history(&self, _: Request<v1::PolicyHistoryRequest>) -> Answer<v1::PolicyHistoryResponse> {
        Ok(Response::new(v1::PolicyHistoryResponse { policies: self.script().policies.clone() }))
    }
}
