//! Heartbeats: kept in memory as they come, stored together every one or two seconds.
//!
//! What is written is one row for all workers of this coordinator, because heartbeats are the only steady load on the
//! database: see `migrations/0014_heartbeats.sql`. A heartbeat is acknowledged only after it is stored.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
    time::{Duration, Instant},
};

use tandem_domain::timing::timing;
use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Dispatcher,
    sessions::{Heartbeat, Session},
};
use crate::{
    error::Result,
    store::{
        heartbeats::{self, Heard, RenewedLease},
        leases, within, workers,
    },
};

/// The last heartbeat of a session, as it was stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    received_at: Instant,
    worker: Uuid,
    facts: Option<serde_json::Value>,
    leases: Vec<RenewedLease>,
}

/// How long the last heartbeat of a stream that has ended is written again: its worker dials anew meanwhile, and its lease
/// runs from that heartbeat.
fn kept() -> Duration {
    timing().lease * 2
}

impl Dispatcher {
    pub(crate) async fn renew(&self, closing: &CancellationToken) {
        let mut tick = interval(timing().lease_write);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                _ = tick.tick() => {}
            }
            // One that stalls is as one that fails: nothing is acknowledged, and workers must know soon.
            if let Err(error) = within(timing().statement_limit(), self.store_heartbeats()).await {
                // A coordinator that cannot renew leases must not look as if it could. Without a stream its workers
                // dial another coordinator, or know that none can be reached.
                let streams = self.sessions.all();
                if !streams.is_empty() {
                    tracing::warn!(%error, streams = streams.len(), "heartbeats were not written down; streams end");
                }
                streams.iter().for_each(|session| session.superseded.cancel());
            }
        }
    }

    pub(crate) async fn store_heartbeats(&self) -> Result<()> {
        let sessions = self.sessions.all();
        if sessions.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.lane.begin().await?;
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.id).collect();
        let valid = workers::valid_sessions(&mut tx, &ids).await?;
        let is_valid = |session: &Session| valid.contains(&session.id);
        sessions.iter().filter(|session| !is_valid(session)).for_each(|session| session.superseded.cancel());
        let heard: Vec<(&Session, Heartbeat)> =
            sessions.iter().filter(|session| is_valid(session)).map(|session| (&**session, session.newest())).collect();
        let reported: Vec<leases::ReportedRank> =
            heard.iter().flat_map(|(_, heartbeat)| heartbeat.running.iter().cloned()).collect();
        let from: Vec<Uuid> = heard.iter().map(|(session, _)| session.worker).collect();
        // Locked until this is stored: nobody takes over what is renewed here.
        let mut leased = leases::lock_renewable(&mut tx, &reported, &from).await?;
        let locked: HashSet<(Uuid, u32)> = leased.iter().map(|(attempt, rank, _)| (*attempt, *rank)).collect();
        let skipped: Vec<_> =
            reported.iter().filter(|rank| !locked.contains(&(rank.attempt, rank.rank))).cloned().collect();
        if !skipped.is_empty() {
            // Their leases are locked by a report that is being stored, and nobody can take them over meanwhile.
            leased.extend(leases::live(&mut tx, &skipped).await?);
        }
        let stored = self.remember(&heard, &leased);
        let now = Instant::now();
        let row: Vec<Heard> = stored
            .values()
            .map(|stored| Heard {
                worker: stored.worker,
                age: now - stored.received_at,
                facts: stored.facts.clone(),
                leases: stored.leases.clone(),
            })
            .collect();
        heartbeats::put(&mut tx, self.id, &row).await?;
        tx.commit().await?;
        // Not earlier: a worker relies on its lease from the heartbeat that was acknowledged.
        let leased: HashSet<(Uuid, u32)> = leased.into_iter().map(|(attempt, rank, _)| (attempt, rank)).collect();
        for (session, heartbeat) in &heard {
            let holds_all = heartbeat.running.iter().all(|rank| leased.contains(&(rank.attempt, rank.rank)));
            if holds_all && session.set_stored(heartbeat) {
                session.send(Message::HeartbeatAck(v1::HeartbeatAck { sequence: heartbeat.sequence }));
            }
        }
        Ok(())
    }

    /// What is to be written: the newest heartbeats, and the last ones of streams that have ended.
    fn remember(&self, heard: &[(&Session, Heartbeat)], leased: &[(Uuid, u32, Uuid)]) -> HashMap<Uuid, Stored> {
        let mut by_worker: HashMap<Uuid, Vec<(Uuid, u32)>> = HashMap::new();
        for (attempt, rank, worker) in leased {
            by_worker.entry(*worker).or_default().push((*attempt, *rank));
        }
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        for (session, heartbeat) in heard {
            let leases = by_worker.get(&session.worker).into_iter().flatten().map(|&(attempt, rank)| {
                let reported = heartbeat.running.iter().find(|held| held.attempt == attempt && held.rank == rank);
                let (idle, slowest) = (reported.map(|held| held.idle), reported.and_then(|held| held.slowest));
                RenewedLease { attempt, rank, idle, slowest }
            });
            let (worker, facts) = (session.worker, heartbeat.facts.clone());
            let newest = Stored { received_at: heartbeat.received_at, worker, facts, leases: leases.collect() };
            stored.insert(session.id, newest);
        }
        stored.retain(|_, stored| stored.received_at.elapsed() < kept());
        stored.clone()
    }
}
