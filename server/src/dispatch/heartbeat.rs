//! Heartbeats: kept in memory as they come, stored together every one or two seconds.
//!
//! What is written is one row for all workers of this coordinator, because heartbeats are the only steady load on the
//! database: see `migrations/0014_heartbeats.sql`. A heartbeat is acknowledged only after it is stored.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
};

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::timing::timing;
use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Dispatcher,
    heard::{Stored, is_kept, merged, renewed},
    sessions::{Heartbeat, Session},
};
use crate::{
    error::Result,
    store::{
        heartbeats::{self, Heard},
        jobs,
        leases::{self, ReportedRank},
        within, workers,
    },
};

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
        let reported: Vec<ReportedRank> =
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
        let now = jobs::now(&mut tx).await?;
        heartbeats::put(&mut tx, self.id, &self.remember(now, &heard, &leased)).await?;
        tx.commit().await?;
        // Not earlier: a worker relies on its lease from the heartbeat that was acknowledged.
        let leased: HashSet<(Uuid, u32)> = leased.into_iter().map(|(attempt, rank, _)| (attempt, rank)).collect();
        for (session, heartbeat) in &heard {
            let has_lease = |rank: &ReportedRank| leased.contains(&(rank.attempt, rank.rank));
            let is_right = heartbeat.running.iter().all(|rank| has_lease(rank) || session.has_ended(rank));
            if is_right && session.set_stored(heartbeat) {
                session.send(Message::HeartbeatAck(v1::HeartbeatAck { sequence: heartbeat.sequence }));
            }
        }
        Ok(())
    }

    /// What is to be written: the newest heartbeats, and the last ones of streams that have ended.
    fn remember(
        &self,
        now: DateTime<Utc>,
        newest: &[(&Session, Heartbeat)],
        leased: &[(Uuid, u32, Uuid)],
    ) -> Vec<Heard> {
        let mut by_worker: HashMap<Uuid, Vec<(Uuid, u32, Uuid)>> = HashMap::new();
        for lease in leased {
            by_worker.entry(lease.2).or_default().push(*lease);
        }
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        for (session, Heartbeat { received_at, running, facts, .. }) in newest {
            let before = stored.remove(&session.id);
            // One that was stored before keeps its time.
            let known = before.as_ref().filter(|before| before.received_at == *received_at);
            let age = TimeDelta::from_std(received_at.elapsed()).unwrap_or_default();
            let at = known.map_or(now - age, |known| known.heard.at);
            let held = by_worker.get(&session.worker).map(Vec::as_slice).unwrap_or_default();
            let before = before.map(|before| before.heard.leases).unwrap_or_default();
            let leases = merged(&before, renewed(held, running, at), now);
            let heard = Heard { worker: session.worker, at, facts: facts.clone(), leases };
            stored.insert(session.id, Stored { received_at: *received_at, heard });
        }
        stored.retain(|_, stored| is_kept(stored.heard.at, now));
        stored.values().map(|stored| stored.heard.clone()).collect()
    }
}
