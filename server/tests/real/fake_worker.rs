//! A worker as the coordinator sees it: the test says what it sends.

use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};

use tandem_domain::{
    LEARN_VERSION,
    fit::{PROTOCOL, STORE_PROBES},
    spec::SPEC_VERSION,
};
use tandem_harness::until_async;
use tandem_proto::v1::{
    self, coordinator_message::Message as Theirs, worker_message::Message as Ours, workers_client::WorkersClient,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use uuid::Uuid;

use crate::{LIMIT, server::Server};

/// By worker: its token is the one that it used first.
static TOKENS: Mutex<BTreeMap<Uuid, String>> = Mutex::new(BTreeMap::new());

async fn token_of(server: &Server, worker: Uuid) -> String {
    let known = TOKENS.lock().unwrap().get(&worker).cloned();
    match known {
        Some(token) => token,
        None => {
            let token = server.token("worker", "").await.secret;
            TOKENS.lock().unwrap().insert(worker, token.clone());
            token
        }
    }
}

pub(crate) struct FakeWorker {
    pub(crate) registered: v1::Registered,
    outbound: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
}

impl FakeWorker {
    pub(crate) async fn register(server: &Server, name: &str, id: Uuid, running: Vec<v1::RunningRank>) -> Self {
        // A test beside this one stalls commits of its own database, and Postgres has notifications of all wait for those.
        let tried = async || match Self::try_register(server, name, id, running.clone()).await {
            Err(status) if status.code() == tonic::Code::DeadlineExceeded => None,
            registered => Some(registered.unwrap()),
        };
        until_async("the worker is registered", LIMIT, tried).await
    }

    pub(crate) async fn try_register(
        server: &Server,
        name: &str,
        id: Uuid,
        running: Vec<v1::RunningRank>,
    ) -> Result<Self, tonic::Status> {
        let token = token_of(server, id).await;
        Self::register_with(server, &token, name, id, running).await
    }

    pub(crate) async fn register_with(
        server: &Server,
        token: &str,
        name: &str,
        id: Uuid,
        running: Vec<v1::RunningRank>,
    ) -> Result<Self, tonic::Status> {
        let this = Self::connect_with(server, token, name, id, running).await?;
        this.show_store().await;
        Ok(this)
    }

    /// Registers, and does not show that it sees the store.
    pub(crate) async fn connect(
        server: &Server,
        name: &str,
        id: Uuid,
        running: Vec<v1::RunningRank>,
    ) -> Result<Self, tonic::Status> {
        let token = token_of(server, id).await;
        Self::connect_with(server, &token, name, id, running).await
    }

    pub(crate) async fn connect_with(
        server: &Server,
        token: &str,
        name: &str,
        id: Uuid,
        running: Vec<v1::RunningRank>,
    ) -> Result<Self, tonic::Status> {
        Self::connect_from(server, token, name, id, running, "").await
    }

    /// With a state folder of `house`.
    pub(crate) async fn connect_from(
        server: &Server,
        token: &str,
        name: &str,
        id: Uuid,
        running: Vec<v1::RunningRank>,
        house: &str,
    ) -> Result<Self, tonic::Status> {
        let (outbound, messages) = mpsc::channel(64);
        let register = v1::Register {
            worker_id: id.to_string(),
            name: name.to_owned(),
            host: "box".to_owned(),
            device: Some(v1::Device { kind: "cpu".to_owned(), name: "a processor".to_owned(), ..Default::default() }),
            version: "test".to_owned(),
            running,
            protocol: PROTOCOL,
            spec_version: SPEC_VERSION,
            learn_version: LEARN_VERSION.to_owned(),
            house_id: house.to_owned(),
        };
        outbound.send(v1::WorkerMessage { message: Some(Ours::Register(register)) }).await.unwrap();
        let mut client = WorkersClient::new(server.far().await);
        let mut request = tonic::Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let mut inbound = client.session(request).await?.into_inner();
        let first = timeout(LIMIT, inbound.message()).await.unwrap()?.unwrap();
        let Some(Theirs::Registered(registered)) = first.message else { panic!("not registered: {first:?}") };
        Ok(Self { registered, outbound, inbound })
    }

    /// As a real worker does before it gets jobs.
    pub(crate) async fn show_store(&self) {
        let v1::Registered { store_url, store_id, probe, .. } = &self.registered;
        let probes = Path::new(store_url.trim_start_matches("file://")).join(STORE_PROBES);
        fs::write(probes.join(format!("{probe}-1")), store_id).unwrap();
        self.says_it_sees_the_store().await;
    }

    pub(crate) async fn says_it_sees_the_store(&self) {
        self.send(Ours::StoreSeen(v1::StoreSeen { error: String::new(), number: 1 })).await;
    }

    /// Why it gets no jobs, when it is told so next.
    pub(crate) async fn unfit(&mut self) -> String {
        loop {
            let next = timeout(LIMIT, self.inbound.message()).await.expect("the coordinator sends nothing").unwrap();
            if let Some(Theirs::Fitness(v1::Fitness { unfit })) = next.and_then(|message| message.message) {
                return unfit;
            }
        }
    }

    pub(crate) async fn send(&self, message: Ours) {
        self.outbound.send(v1::WorkerMessage { message: Some(message) }).await.unwrap();
    }

    /// The next message; `Err` is how the stream ended. Skips that the worker is fit, and the acknowledgements that the
    /// coordinator sends to a worker which has sent no heartbeat yet.
    pub(crate) async fn next(&mut self) -> Result<Option<Theirs>, tonic::Status> {
        loop {
            let next = timeout(LIMIT, self.inbound.message()).await.expect("the coordinator sends nothing")?;
            match next.and_then(|message| message.message) {
                Some(Theirs::HeartbeatAck(v1::HeartbeatAck { sequence: 0 })) => {}
                Some(Theirs::Fitness(v1::Fitness { unfit })) => assert_eq!(unfit, ""),
                message => return Ok(message),
            }
        }
    }

    /// Whether the coordinator still listens to it.
    pub(crate) fn is_open(&self) -> bool {
        !self.outbound.is_closed()
    }

    pub(crate) async fn assignment(&mut self) -> v1::Assignment {
        match self.next().await.unwrap() {
            Some(Theirs::Assignment(assignment)) => assignment,
            other => panic!("expected an assignment, got {other:?}"),
        }
    }

    pub(crate) async fn acknowledged(&mut self) -> u64 {
        self.acknowledgement().await.sequence
    }

    pub(crate) async fn acknowledgement(&mut self) -> v1::ReportAck {
        match self.next().await.unwrap() {
            Some(Theirs::ReportAck(ack)) => ack,
            other => panic!("expected an acknowledgement, got {other:?}"),
        }
    }

    /// Reports, and waits for the acknowledgement.
    pub(crate) async fn report(&mut self, to: &v1::Assignment, events: Vec<v1::RankEvent>) {
        let last = events.iter().map(|event| event.sequence).max().unwrap();
        let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
        self.send(Ours::Report(v1::Report { attempt_id, fence, rank, events })).await;
        assert_eq!(self.acknowledged().await, last);
    }

    pub(crate) async fn ended(&self, to: &v1::Assignment, outcome: v1::RankOutcome, cause: &str) {
        let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
        let (outcome, cause) = (outcome.into(), cause.to_owned());
        self.send(Ours::RankEnded(v1::RankEnded { attempt_id, fence, rank, outcome, cause })).await;
    }

    /// The status with which the coordinator ends the stream.
    pub(crate) async fn end(&mut self) -> tonic::Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a status"),
                Err(status) => return status,
            }
        }
    }

    /// Closes its half of the stream and waits until the coordinator closes the other.
    pub(crate) async fn leave(self) {
        let Self { outbound, mut inbound, .. } = self;
        drop(outbound);
        while let Ok(Some(_)) = timeout(LIMIT, inbound.message()).await.expect("the stream stays open") {}
    }
}

pub(crate) fn running_rank(assignment: &v1::Assignment) -> v1::RunningRank {
    v1::RunningRank {
        attempt_id: assignment.attempt_id.clone(),
        fence: assignment.fence,
        rank: assignment.rank,
        ..Default::default()
    }
}

pub(crate) fn event(sequence: u64, event: v1::rank_event::Event) -> v1::RankEvent {
    v1::RankEvent { sequence, at: Some(tandem_proto::convert::timestamp(chrono::Utc::now())), event: Some(event) }
}
