//! `tandem.v1.Workers`: one stream per worker, for as long as both live.
//!
//! Messages about ranks are handled in the order in which they come: a rank's end is never ahead of its last report. While
//! the database is away the stream ends with UNAVAILABLE: the worker keeps what was not acknowledged and dials again,
//! and its rank goes on.

use std::{sync::Arc, time::Duration};

use tandem_domain::timing::timing;
use tandem_proto::{
    convert,
    status::Code,
    v1::{self, coordinator_message::Message as Answer, worker_message::Message as Said, workers_server::Workers},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use uuid::Uuid;

use super::{Answers, Api};
use crate::{
    convert::facts_to_json,
    dispatch::sessions::Session,
    error::Error,
    report::{Receipt, rank_ended, rendezvous},
    store::{
        clean, integer,
        leases::{Held, Speaker},
        signed,
        workers::Introduction,
    },
};

#[async_trait]
impl Workers for Api {
    type SessionStream = Answers<v1::CoordinatorMessage>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut inbound = request.into_inner();
        let (outbound, answers) = mpsc::channel(64);
        let (worker, session) = register(&mut inbound, outbound.clone()).await?;
        let registered = self.dispatcher.open(&worker, &session).await?;
        session.send(Answer::Registered(registered));
        self.dispatcher.sessions.add(session.clone());
        self.hub.dispatch.notify_one();

        let api = self.clone();
        self.streams.spawn(async move {
            let end = api.listen(&mut inbound, &session).await;
            if let Err(status) = end {
                tracing::info!(worker = session.name, code = ?status.code(), "stream ends: {}", status.message());
                // Told before it is written down, which may take its time. The worker may have gone already.
                let _ = outbound.try_send(Err(status));
            }
            if let Err(error) = api.dispatcher.close(&session).await {
                tracing::warn!(worker = session.name, %error, "end of a stream was not written down");
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// The first message.
async fn register(
    inbound: &mut Streaming<v1::WorkerMessage>,
    outbound: mpsc::Sender<Result<v1::CoordinatorMessage, Status>>,
) -> Result<(Introduction, Arc<Session>), Status> {
    let first = timeout(timing().lease, inbound.message())
        .await
        .map_err(|_| Code::TimedOut.status("no `register` came on the stream"))??;
    let Some(Said::Register(register)) = first.and_then(|message| message.message) else {
        return Err(Code::InvalidInput.status("the first message of a stream must be `register`"));
    };
    let id = convert::uuid("register.worker_id", &register.worker_id)?;
    let device = register.device.unwrap_or_default();
    if register.name.is_empty() || device.kind.is_empty() {
        return Err(Code::InvalidInput.status("`register` must give the worker's name and its device's kind"));
    }
    let worker = Introduction {
        id,
        name: clean(&register.name),
        host: clean(&register.host),
        version: clean(&register.version),
        device_kind: clean(&device.kind),
        device_index: integer(device.index),
        device_name: clean(&device.name),
        device_uuid: clean(&device.uuid),
        memory_bytes: signed(device.memory_bytes),
        cores: integer(device.cores),
        driver: clean(&device.driver),
    };
    let running = held(id, &register.running)?;
    let session = Arc::new(Session::new(id, worker.name.clone(), running, outbound));
    Ok((worker, session))
}

impl Api {
    /// Takes messages in until the worker closes its half (`Ok`) or the stream must end.
    ///
    /// Heartbeats are heard as they come, beside what takes its time: a database that is slow to store a report is no
    /// reason to end a rank.
    async fn listen(&self, inbound: &mut Streaming<v1::WorkerMessage>, session: &Session) -> Result<(), Status> {
        let (queue, mut queued) = mpsc::channel(64);
        let hear = async move {
            while let Some(said) = self.next(inbound, session).await? {
                match said {
                    Said::Heartbeat(heartbeat) => heard(session, &heartbeat)?,
                    // Closed only with the other half of this function, which then tells why.
                    said => drop(queue.send(said).await),
                }
            }
            Ok(())
        };
        let act = async {
            while let Some(said) = queued.recv().await {
                if session.superseded.is_cancelled() {
                    // What was under way when the worker was restarted is not the word of its new self.
                    return Err(superseded());
                }
                self.act(said, session).await?;
            }
            Ok(())
        };
        tokio::try_join!(hear, act).map(|((), ())| ())
    }

    /// The next message; `None` when the worker has closed its half.
    async fn next(
        &self,
        inbound: &mut Streaming<v1::WorkerMessage>,
        session: &Session,
    ) -> Result<Option<Said>, Status> {
        loop {
            let message = tokio::select! {
                message = timeout(timing().lease, inbound.message()) => message,
                () = session.superseded.cancelled() => {
                    return Err(superseded());
                }
                () = self.closing.cancelled() => return Err(Error::ShuttingDown.into()),
            };
            let silent = |_| Code::TimedOut.status(format!("no heartbeat for {:?}", timing().lease));
            match message.map_err(silent)?? {
                Some(v1::WorkerMessage { message: Some(said) }) => return Ok(Some(said)),
                // A message of a newer version.
                Some(v1::WorkerMessage { message: None }) => {}
                None => return Ok(None),
            }
        }
    }

    async fn act(&self, said: Said, session: &Session) -> Result<(), Status> {
        match said {
            Said::Register(_) => return Err(Code::InvalidInput.status("`register` came twice on one stream")),
            Said::Heartbeat(heartbeat) => heard(session, &heartbeat)?,
            Said::Report(said) => {
                let who = speaker(session.worker, &said.attempt_id, said.fence, said.rank)?;
                let sequence = said.events.iter().map(|event| event.sequence).max().unwrap_or(0);
                match self.reports.report(who, said.events).await? {
                    Receipt::Stored => {
                        let ack = v1::ReportAck { attempt_id: said.attempt_id, rank: said.rank, sequence };
                        session.send(Answer::ReportAck(ack));
                    }
                    Receipt::Stale => stop(session, who),
                }
            }
            Said::Rendezvous(said) => {
                let who = speaker(session.worker, &said.attempt_id, said.fence, 0)?;
                let port = u16::try_from(said.port).ok().filter(|port| *port > 0);
                let port = port.ok_or_else(|| Code::InvalidInput.status(format!("no port: {}", said.port)))?;
                if rendezvous(&self.store, who, &said.host, port).await? == Receipt::Stale {
                    stop(session, who);
                }
            }
            Said::RankEnded(said) => {
                let who = speaker(session.worker, &said.attempt_id, said.fence, said.rank)?;
                let outcome = convert::rank_outcome("rank_ended.outcome", said.outcome)?;
                // One that is known already needs no answer: there is nothing left to stop.
                rank_ended(&self.store, who, outcome, &said.cause).await?;
            }
            Said::Drain(_) => self.dispatcher.drain(session).await?,
        }
        Ok(())
    }
}

fn superseded() -> Status {
    Code::Unavailable.status("this worker was given up, is here on another stream, or its lease cannot be written")
}

fn heard(session: &Session, heartbeat: &v1::Heartbeat) -> Result<(), Status> {
    let running = held(session.worker, &heartbeat.running)?;
    session.hear(heartbeat.sequence, running, heartbeat.facts.as_ref().map(facts_to_json));
    Ok(())
}

/// It acts for an attempt that is not its any more.
fn stop(session: &Session, who: Speaker) {
    tracing::info!(worker = session.name, attempt = %who.attempt, fence = who.fence, "stale worker told to stop");
    session.send(Answer::Stop(v1::Stop {
        attempt_id: who.attempt.to_string(),
        fence: who.fence,
        graceful: false,
        reason: "the attempt is over or another's".to_owned(),
    }));
}

fn speaker(worker: Uuid, attempt: &str, fence: i64, rank: u32) -> Result<Speaker, Status> {
    Ok(Speaker { worker, attempt: convert::uuid("attempt_id", attempt)?, fence, rank })
}

fn held(worker: Uuid, running: &[v1::RunningRank]) -> Result<Vec<Held>, Status> {
    let held = running.iter().map(|rank| {
        let attempt = convert::uuid("running.attempt_id", &rank.attempt_id)?;
        let (idle, slowest) = (Duration::from_millis(rank.idle_ms), rank.slowest_ms.map(Duration::from_millis));
        Ok(Held { worker, attempt, fence: rank.fence, rank: rank.rank, idle, slowest })
    });
    held.collect()
}
