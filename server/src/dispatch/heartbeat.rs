//! Heartbeats: kept in memory as they come, written down together every one or two seconds.
//!
//! One statement for all leases and one for all workers, whatever their number: heartbeats are the only steady load on
//! the database.

use tandem_domain::timing::timing;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Dispatcher, sessions::News};
use crate::{
    error::Result,
    store::{
        leases,
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
                tracing::warn!(%error, "heartbeats were not written down; trying again");
            }
        }
    }

    async fn write_down(&self) -> Result<()> {
        let sessions = self.sessions.all();
        if sessions.is_empty() {
            return Ok(());
        }
        let (mut signs, mut held) = (Vec::new(), Vec::new());
        for session in &sessions {
            if let Some(News { heard_at, running, facts }) = session.take_news() {
                let age = heard_at.elapsed().as_secs_f64();
                signs.push(Sign { worker: session.worker, session: session.id, age, facts });
                held.extend(running);
            }
        }
        let mut conn = self.store.conn().await?;
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.id).collect();
        let valid = workers::valid_sessions(&mut conn, &ids).await?;
        for session in sessions.iter().filter(|session| !valid.contains(&session.id)) {
            session.superseded.cancel();
        }
        signs.retain(|sign| valid.contains(&sign.session));
        let heard: Vec<(Uuid, f64)> = signs.iter().map(|sign| (sign.worker, sign.age)).collect();
        if !heard.is_empty() {
            leases::renew(&mut conn, &held, &heard).await?;
            workers::seen(&mut conn, &signs).await?;
        }
        Ok(())
    }
}
