//! Heartbeats: kept in memory as they come, stored together every one or two seconds.
//!
//! There is one statement for all leases and one for all workers, whatever their number, because heartbeats are the
//! only steady load on the database. A heartbeat is acknowledged only after it is stored.

use tandem_domain::timing::timing;
use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Dispatcher,
    sessions::{PendingHeartbeat, Session},
};
use crate::{
    error::Result,
    store::{
        leases::{self, ReportedRank},
        within,
        workers::{self, Sighting},
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
        let pending: Vec<(&Session, PendingHeartbeat)> =
            sessions.iter().filter_map(|session| Some((&**session, session.take_pending()?))).collect();
        let mut conn = self.store.lane.conn().await?;
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.id).collect();
        let valid = workers::valid_sessions(&mut conn, &ids).await?;
        for session in sessions.iter().filter(|session| !valid.contains(&session.id)) {
            session.superseded.cancel();
        }
        let pending: Vec<_> = pending.into_iter().filter(|(session, _)| valid.contains(&session.id)).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let age = |heartbeat: &PendingHeartbeat| heartbeat.received_at.elapsed().as_secs_f64();
        let ages: Vec<(Uuid, f64)> =
            pending.iter().map(|(session, heartbeat)| (session.worker, age(heartbeat))).collect();
        let reported: Vec<ReportedRank> =
            pending.iter().flat_map(|(_, heartbeat)| heartbeat.running.iter().cloned()).collect();
        let mut leased = leases::renew(&mut conn, &reported, &ages).await?;
        let skipped: Vec<ReportedRank> =
            reported.into_iter().filter(|rank| !leased.contains(&(rank.attempt, rank.rank))).collect();
        if !skipped.is_empty() {
            // Their leases are locked by a report that is being stored. It renews them too, and nobody can take them
            // over while it holds the lock.
            leased.extend(leases::live(&mut conn, &skipped).await?);
        }
        let sighting = |(session, heartbeat): &(&Session, PendingHeartbeat)| Sighting {
            worker: session.worker,
            session: session.id,
            age: age(heartbeat),
            facts: heartbeat.facts.clone(),
        };
        workers::seen(&mut conn, &pending.iter().map(sighting).collect::<Vec<_>>()).await?;
        // Not earlier: a worker relies on its lease from the heartbeat that was acknowledged.
        for (session, heartbeat) in &pending {
            let has_lease = |rank: &ReportedRank| leased.contains(&(rank.attempt, rank.rank));
            if heartbeat.running.iter().all(|rank| has_lease(rank) || session.has_ended(rank)) {
                session.send(Message::HeartbeatAck(v1::HeartbeatAck { sequence: heartbeat.sequence }));
            }
        }
        Ok(())
    }
}
