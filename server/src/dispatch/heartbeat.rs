//! Heartbeats: kept in memory as they come, written down together every one or two seconds.
//!
//! One statement for all leases and one for all workers, whatever their number: heartbeats are the only steady load on
//! the database. A heartbeat is acknowledged once it is written down, never before.

use tandem_domain::timing::timing;
use tandem_proto::v1::{self, coordinator_message::Message};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Dispatcher,
    sessions::{News, Session},
};
use crate::{
    error::Result,
    store::{
        leases::{self, Held},
        workers::{self, Sign},
    },
};

impl Dispatcher {
    /// Renews leases until `closing`.
    pub(crate) async fn renew(&self, closing: &CancellationToken) {
        let mut tick = interval(timing().lease_write);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.write_down().await {
                // A coordinator that cannot renew leases must not look as if it could: its workers dial another one, or
                // know that nobody is there.
                let streams = self.sessions.all();
                if !streams.is_empty() {
                    tracing::warn!(%error, streams = streams.len(), "heartbeats were not written down; streams end");
                }
                streams.iter().for_each(|session| session.superseded.cancel());
            }
        }
    }

    async fn write_down(&self) -> Result<()> {
        let sessions = self.sessions.all();
        if sessions.is_empty() {
            return Ok(());
        }
        let news: Vec<(&Session, News)> =
            sessions.iter().filter_map(|session| Some((&**session, session.take_news()?))).collect();
        let mut conn = self.store.conn().await?;
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.id).collect();
        let valid = workers::valid_sessions(&mut conn, &ids).await?;
        for session in sessions.iter().filter(|session| !valid.contains(&session.id)) {
            session.superseded.cancel();
        }
        let news: Vec<_> = news.into_iter().filter(|(session, _)| valid.contains(&session.id)).collect();
        if news.is_empty() {
            return Ok(());
        }
        let age = |news: &News| news.heard_at.elapsed().as_secs_f64();
        let heard: Vec<(Uuid, f64)> = news.iter().map(|(session, news)| (session.worker, age(news))).collect();
        let held: Vec<Held> = news.iter().flat_map(|(_, news)| news.running.iter().cloned()).collect();
        let mut vouched_for = leases::renew(&mut conn, &held, &heard).await?;
        let skipped: Vec<Held> =
            held.into_iter().filter(|held| !vouched_for.contains(&(held.attempt, held.rank))).collect();
        if !skipped.is_empty() {
            // Locked by a report that is being stored, which renews it too: as long as that takes, nobody can take it over.
            vouched_for.extend(leases::live(&mut conn, &skipped).await?);
        }
        let sign = |(session, news): &(&Session, News)| Sign {
            worker: session.worker,
            session: session.id,
            age: age(news),
            facts: news.facts.clone(),
        };
        workers::seen(&mut conn, &news.iter().map(sign).collect::<Vec<_>>()).await?;
        // Only now: a worker counts on its lease from the heartbeat that was acknowledged, so that one was written first.
        for (session, news) in &news {
            if news.running.iter().all(|held| vouched_for.contains(&(held.attempt, held.rank))) {
                session.send(Message::HeartbeatAck(v1::HeartbeatAck { sequence: news.sequence }));
            }
        }
        Ok(())
    }
}
