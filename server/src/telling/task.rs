//! The one sender: whichever coordinator leads.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tandem_domain::telling::retry::{self, Next};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{courier::Courier, gather};
use crate::{
    error::Result,
    meters,
    store::{
        Store, jobs, leader,
        tells::{self, Claimed},
    },
};

const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for what waits, and for what can be forgotten.
const RARELY: Duration = Duration::from_secs(30);
/// Messages on their way at a time, to as many targets.
const AT_A_TIME: usize = 16;
/// How long those may take to end when the coordinator does.
const LAST: Duration = Duration::from_secs(2);

/// Tells people, while this coordinator leads.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    pub(crate) store: Store,
    pub(crate) courier: Arc<Courier>,
    /// As the scheduler holds the leader row by.
    pub(crate) holder: Uuid,
}

impl Teller {
    pub(crate) async fn run(self, closing: CancellationToken) {
        let mut under_way = JoinSet::new();
        let (mut rare, mut failing) = (None, false);
        while !closing.is_cancelled() {
            let passed = self.pass(&mut under_way, &mut rare).await;
            match &passed {
                Err(error) if !failing => tracing::warn!(%error, "nobody is told anything for now"),
                Ok(()) if failing => tracing::info!("people are told again"),
                _ => {}
            }
            failing = passed.is_err();
            tokio::select! {
                () = closing.cancelled() => break,
                () = sleep(EVERY) => {}
                // A place is free: the next may go.
                Some(_) = under_way.join_next(), if under_way.len() >= AT_A_TIME => {}
            }
            while under_way.try_join_next().is_some() {}
        }
        // What does not end is tried again by the next leader, with the same id.
        let _ = timeout(LAST, async { while under_way.join_next().await.is_some() {} }).await;
    }

    async fn pass(&self, under_way: &mut JoinSet<()>, rare: &mut Option<Instant>) -> Result<()> {
        let Some((term, now)) = self.term().await? else { return Ok(()) };
        while gather::happened(&self.store, term, now).await? {}
        if rare.is_none_or(|last| last.elapsed() >= RARELY) {
            gather::waiting(&self.store, term, now).await?;
            tells::forget(&mut *self.store.reader().await?, now).await?;
            *rare = Some(Instant::now());
        }
        let free = AT_A_TIME.saturating_sub(under_way.len());
        for claimed in self.claim(term, now, free).await? {
            let teller = self.clone();
            under_way.spawn(async move { teller.send(&claimed).await });
        }
        Ok(())
    }

    /// The term and the database's time, if this coordinator leads.
    async fn term(&self) -> Result<Option<(i64, DateTime<Utc>)>> {
        let mut conn = self.store.reader().await?;
        let Some(term) = leader::term_of(&mut conn, self.holder).await? else { return Ok(None) };
        Ok(Some((term, jobs::now(&mut conn).await?)))
    }

    /// Takes what is due out of the outbox, for one try each.
    pub(crate) async fn claim(&self, term: i64, now: DateTime<Utc>, limit: usize) -> Result<Vec<Claimed>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.store.begin().await?;
        if !leader::is_current(&mut tx, term).await? {
            return Ok(Vec::new());
        }
        let claimed = tells::claim(&mut tx, now, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn send(&self, claimed: &Claimed) {
        let tried = self.courier.carry(claimed).await;
        let event = claimed.message.get("id").and_then(|id| id.as_str()).unwrap_or_default();
        if let Err(error) = self.settle(claimed, tried).await {
            // Whoever leads tries it again once the claim has ended.
            tracing::warn!(%error, event, target_id = claimed.target, "a message was tried, and how that went is not stored");
        }
    }

    /// Stores how a try went, by the database's time.
    async fn settle(&self, claimed: &Claimed, tried: retry::Tried) -> Result<()> {
        let mut conn = self.store.reader().await?;
        let now = jobs::now(&mut conn).await?;
        let next = retry::after(claimed.tries.unsigned_abs(), now, tried);
        // Never the address of a webhook: it may be a secret itself.
        let (tries, target) = (claimed.tries, claimed.target.as_str());
        meters::tell(match &next {
            Next::Sent => "sent",
            Next::Again { .. } => "failed",
            Next::GivenUp { .. } => "given up",
        });
        match &next {
            Next::Sent => tracing::info!(target_id = target, tries, "told"),
            Next::Again { at, why } => tracing::info!(target_id = target, tries, %at, why, "not told yet"),
            Next::GivenUp { why } => tracing::warn!(target_id = target, tries, why, "given up telling"),
        }
        tells::settle(&mut conn, claimed, now, &next).await?;
        Ok(())
    }
}
