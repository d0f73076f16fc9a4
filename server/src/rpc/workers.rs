//! `tandem.v1.Workers`: one stream per worker, open as long as both run.
//!
//! Messages about ranks are handled in the order in which they come, so a rank's end never overtakes its last report.
//! Heartbeats are not queued behind them. What is queued is bounded by its bytes ([`Backlog`](super::Backlog)).
//!
//! While the database is away the stream ends with UNAVAILABLE: the worker keeps what was not acknowledged and dials
//! again, and its rank goes on.

use std::{sync::Arc, time::Duration};

use tandem_domain::{
    access::{Identity, name::check_worker},
    timing,
    timing::timing,
};
use tandem_proto::{
    convert,
    status::Code,
    v1::{
        self, coordinator_message::Message as ToWorker, rank_event::Event, worker_message::Message as FromWorker,
        workers_server::Workers,
    },
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use uuid::Uuid;

use super::{Answers, Api};
use crate::{
    access::identity,
    convert::facts_to_json,
    dispatch::{Dispatcher, sessions::Session},
    error::Error,
    fitness, images,
    report::{
        Receipt,
        batch::{NAME_BYTES_MAX, short},
        rank_ended, rendezvous,
    },
    store::{
        backups, integer,
        leases::{LeaseHolder, ReportedRank},
        signed, tokens, within,
        workers::Registration,
    },
};

/// A worker has one rank at a time, and perhaps some that it is still ending.
const RUNNING_MAX: usize = 64;
/// Longer than any rank does nothing, or takes for a unit of work.
const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Events of one report; a worker of this version sends [`timing::REPORT_BATCH_EVENTS`] at most.
const REPORT_EVENTS_MAX: usize = 20 * timing::REPORT_BATCH_EVENTS;
/// More events than any rank has: after one of a greater number all that follow would count as stored.
const SEQUENCE_MAX: u64 = 1 << 48;

#[async_trait]
impl Workers for Api {
    type SessionStream = Answers<v1::CoordinatorMessage>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let identity = identity(&request)?;
        let mut inbound = request.into_inner();
        let (outbound, answers) = mpsc::channel(64);
        let (worker, session) = register(&mut inbound, outbound.clone()).await?;
        // Before its token is bound to it.
        self.dispatcher.check_house(&worker, &session).await?;
        self.bind(&identity, &worker).await?;
        let registered = self.dispatcher.open(&worker, &session).await?;
        session.send(ToWorker::Registered(registered));
        if let Some(unfit) = session.refused.clone() {
            tracing::warn!(worker = session.name, "gets no jobs: {unfit}");
            session.send(ToWorker::Fitness(v1::Fitness { unfit }));
        }
        self.dispatcher.sessions.add(session.clone());
        self.notifier.dispatch.notify_one();

        let api = self.clone();
        self.streams.spawn(async move {
            // Even if it panics: a stream that nobody reads must not look open.
            let _listed = Listed { dispatcher: api.dispatcher.clone(), session: session.id };
            let end = api.listen(&mut inbound, &session).await;
            if let Err(status) = end {
                tracing::info!(worker = session.name, code = ?status.code(), "stream ends: {}", status.message());
                // Sent before the end is stored, which may take long. The worker may have gone already.
                let _ = outbound.try_send(Err(status));
            }
            if let Err(error) = api.dispatcher.close(&session).await {
                tracing::warn!(worker = session.name, %error, "cannot store that a stream ended");
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// Takes a session off the list of open streams when it is dropped.
struct Listed {
    dispatcher: Arc<Dispatcher>,
    session: Uuid,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.dispatcher.sessions.remove(self.session);
    }
}

/// Reads the first message of a stream, which must be `register`.
async fn register(
    inbound: &mut Streaming<v1::WorkerMessage>,
    outbound: mpsc::Sender<Result<v1::CoordinatorMessage, Status>>,
) -> Result<(Registration, Arc<Session>), Status> {
    let first = timeout(timing().lease, inbound.message())
        .await
        .map_err(|_| Code::TimedOut.status("no `register` came on the stream"))??;
    let Some(FromWorker::Register(register)) = first.and_then(|message| message.message) else {
        return Err(Code::InvalidInput.status("the first message of a stream must be `register`"));
    };
    let id = convert::uuid("register.worker_id", &register.worker_id)?;
    let refused = fitness::version_refused(&register);
    let device = register.device.unwrap_or_default();
    if device.kind.is_empty() {
        return Err(Code::InvalidInput.status("`register` must give its device's kind"));
    }
    check_worker(&register.name)
        .map_err(|error| Code::InvalidInput.status(format!("{error}; give it another with --name")))?;
    let worker = Registration {
        id,
        name: short(&register.name, NAME_BYTES_MAX),
        host: short(&register.host, NAME_BYTES_MAX),
        version: short(&register.version, NAME_BYTES_MAX),
        device_kind: short(&device.kind, NAME_BYTES_MAX),
        device_index: integer(device.index),
        device_name: short(&device.name, NAME_BYTES_MAX),
        device_uuid: short(&device.uuid, NAME_BYTES_MAX),
        memory_bytes: signed(device.memory_bytes),
        cores: integer(device.cores),
        driver: short(&device.driver, NAME_BYTES_MAX),
        spec_version: integer(register.spec_version),
        unfit: refused.clone().unwrap_or_else(|| fitness::NOT_SHOWN.to_owned()),
    };
    let running = reported_ranks(id, &register.running)?;
    let mut session = Session::new(id, worker.name.clone(), running, outbound);
    session.refused = refused;
    session.house = short(&register.house_id, NAME_BYTES_MAX);
    Ok((worker, Arc::new(session)))
}

impl Api {
    /// A worker speaks for itself alone: its token is that of the worker which used it first.
    async fn bind(&self, identity: &Identity, worker: &Registration) -> Result<(), Status> {
        let Identity::Worker(token) = identity else {
            return Err(Code::Forbidden.status("only a worker, with a token of that role, opens a session"));
        };
        let bind = async { Ok(tokens::bind(&mut *self.store.lane.conn().await?, token, worker.id).await?) };
        let bound = within(timing().statement_limit(), bind).await?;
        if bound == Some(worker.id) {
            return Ok(());
        }
        let why = match bound {
            Some(_) => format!(
                "the token {token} is another worker's: each has one of its own. If this one's state folder was lost or copied, \
                 make a new token: tandem token new NAME --role worker"
            ),
            None => format!(
                "this worker has another good token, and {token} is not it: revoke that one before this one is used; tandem token \
                 list --all shows both"
            ),
        };
        tracing::warn!(worker = ?worker.name, "refused: {why}");
        Err(Code::Forbidden.status(why))
    }

    /// Whether files that rows name must stay, as a backup is being taken. Where that cannot be found out, they stay.
    async fn keeps_files(&self) -> bool {
        let look = async { Ok(backups::is_taken(&mut *self.store.reports.conn().await?).await?) };
        within(timing().report_limit(), look).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot find out whether a backup is being taken");
            true
        })
    }

    /// Handles messages until the worker closes its half (`Ok`) or the stream must end.
    ///
    /// Heartbeats are not queued behind messages that take long to store: a slow database must not end a rank.
    async fn listen(&self, inbound: &mut Streaming<v1::WorkerMessage>, session: &Arc<Session>) -> Result<(), Status> {
        let (queue, mut queued) = mpsc::unbounded_channel();
        let backlog = self.backlog.of_stream();
        let receive = async move {
            while let Some(message) = self.next(inbound, session).await? {
                match message {
                    FromWorker::Heartbeat(heartbeat) => receive_heartbeat(session, &heartbeat)?,
                    message => {
                        let room = backlog.take(message.encoded_len()).ok_or_else(backlog_full)?;
                        // Closed only when the other half of this function has failed, which gives the reason.
                        let _ = queue.send((message, room));
                    }
                }
            }
            Ok(())
        };
        let handle = async {
            while let Some((message, _room)) = queued.recv().await {
                if session.superseded.is_cancelled() {
                    // The worker was restarted, and this message is of the process before.
                    return Err(superseded());
                }
                self.handle(message, session).await?;
            }
            Ok(())
        };
        tokio::try_join!(receive, handle).map(|((), ())| ())
    }

    /// The next message; `None` when the worker has closed its half.
    async fn next(
        &self,
        inbound: &mut Streaming<v1::WorkerMessage>,
        session: &Session,
    ) -> Result<Option<FromWorker>, Status> {
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
                Some(v1::WorkerMessage { message: Some(message) }) => return Ok(Some(message)),
                // A kind of message that only newer versions know.
                Some(v1::WorkerMessage { message: None }) => {}
                None => return Ok(None),
            }
        }
    }

    async fn handle(&self, message: FromWorker, session: &Arc<Session>) -> Result<(), Status> {
        match message {
            FromWorker::Register(_) => return Err(Code::InvalidInput.status("`register` came twice on one stream")),
            FromWorker::Heartbeat(heartbeat) => receive_heartbeat(session, &heartbeat)?,
            FromWorker::Report(report) => {
                let holder = lease_holder(session.worker, &report.attempt_id, report.fence, report.rank)?;
                if report.events.len() > REPORT_EVENTS_MAX {
                    let message =
                        format!("a report of {} events; expected at most {REPORT_EVENTS_MAX}", report.events.len());
                    return Err(Code::InvalidInput.status(message));
                }
                let sequence = report.events.iter().map(|event| event.sequence).max().unwrap_or(0);
                if sequence > SEQUENCE_MAX {
                    let message = format!("an event of the number {sequence}; expected at most {SEQUENCE_MAX}");
                    return Err(Code::InvalidInput.status(message));
                }
                let saves = report.events.iter().any(|event| matches!(event.event, Some(Event::Checkpoint(_))));
                match self.reports.report(holder, report.events).await? {
                    Receipt::Stored => {
                        // Looked at when the checkpoint has its row: a backup that does not see the row is seen here.
                        let keep_files = saves && self.keeps_files().await;
                        let (attempt_id, rank) = (report.attempt_id, report.rank);
                        let ack = v1::ReportAck { attempt_id, rank, sequence, keep_files };
                        session.send(ToWorker::ReportAck(ack));
                    }
                    Receipt::Stale => stop(session, holder),
                }
            }
            FromWorker::Rendezvous(listening) => {
                let holder = lease_holder(session.worker, &listening.attempt_id, listening.fence, 0)?;
                let port = u16::try_from(listening.port).ok().filter(|port| *port > 0);
                let port = port.ok_or_else(|| Code::InvalidInput.status(format!("no port: {}", listening.port)))?;
                if rendezvous(&self.store, holder, &listening.host, port).await? == Receipt::Stale {
                    stop(session, holder);
                }
            }
            FromWorker::RankEnded(end) => {
                let holder = lease_holder(session.worker, &end.attempt_id, end.fence, end.rank)?;
                let outcome = convert::rank_outcome("rank_ended.outcome", end.outcome)?;
                session.end(holder);
                // An end that was known already needs no answer: there is nothing left to stop.
                rank_ended(&self.store, holder, outcome, &end.cause).await?;
            }
            FromWorker::Drain(_) => self.dispatcher.drain(session).await?,
            FromWorker::StoreSeen(seen) => {
                // In a task of its own: a store that hangs must not hold up reports. While one runs, others are dropped.
                if let Ok(turn) = session.checking.clone().try_acquire_owned() {
                    let check =
                        fitness::check(self.store.clone(), self.dispatcher.folder.clone(), session.clone(), seen);
                    self.streams.spawn(async move {
                        check.await;
                        drop(turn);
                    });
                }
            }
            FromWorker::Samples(samples) => self.samples.receive(session, samples).await?,
            FromWorker::Datasets(datasets) => {
                self.dispatcher.announce(session, &images::announced(datasets)).await?;
            }
        }
        Ok(())
    }
}

