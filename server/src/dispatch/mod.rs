//! Tells workers what to do: assignments, where ranks meet, when to stop.
//!
//! Every coordinator looks after the workers whose streams it holds, whoever placed the job. What a worker has to be
//! told follows from its live leases in Postgres and from what it was told on this stream ([`next`]); nothing depends
//! on having seen an event.

mod heartbeat;
mod next;
pub(crate) mod sessions;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use tandem_domain::{state::RankOutcome, timing, timing::timing};
use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    convert,
    error::Result,
    hub::Hub,
    settle::{RankEnd, settle},
    store::{
        Store,
        duties::{self, Duty},
        events::{self, About},
        files, jobs, leases, retry,
        wake::{Wake, wake},
        workers::{self, Introduction},
    },
};
use next::{Step, steps, strays};
use sessions::{Session, Sessions};

/// Checkpoints that a rank is offered: if the newest is damaged there are others.
const CHECKPOINTS_OFFERED: i64 = 5;

pub(crate) struct Dispatcher {
    pub(crate) store: Store,
    pub(crate) hub: Arc<Hub>,
    pub(crate) sessions: Sessions,
    /// Folder of checkpoints and artifacts.
    pub(crate) root: PathBuf,
}

impl Dispatcher {
    /// Registers a worker and answers with what it runs that is not its any more.
    pub(crate) async fn open(&self, worker: &Introduction, session: &Session) -> Result<v1::Registered> {
        let running = session.running();
        let mut tx = self.store.begin().await?;
        let arrived = workers::register(&mut tx, worker, session.id).await?;
        // It has just been heard of, with all that it runs: as long as a redial takes, nobody could renew.
        leases::renew(&mut tx, &running, &[(worker.id, 0.0)]).await?;
        let duties = duties::of_workers(&mut tx, &[worker.id]).await?;
        let stale: Vec<Uuid> = strays(&duties, &running).map(|held| held.attempt).collect();
        if arrived {
            let message = format!("{} on {} ({} {})", worker.name, worker.host, worker.device_kind, worker.device_name);
            events::append(&mut tx, About::worker(worker.id), "worker joined", &message).await?;
            let message = format!(
                "{}, which was given up, is back with its rank of this attempt, which is lost: nothing of it counts any more",
                worker.name
            );
            events::append_to_lost(&mut tx, &stale, worker.id, "refused", &message).await?;
        }
        wake(&mut tx, &[Wake::Schedule, Wake::Dispatch]).await?;
        tx.commit().await?;
        tracing::info!(worker = %worker.id, name = worker.name, device = worker.device_kind, running = running.len(), "worker registered");

        // The rank had reported, and its worker knows nothing of it: the worker was restarted. (A rank that never
        // reported is assigned again.)
        for duty in duties.iter().filter(|duty| duty.has_reported && !running.iter().any(|held| duty.is(held))) {
            let end = RankEnd { outcome: RankOutcome::Lost, cause: "its worker was restarted without it".to_owned() };
            retry(|| async {
                let mut tx = self.store.begin().await?;
                settle(&mut tx, duty.attempt, |lease| (lease.rank == duty.rank).then(|| end.clone())).await?;
                Ok(tx.commit().await?)
            })
            .await?;
        }
        stale.iter().for_each(|&attempt| session.count_as_told(attempt, Step::Stop));
        Ok(v1::Registered {
            stale_attempt_ids: stale.iter().map(Uuid::to_string).collect(),
            heartbeat_ms: millis(timing().heartbeat),
            self_end_ms: millis(timing().self_end),
            timing: timing().name.to_owned(),
            store_url: format!("file://{}", self.root.display()),
        })
    }

    /// The stream ended.
    pub(crate) async fn close(&self, session: &Session) -> Result<()> {
        self.sessions.remove(session.id);
        let mut tx = self.store.begin().await?;
        let gone = workers::end_session(&mut tx, session.worker, session.id).await?;
        if gone {
            let message = format!("{} left", session.name);
            events::append(&mut tx, About::worker(session.worker), "worker left", &message).await?;
        }
        wake(&mut tx, &[Wake::Schedule]).await?;
        tx.commit().await?;
        tracing::info!(worker = %session.worker, name = session.name, gone, "stream of a worker ended");
        Ok(())
    }

