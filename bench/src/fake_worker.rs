//! A worker as the coordinator sees it: a real stream, and no rank behind it.

use anyhow::{Context, Result, bail};
use chrono::Utc;
use tandem_domain::fit::STORE_PROBES;
use tandem_proto::convert::timestamp;
use tandem_proto::v1::{
    self, coordinator_message::Message as Theirs, worker_message::Message as Ours, workers_client::WorkersClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};
use uuid::Uuid;

use crate::way::Way;

pub(crate) struct FakeWorker {
    outbound: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
}

impl FakeWorker {
    /// Registers a new worker, over a connection of its own, with a token of its own.
    pub(crate) async fn register(way: &Way, token: &str, id: Uuid, name: &str) -> Result<Self> {
        let (outbound, messages) = mpsc::channel(64);
        let device = v1::Device { kind: "cpu".into(), name: "a processor".into(), cores: 1, ..Default::default() };
        let register = v1::Register {
            worker_id: id.to_string(),
            name: name.to_owned(),
            host: "bench".into(),
            device: Some(device),
            version: env!("CARGO_PKG_VERSION").into(),
            running: Vec::new(),
            protocol: tandem_domain::fit::PROTOCOL,
            spec_version: tandem_domain::spec::SPEC_VERSION,
            learn_version: tandem_domain::LEARN_VERSION.into(),
            house_id: String::new(),
        };
        outbound.send(v1::WorkerMessage { message: Some(Ours::Register(register)) }).await?;
        let mut client = WorkersClient::new(way.connect().await.with_context(|| format!("{name} connects"))?);
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let inbound = client.session(request).await?.into_inner();
        let mut this = Self { outbound, inbound };
        let registered = match this.next().await? {
            Theirs::Registered(registered) => registered,
            other => bail!("{name} was not registered: {other:?}"),
        };
        this.show_store(&registered).await.with_context(|| format!("{name} shows that it sees the store"))?;
        Ok(this)
    }

    /// As a real worker does before it gets jobs.
    async fn show_store(&mut self, registered: &v1::Registered) -> Result<()> {
        let root = registered.store_url.trim_start_matches("file://");
        let probe = format!("{root}/{STORE_PROBES}/{}-1", registered.probe);
        std::fs::write(&probe, &registered.store_id).with_context(|| format!("write {probe}"))?;
        self.send(Ours::StoreSeen(v1::StoreSeen { error: String::new(), number: 1 })).await?;
        loop {
            match self.next().await? {
                Theirs::Fitness(fitness) if fitness.unfit.is_empty() => return Ok(()),
                Theirs::Fitness(fitness) => bail!("it gets no jobs: {}", fitness.unfit),
                _ => {}
            }
        }
    }

    pub(crate) async fn send(&self, message: Ours) -> Result<()> {
        self.outbound.send(v1::WorkerMessage { message: Some(message) }).await.context("the stream has ended")
    }

    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Theirs> {
        loop {
            let message = self.inbound.message().await?.context("the coordinator closed the stream")?;
            // Without one, it is a message of a newer version.
            if let Some(message) = message.message {
                return Ok(message);
            }
        }
    }

    pub(crate) async fn heartbeat(&self, sequence: u64, assignment: Option<&v1::Assignment>) -> Result<()> {
        let running = assignment.map(|to| v1::RunningRank {
            attempt_id: to.attempt_id.clone(),
            fence: to.fence,
            rank: to.rank,
            idle_ms: 0,
            slowest_ms: Some(100),
        });
        let running = running.into_iter().collect();
        self.send(Ours::Heartbeat(v1::Heartbeat { sequence, facts: None, running })).await
    }

    pub(crate) async fn report(&self, to: &v1::Assignment, events: Vec<v1::RankEvent>) -> Result<()> {
        let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
        self.send(Ours::Report(v1::Report { attempt_id, fence, rank, events })).await
    }

    pub(crate) async fn succeed(&self, at: &v1::Assignment) -> Result<()> {
        let (attempt_id, fence, rank) = (at.attempt_id.clone(), at.fence, at.rank);
        let (outcome, cause) = (v1::RankOutcome::Succeeded.into(), String::new());
        self.send(Ours::RankEnded(v1::RankEnded { attempt_id, fence, rank, outcome, cause })).await
    }
}

/// Events with the sequence numbers that follow `last`.
pub(crate) fn numbered(last: u64, events: impl IntoIterator<Item = v1::rank_event::Event>) -> Vec<v1::RankEvent> {
    let at = Some(timestamp(Utc::now()));
    (last + 1..).zip(events).map(|(sequence, event)| v1::RankEvent { sequence, at, event: Some(event) }).collect()
}

pub(crate) fn phase(name: &str) -> v1::rank_event::Event {
    v1::rank_event::Event::Phase(v1::PhaseEvent { name: name.to_owned(), first_step: 0 })
}
