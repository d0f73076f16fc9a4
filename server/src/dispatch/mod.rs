//! Sends workers their instructions: assignments, rendezvous addresses, stops.
//!
//! Every coordinator looks after the workers whose streams it holds, whichever coordinator placed the job. What a
//! worker must be sent follows from its live leases in Postgres and from what was sent on its stream
//! ([`instructions`]), never from having seen an event.

mod heard;
mod heartbeat;
mod house_check;
mod instructions;
pub(crate) mod sessions;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tandem_domain::{
    fit::PROTOCOL,
    images::Announced,
    policy::{ForeignUse, HousePolicy},
    state::RankOutcome,
    timing,
    timing::timing,
};
use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::{
    sync::Semaphore,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    conclude::{RankEnd, conclude},
    convert,
    error::{Error, Result},
    notifier::Notifier,
    sharing::policy,
    store::{
        Store,
        events::{self, About},
        files, house, jobs, leases,
        notify::{Topic, notify},
        reproductions, retry, within,
        worker_leases::{self, WorkerLease, WorkerLeases},
        workers::{self, Registration},
    },
    store_folder::StoreFolder,
};
use heard::{Stored, renewed};
use instructions::{Instruction, due, unleased};
use sessions::{Session, Sessions};

/// Checkpoints that a rank is offered, so that it has others if the newest is damaged.
const CHECKPOINTS_OFFERED: i64 = 5;

pub(crate) struct Dispatcher {
    pub(crate) store: Store,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) sessions: Sessions,
    /// Of checkpoints and artifacts.
    pub(crate) folder: StoreFolder,
    /// Names what this process writes of its workers.
    id: Uuid,
    /// By session.
    stored: Mutex<HashMap<Uuid, Stored>>,
    /// Turns to store that a stream begins or ends.
    registering: Semaphore,
}

/// Registrations that are stored at a time: half of the connections that keep ranks alive.
const REGISTERING: usize = 2;
/// How long a worker waits for its turn. It gives up by itself soon after.
const REGISTER_WAIT: Duration = Duration::from_secs(3);

impl Dispatcher {
    pub(crate) fn new(store: Store, notifier: Arc<Notifier>, folder: StoreFolder) -> Self {
        let (sessions, stored, registering) = (Sessions::default(), Mutex::default(), Semaphore::new(REGISTERING));
        Self { store, notifier, sessions, folder, id: Uuid::new_v4(), stored, registering }
    }

    /// Registers a worker. The answer names the attempts that it runs a rank of without a lease.
    pub(crate) async fn open(&self, worker: &Registration, session: &Session) -> Result<v1::Registered> {
        // Many workers may come at once; they must leave connections for the heartbeats of those that are there.
        let _turn = timeout(REGISTER_WAIT, self.registering.acquire())
            .await
            .map_err(|_| Error::Full("many workers register at this moment; try again".to_owned()))?;
        let (stale, foreign_use, house) = within(timing().statement_limit(), self.register(worker, session)).await?;
        stale.iter().for_each(|&attempt| session.mark_sent(attempt, Instruction::Stop));
        Ok(v1::Registered {
            stale_attempt_ids: stale.iter().map(Uuid::to_string).collect(),
            heartbeat_ms: millis(timing().heartbeat),
            self_end_ms: millis(timing().self_end),
            timing: timing().name.to_owned(),
            store_url: format!("file://{}", self.folder.root.display()),
            store_id: self.folder.id.clone(),
            probe: session.id.to_string(),
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            foreign_use: Some(foreign_use),
            house_id: house.to_string(),
        })
    }