    /// It takes nothing new.
    pub(crate) async fn drain(&self, session: &Session) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if workers::drain(&mut tx, session.worker).await? {
            let message = format!("{} takes nothing new and leaves", session.name);
            events::append(&mut tx, About::worker(session.worker), "worker drains", &message).await?;
            wake(&mut tx, &[Wake::Schedule]).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Looks after workers until `closing`.
    pub(crate) async fn run(&self, closing: &CancellationToken) {
        let mut poll = interval(timing::SCHEDULE_POLL);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.hub.dispatch.notified() => {}
                _ = poll.tick() => {}
            }
            if let Err(error) = self.pass().await {
                tracing::warn!(%error, "workers were not told what to do; trying again");
            }
        }
    }

    async fn pass(&self) -> Result<()> {
        // Before the leases are read: a worker may run what is released by then, never what is not yet assigned.
        let sessions = self.sessions.all();
        if sessions.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.worker).collect();
        let running: Vec<_> = sessions.iter().map(|session| session.running()).collect();
        let duties = duties::of_workers(&mut *self.store.conn().await?, &ids).await?;
        let mut by_worker: HashMap<Uuid, Vec<&Duty>> = HashMap::new();
        for duty in &duties {
            by_worker.entry(duty.worker).or_default().push(duty);
        }
        for (session, running) in sessions.iter().zip(&running) {
            let theirs = by_worker.remove(&session.worker).unwrap_or_default();
            for duty in &theirs {
                let runs = running.iter().any(|held| duty.is(held));
                for step in steps(duty, runs, |step| session.was_told(duty.attempt, step)) {
                    self.tell(session, duty, step).await?;
                }
            }
            for held in strays(theirs.iter().copied(), running) {
                let reason = "the attempt is over".to_owned();
                let stop =
                    v1::Stop { attempt_id: held.attempt.to_string(), fence: held.fence, graceful: false, reason };
                session.tell_once(held.attempt, Step::Stop, Message::Stop(stop));
            }
        }
        Ok(())
    }

    async fn tell(&self, session: &Session, duty: &Duty, step: Step) -> Result<()> {
        let (attempt_id, fence) = (duty.attempt.to_string(), duty.fence);
        let message = match step {
            Step::Assign => match self.assignment(session, duty).await? {
                Some(assignment) => Message::Assignment(assignment),
                None => return Ok(()),
            },
            Step::Meet => {
                let Some((host, port)) = duty.rendezvous.clone() else { return Ok(()) };
                Message::Rendezvous(v1::Rendezvous { attempt_id, fence, host, port })
            }
            Step::StopGently => {
                let Some(reason) = duty.stop.clone() else { return Ok(()) };
                Message::Stop(v1::Stop { attempt_id, fence, graceful: true, reason })
            }
            Step::Stop => {
                let reason = format!("attempt {} {}: {}", duty.number, duty.state, duty.cause);
                Message::Stop(v1::Stop { attempt_id, fence, graceful: false, reason })
            }
        };
        session.tell_once(duty.attempt, step, message);
        Ok(())
    }

    /// Written down before it is sent: what is not written down was never started by anybody.
    async fn assignment(&self, session: &Session, duty: &Duty) -> Result<Option<v1::Assignment>> {
        let mut tx = self.store.begin().await?;
        if !leases::mark_dispatched(&mut tx, duty.attempt, duty.rank, duty.worker).await? {
            return Ok(None);
        }
        let spec_json = jobs::spec_json(&mut tx, duty.job).await?;
        let inputs = files::inputs(&mut tx, duty.job).await?;
        let checkpoints = files::checkpoints(&mut tx, duty.job, CHECKPOINTS_OFFERED).await?;
        let again = if duty.is_dispatched { " again" } else { "" };
        let message = format!("sent{again} to {} as rank {} of {}", session.name, duty.rank, duty.world_size);
        let about = About { worker: Some(duty.worker), ..About::attempt(duty.job, duty.attempt) };
        events::append(&mut tx, about, "dispatched", &message).await?;
        tx.commit().await?;
        Ok(Some(v1::Assignment {
            attempt_id: duty.attempt.to_string(),
            job_id: duty.job.to_string(),
            fence: duty.fence,
            number: duty.number,
            rank: duty.rank,
            world_size: duty.world_size,
            spec_json,
            inputs: inputs.into_iter().map(convert::artifact).collect(),
            checkpoints: checkpoints.into_iter().map(convert::checkpoint).collect(),
        }))
    }
}

fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
