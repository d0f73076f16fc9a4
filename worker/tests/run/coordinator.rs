//! A coordinator in miniature: a real gRPC server, whose side of the stream the test plays.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tandem_proto::v1::{
    self, CoordinatorMessage, HeartbeatAck, Register, Registered, ReportAck, WorkerMessage, coordinator_message,
    worker_message,
    workers_server::{Workers, WorkersServer},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// Everything here happens within this, or the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

type Answers = mpsc::Sender<Result<CoordinatorMessage, Status>>;

pub(crate) struct Coordinator {
    pub(crate) store: Arc<TempDir>,
    address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
    registered: Arc<Mutex<Registered>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// One stream, after its registration.
pub(crate) struct Session {
    pub(crate) register: Register,
    answers: Answers,
    messages: Streaming<WorkerMessage>,
    /// Acknowledges heartbeats by itself.
    pub(crate) acknowledge: bool,
    /// Confirms reports by itself.
    pub(crate) confirm: bool,
    /// Passes over what the worker says of the store and of its data sets.
    pub(crate) skip_fitness: bool,
    /// Passes over what it says of its device.
    pub(crate) skip_samples: bool,
}

impl Coordinator {
    /// Listens on a free port, with an empty store.
    pub(crate) async fn start() -> Self {
        Self::listen("127.0.0.1:0", Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// Listens on `address`, which may have port 0.
    pub(crate) async fn listen(address: &str, store: Arc<TempDir>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (opened, sessions) = mpsc::channel(16);
        std::fs::create_dir_all(store.path().join(".tandem-probes")).unwrap();
        std::fs::write(store.path().join(".tandem-store"), "id-of-the-store\n").unwrap();
        let registered = Registered {
            house_id: String::new(),
            foreign_use: None,
            stale_attempt_ids: Vec::new(),
            heartbeat_ms: 50,
            self_end_ms: 1500,
            store_url: format!("file://{}", store.path().display()),
            timing: "default".to_owned(),
            store_id: "id-of-the-store".to_owned(),
            probe: "probe".to_owned(),
            protocol: 1,
            version: "test".to_owned(),
        };
        let registered = Arc::new(Mutex::new(registered));
        let service = WorkersServer::new(Service { opened, registered: Arc::clone(&registered) });
        let serve = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        Self { store, address, sessions, registered, server: tokio::spawn(serve) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every worker that registers from now on is told that this attempt is stale.
    pub(crate) fn give_up(&self, attempt: &str) {
        self.registered.lock().unwrap().stale_attempt_ids.push(attempt.to_owned());
    }

    /// The next stream that a worker opens.
    pub(crate) async fn session(&mut self) -> Session {
        timeout(DEADLINE, self.sessions.recv()).await.expect("no worker came").expect("the server runs")
    }

    /// No other stream was opened.
    pub(crate) async fn is_alone(&mut self) -> bool {
        self.sessions.try_recv().is_err()
    }

    /// Like a kill -9: streams break, the port is closed.
    pub(crate) async fn die(self) -> Dead {
        self.server.abort();
        let _ = self.server.await;
        Dead { address: self.address, store: self.store }
    }
}

/// What is left of a coordinator.
pub(crate) struct Dead {
    address: SocketAddr,
    store: Arc<TempDir>,
}

impl Dead {
    /// Another process in its place.
    pub(crate) async fn restart(self) -> Coordinator {
        Coordinator::listen(&self.address.to_string(), self.store).await
    }
}

impl Session {
    pub(crate) async fn send(&self, message: coordinator_message::Message) {
        self.answers.send(Ok(message_of(message))).await.unwrap();
    }

    /// Ends the stream, as a coordinator does that cannot take a message.
    pub(crate) async fn refuse(self) {
        let refusal = Status::out_of_range("decoded message length too large");
        let _ = self.answers.send(Err(refusal)).await;
    }

    pub(crate) async fn confirm(&self, report: &v1::Report) {
        let sequence = report.events.last().unwrap().sequence;
        let ack = ReportAck { attempt_id: report.attempt_id.clone(), rank: report.rank, sequence, keep_files: false };
        // A worker that was killed reads nothing.
        let _ = self.answers.send(Ok(message_of(coordinator_message::Message::ReportAck(ack)))).await;
    }

    /// The next message that is no heartbeat; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<worker_message::Message> {
        timeout(DEADLINE, self.read()).await.expect("the worker sends nothing but heartbeats")
    }

    async fn read(&mut self) -> Option<worker_message::Message> {
        loop {
            let message = self.messages.message().await.ok()??;
            let message = message.message.unwrap();
            match &message {
                worker_message::Message::Heartbeat(heartbeat) => {
                    if self.acknowledge {
                        self.send(coordinator_message::Message::HeartbeatAck(HeartbeatAck {
                            sequence: heartbeat.sequence,
                        }))
                        .await;
                    }
                    continue;
                }
                worker_message::Message::Report(report) if self.confirm => self.confirm(report).await,
                worker_message::Message::Samples(_) if self.skip_samples => continue,
                worker_message::Message::StoreSeen(_) | worker_message::Message::Datasets(_) if self.skip_fitness => {
                    continue;
                }
                _ => {}
            }
            return Some(message);
        }
    }

    /// Reads on until `wanted` returns something; the events of all reports up to then go to `seen`.
    pub(crate) async fn until<T>(
        &mut self,
        seen: &mut Vec<v1::RankEvent>,
        mut wanted: impl FnMut(&worker_message::Message) -> Option<T>,
    ) -> T {
        loop {
            let message = self.next().await.expect("the worker ended the stream");
            if let worker_message::Message::Report(report) = &message {
                seen.extend(report.events.iter().cloned());
            }
            if let Some(found) = wanted(&message) {
                return found;
            }
        }
    }
}

fn message_of(message: coordinator_message::Message) -> CoordinatorMessage {
    CoordinatorMessage { message: Some(message) }
}

struct Service {
    opened: mpsc::Sender<Session>,
    registered: Arc<Mutex<Registered>>,
}

#[tonic::async_trait]
impl Workers for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<CoordinatorMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|message| message.message);
        let Some(worker_message::Message::Register(register)) = first else {
            return Err(Status::invalid_argument("a worker registers first"));
        };
        let (answers, stream) = mpsc::channel(64);
        let session = Session {
            register,
            answers,
            messages,
            acknowledge: true,
            confirm: true,
            skip_fitness: true,
            skip_samples: true,
        };
        let registered = self.registered.lock().unwrap().clone();
        session.send(coordinator_message::Message::Registered(registered)).await;
        self.opened.send(session).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