    /// Stores the registration; returns the attempts that the worker runs a rank of without a lease, when its device counts as
    /// used by others, and the house's id.
    async fn register(&self, worker: &Registration, session: &Session) -> Result<(Vec<Uuid>, v1::ForeignUse, Uuid)> {
        let running = session.running();
        let mut tx = self.store.lane.begin().await?;
        if let Some(host) = workers::namesake(&mut tx, worker).await? {
            return Err(Error::Conflict(format!(
                "another worker is called {} and is there, on {host}: give this one another name with --name, or stop that one. A \
                 worker that has died gives its name free once it counts as lost",
                worker.name
            )));
        }
        let arrived = workers::register(&mut tx, worker, session.id).await?;
        // The registration counts as a heartbeat: nobody could renew these leases while the worker redialled.
        let held = leases::lock_renewable(&mut tx, &running, &[worker.id]).await?;
        let now = jobs::now(&mut tx).await?;
        leases::renew(&mut tx, &renewed(&held, &running, now)).await?;
        let WorkerLeases { leases, unreadable } = worker_leases::of_workers(&mut tx, &[worker.id]).await?;
        let stale = unleased(&leases, &running).map(|rank| rank.attempt);
        let stale: Vec<Uuid> = stale.filter(|attempt| !unreadable.contains(attempt)).collect();
        if arrived {
            let message = format!("{} on {} ({} {})", worker.name, worker.host, worker.device_kind, worker.device_name);
            events::append(&mut tx, About::worker(worker.id), "worker joined", &message).await?;
            let message = format!(
                "{} was declared lost and has reconnected with its rank of this attempt, which is lost: its reports are refused",
                worker.name
            );
            events::append_to_lost(&mut tx, &stale, worker.id, "refused", &message).await?;
        }
        let (_, policy) = policy::current(&mut tx).await?;
        let house = house::read(&mut tx).await?.id;
        notify(&mut tx, &[Topic::Schedule, Topic::Dispatch]).await?;
        tx.commit().await?;
        tracing::info!(worker = %worker.id, name = worker.name, device = worker.device_kind, running = running.len(), "worker registered");

        // The rank had reported, and the worker does not run it: the worker was restarted without its rank. (A rank
        // that never reported is assigned again.)
        let is_running = |lease: &WorkerLease| running.iter().any(|rank| lease.is_for(rank));
        for lost in leases.iter().filter(|lease| lease.has_reported && !is_running(lease)) {
            let end = RankEnd { outcome: RankOutcome::Lost, cause: "its worker was restarted without it".to_owned() };
            retry(|| async {
                let mut tx = self.store.lane.begin().await?;
                conclude(&mut tx, lost.attempt, |lease| (lease.rank == lost.rank).then(|| end.clone())).await?;
                Ok(tx.commit().await?)
            })
            .await?;
        }
        Ok((stale, foreign_use(&policy), house))
    }

    pub(crate) async fn close(&self, session: &Session) -> Result<()> {
        self.sessions.remove(session.id);
        // As with registrations. It waits as long as it must: its stream has ended.
        let _turn = self.registering.acquire().await;
        within(timing().statement_limit(), self.store_end(session)).await
    }

    async fn store_end(&self, session: &Session) -> Result<()> {
        let mut tx = self.store.lane.begin().await?;
        let gone = workers::end_session(&mut tx, session.worker, session.id, session.silent_for()).await?;
        if gone {
            let message = format!("{} left", session.name);
            events::append(&mut tx, About::worker(session.worker), "worker left", &message).await?;
        }
        notify(&mut tx, &[Topic::Schedule]).await?;
        tx.commit().await?;
        tracing::info!(worker = %session.worker, name = session.name, gone, "stream of a worker ended");
        Ok(())
    }

    pub(crate) async fn drain(&self, session: &Session) -> Result<()> {
        within(timing().statement_limit(), self.store_drain(session)).await
    }

    async fn store_drain(&self, session: &Session) -> Result<()> {
        let mut tx = self.store.lane.begin().await?;
        if workers::drain(&mut tx, session.worker, session.id).await? {
            let message = format!("{} takes nothing new and leaves", session.name);
            events::append(&mut tx, About::worker(session.worker), "worker drains", &message).await?;
            notify(&mut tx, &[Topic::Schedule]).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Stores which data sets a worker sees.
    pub(crate) async fn announce(&self, session: &Session, seen: &Announced) -> Result<()> {
        let store = async {
            let mut tx = self.store.reports.begin().await?;
            if workers::set_datasets(&mut tx, session.worker, session.id, seen).await? {
                notify(&mut tx, &[Topic::Schedule]).await?;
            }
            Ok(tx.commit().await?)
        };
        within(timing().report_limit(), store).await
    }

    pub(crate) async fn run(&self, closing: &CancellationToken) {
        let mut poll = interval(timing::SCHEDULE_POLL);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.notifier.dispatch.notified() => {}
                _ = poll.tick() => {}
            }
            if let Err(error) = self.pass().await {
                tracing::warn!(%error, "cannot send instructions to workers; trying again");
            }
        }
    }