fn superseded() -> Status {
    Code::Unavailable.status("this stream ends: the worker was declared lost, or opened another stream, or the database cannot store its heartbeats; it registers again")
}

fn backlog_full() -> Status {
    // Not as a refusal: a worker would look for the report that is refused.
    Code::Unavailable
        .status("reports come faster than the database stores them; they are kept by the worker and sent again")
}

fn receive_heartbeat(session: &Session, heartbeat: &v1::Heartbeat) -> Result<(), Status> {
    let running = reported_ranks(session.worker, &heartbeat.running)?;
    session.receive(heartbeat.sequence, running, heartbeat.facts.as_ref().map(facts_to_json));
    Ok(())
}

/// Sends the worker a stop for a rank that it holds no lease for.
fn stop(session: &Session, holder: LeaseHolder) {
    tracing::info!(worker = session.name, attempt = %holder.attempt, fence = holder.fence, "stop sent to a stale worker");
    session.send(ToWorker::Stop(v1::Stop {
        attempt_id: holder.attempt.to_string(),
        fence: holder.fence,
        graceful: false,
        reason: "this worker holds no lease for this attempt".to_owned(),
    }));
}

fn lease_holder(worker: Uuid, attempt: &str, fence: i64, rank: u32) -> Result<LeaseHolder, Status> {
    Ok(LeaseHolder { worker, attempt: convert::uuid("attempt_id", attempt)?, fence, rank })
}

fn reported_ranks(worker: Uuid, running: &[v1::RunningRank]) -> Result<Vec<ReportedRank>, Status> {
    if running.len() > RUNNING_MAX {
        let message = format!("`running` has {} ranks; expected at most {RUNNING_MAX} of one worker", running.len());
        return Err(Code::InvalidInput.status(message));
    }
    // They become intervals in Postgres, in one statement for all workers.
    let span = |ms| Duration::from_millis(ms).min(SPAN_MAX);
    let ranks = running.iter().map(|rank| {
        let attempt = convert::uuid("running.attempt_id", &rank.attempt_id)?;
        let (idle, slowest) = (span(rank.idle_ms), rank.slowest_ms.map(span));
        Ok(ReportedRank { worker, attempt, fence: rank.fence, rank: rank.rank, idle, slowest })
    });
    ranks.collect()
}
