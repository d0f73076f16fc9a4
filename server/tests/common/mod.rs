//! A server on a real Postgres and a real port, and workers that are played.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use clap::Parser;
use tandem_local_postgres::{LocalPostgres, Options};
use tandem_proto::v1::{
    self, coordinator_message::Message as Theirs, fleet_client::FleetClient, jobs_client::JobsClient,
    results_client::ResultsClient, worker_message::Message as Ours, workers_client::WorkersClient,
};
use tandem_server::{Args, StartError, serve};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Streaming, transport::Channel};
use uuid::Uuid;

/// Nothing here takes as long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster with the database `tandem`, and a folder for the rest.
pub struct Ground {
    pub postgres: LocalPostgres,
    pub dir: TempDir,
}

impl Ground {
    pub fn new() -> Self {
        // As root, Postgres runs under another account, which must be able to enter.
        let permissions = std::fs::Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().prefix("tandem-server-").permissions(permissions).tempdir().unwrap();
        let postgres = LocalPostgres::start_with(&dir.path().join("postgres"), Options { durable: false }).unwrap();
        postgres.create_database("tandem").unwrap();
        Self { postgres, dir }
    }

    pub fn psql(&self, sql: &str) -> String {
        self.postgres.psql("tandem", sql).unwrap()
    }
}

pub struct House {
    pub address: String,
    closing: CancellationToken,
    serving: JoinHandle<Result<(), StartError>>,
}

impl House {
    /// Serves until it is told to stop.
    pub async fn open(ground: &Ground) -> Self {
        let (store, announce) = (ground.dir.path().join("store"), ground.dir.path().join("announce.json"));
        let _ = std::fs::remove_file(&announce);
        let args = Args::parse_from([
            "tandem-server".as_ref(),
            "--database-url".as_ref(),
            ground.postgres.url("tandem").as_ref(),
            "--listen=127.0.0.1:0".as_ref(),
            "--store".as_ref(),
            store.as_os_str(),
            "--announce".as_ref(),
            announce.as_os_str(),
        ]);
        let closing = CancellationToken::new();
        let serving = tokio::spawn(serve(args, closing.clone()));
        let address = timeout(PATIENCE, async {
            loop {
                if let Ok(text) = std::fs::read_to_string(&announce) {
                    let announced: serde_json::Value = serde_json::from_str(&text).unwrap();
                    return announced["address"].as_str().unwrap().to_owned();
                }
                assert!(!serving.is_finished(), "the server ended before it was ready");
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        Self { address, closing, serving }
    }

    /// Tells it to stop and waits until it has.
    pub async fn close(self) {
        self.closing.cancel();
        timeout(PATIENCE, self.serving).await.expect("the server does not stop").unwrap().unwrap();
    }

    /// The word to stop, without waiting.
    pub fn begin_to_close(&self) {
        self.closing.cancel();
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    pub async fn jobs(&self) -> JobsClient<Channel> {
        JobsClient::new(self.channel().await)
    }

    pub async fn results(&self) -> ResultsClient<Channel> {
        ResultsClient::new(self.channel().await)
    }

    pub async fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel().await)
    }
}

/// A worker as the coordinator sees it, played by the test.
pub struct Actor {
    pub id: Uuid,
    pub registered: v1::Registered,
    outbound: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
}

impl Actor {
    pub async fn enter(house: &House, name: &str, id: Uuid, running: Vec<v1::RunningRank>) -> Self {
        let (outbound, messages) = mpsc::channel(64);
        let register = v1::Register {
            worker_id: id.to_string(),
            name: name.to_owned(),
            host: "box".to_owned(),
            device: Some(v1::Device { kind: "cpu".to_owned(), name: "a processor".to_owned(), ..Default::default() }),
            version: "test".to_owned(),
            running,
        };
        outbound.send(v1::WorkerMessage { message: Some(Ours::Register(register)) }).await.unwrap();
        let mut client = WorkersClient::new(house.channel().await);
        let mut inbound = client.session(ReceiverStream::new(messages)).await.unwrap().into_inner();
        let first = timeout(PATIENCE, inbound.message()).await.unwrap().unwrap().unwrap();
        let Some(Theirs::Registered(registered)) = first.message else { panic!("not registered: {first:?}") };
        Self { id, registered, outbound, inbound }
    }

    pub async fn say(&self, message: Ours) {
        self.outbound.send(v1::WorkerMessage { message: Some(message) }).await.unwrap();
    }

    /// The next message, whatever it is; `Err` is how the stream ended.
    pub async fn next(&mut self) -> Result<Option<Theirs>, tonic::Status> {
        let next = timeout(PATIENCE, self.inbound.message()).await.expect("the coordinator is silent")?;
        Ok(next.and_then(|message| message.message))
    }

    pub async fn assignment(&mut self) -> v1::Assignment {
        match self.next().await.unwrap() {
            Some(Theirs::Assignment(assignment)) => assignment,
            other => panic!("expected an assignment, got {other:?}"),
        }
    }

    pub async fn acknowledged(&mut self) -> u64 {
        match self.next().await.unwrap() {
            Some(Theirs::ReportAck(ack)) => ack.sequence,
            other => panic!("expected an acknowledgement, got {other:?}"),
        }
    }

    /// Reports and waits until it is stored.
    pub async fn report(&mut self, to: &v1::Assignment, events: Vec<v1::RankEvent>) {
        let last = events.iter().map(|event| event.sequence).max().unwrap();
        let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
        self.say(Ours::Report(v1::Report { attempt_id, fence, rank, events })).await;
        assert_eq!(self.acknowledged().await, last);
    }

    pub async fn ended(&self, to: &v1::Assignment, outcome: v1::RankOutcome, cause: &str) {
        let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
        let (outcome, cause) = (outcome.into(), cause.to_owned());
        self.say(Ours::RankEnded(v1::RankEnded { attempt_id, fence, rank, outcome, cause })).await;
    }

    /// Closes its half and waits for the other.
    pub async fn leave(self) {
        let Self { outbound, mut inbound, .. } = self;
        drop(outbound);
        while let Ok(Some(_)) = timeout(PATIENCE, inbound.message()).await.expect("the stream stays open") {}
    }
}

pub fn runs(assignment: &v1::Assignment) -> v1::RunningRank {
    v1::RunningRank { attempt_id: assignment.attempt_id.clone(), fence: assignment.fence, rank: assignment.rank }
}

pub fn event(sequence: u64, event: v1::rank_event::Event) -> v1::RankEvent {
    v1::RankEvent { sequence, at: Some(tandem_proto::convert::timestamp(chrono::Utc::now())), event: Some(event) }
}

pub fn submit(toml: &str) -> v1::SubmitRequest {
    let (toml, file_name, owner) = (toml.to_owned(), "test.toml".to_owned(), "ada".to_owned());
    v1::SubmitRequest { toml, file_name, owner, ..Default::default() }
}