    async fn pass(&self) -> Result<()> {
        // Read before the leases: every rank reported here had its lease by then, so a missing one was released.
        let sessions = self.sessions.all();
        if sessions.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.worker).collect();
        let running: Vec<_> = sessions.iter().map(|session| session.running()).collect();
        let read = async { Ok(worker_leases::of_workers(&mut *self.store.lane.conn().await?, &ids).await?) };
        let WorkerLeases { leases, unreadable } = within(timing().statement_limit(), read).await?;
        let mut by_worker: HashMap<Uuid, Vec<&WorkerLease>> = HashMap::new();
        for lease in &leases {
            by_worker.entry(lease.worker).or_default().push(lease);
        }
        for (session, running) in sessions.iter().zip(&running) {
            let theirs = by_worker.remove(&session.worker).unwrap_or_default();
            for lease in &theirs {
                let runs = running.iter().any(|rank| lease.is_for(rank));
                for instruction in due(lease, runs, |instruction| session.was_sent(lease.attempt, instruction)) {
                    let instruct = self.instruct(session, lease, instruction);
                    match within(timing().statement_limit(), instruct).await {
                        Err(error) if error.is_absence() => return Err(error),
                        // It holds up no other worker.
                        Err(error) => tracing::error!(attempt = %lease.attempt, ?instruction, %error, "cannot be sent"),
                        Ok(()) => {}
                    }
                }
            }
            for rank in unleased(theirs.iter().copied(), running) {
                if unreadable.contains(&rank.attempt) {
                    continue;
                }
                let reason = "the attempt is over".to_owned();
                let stop =
                    v1::Stop { attempt_id: rank.attempt.to_string(), fence: rank.fence, graceful: false, reason };
                session.send_once(rank.attempt, Instruction::Stop, Message::Stop(stop));
            }
        }
        Ok(())
    }

    async fn instruct(&self, session: &Session, lease: &WorkerLease, instruction: Instruction) -> Result<()> {
        let (attempt_id, fence) = (lease.attempt.to_string(), lease.fence);
        let message = match instruction {
            Instruction::Assign => match self.assignment(session, lease).await? {
                Some(assignment) => Message::Assignment(assignment),
                None => return Ok(()),
            },
            Instruction::Rendezvous => {
                let Some((host, port)) = lease.rendezvous.clone() else { return Ok(()) };
                Message::Rendezvous(v1::Rendezvous { attempt_id, fence, host, port })
            }
            Instruction::StopGracefully => {
                let Some(reason) = lease.stop.clone() else { return Ok(()) };
                Message::Stop(v1::Stop { attempt_id, fence, graceful: true, reason })
            }
            Instruction::Stop => {
                let reason = format!("attempt {} {}: {}", lease.number, lease.state, lease.cause);
                Message::Stop(v1::Stop { attempt_id, fence, graceful: false, reason })
            }
        };
        session.send_once(lease.attempt, instruction, message);
        Ok(())
    }

    /// Stores that the rank was dispatched, then makes the message: a rank that is not stored as dispatched was started
    /// by no worker. `None` if the lease was released meanwhile.
    async fn assignment(&self, session: &Session, lease: &WorkerLease) -> Result<Option<v1::Assignment>> {
        let mut tx = self.store.lane.begin().await?;
        if !leases::mark_dispatched(&mut tx, lease.attempt, lease.rank, lease.worker).await? {
            return Ok(None);
        }
        let (spec_json, images_sha256) = jobs::spec_json(&mut tx, lease.job).await?;
        let inputs = files::inputs(&mut tx, lease.job).await?;
        let mut checkpoints = files::checkpoints(&mut tx, lease.job, CHECKPOINTS_OFFERED).await?;
        let kept = files::kept_steps(&mut tx, lease.job).await?;
        checkpoints.retain(|checkpoint| kept.contains(&checkpoint.step));
        let replay = reproductions::replay(&mut tx, lease.job).await?;
        checkpoints.extend(replay.as_ref().and_then(|replay| replay.from.clone()));
        let again = if lease.is_dispatched { " again" } else { "" };
        let message = format!("sent{again} to {} as rank {} of {}", session.name, lease.rank, lease.world_size);
        let about = About { worker: Some(lease.worker), ..About::attempt(lease.job, lease.attempt) };
        events::append(&mut tx, about, "dispatched", &message).await?;
        tx.commit().await?;
        Ok(Some(v1::Assignment {
            attempt_id: lease.attempt.to_string(),
            job_id: lease.job.to_string(),
            fence: lease.fence,
            number: lease.number,
            rank: lease.rank,
            world_size: lease.world_size,
            spec_json,
            images_sha256,
            inputs: inputs.into_iter().map(convert::artifact).collect(),
            checkpoints: checkpoints.into_iter().map(convert::checkpoint).collect(),
            replay: replay.map(convert::replay),
        }))
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn foreign_use(house: &HousePolicy) -> v1::ForeignUse {
    let ForeignUse { memory_mb, utilization, after } = house.foreign_use;
    let seconds = after.map_or(0, |after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX));
    v1::ForeignUse { memory_bytes: memory_mb.saturating_mul(1_000_000), utilization, seconds }
}
