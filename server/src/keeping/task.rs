//! What the leader does by itself: removing what was decided to go, once a day cleaning, and adding up who has how much.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    clean::{self, Cursor},
    remove,
};
use crate::{
    error::Result,
    sharing::policy,
    store::{Store, audit::Entry, leader, retention, stored},
    store_folder::StoreFolder,
};

/// How often it is looked for what is to be removed.
const EVERY: Duration = Duration::from_secs(5);
/// How often for whether the house is to be cleaned, and for changes to be added up.
const RARELY: Duration = Duration::from_secs(60);
/// Changes that one statement adds up.
const CHANGES: i64 = 20_000;
/// Between steps of cleaning: others have their turn.
const PAUSE: Duration = Duration::from_millis(50);

/// While this coordinator leads.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) folder: StoreFolder,
    /// As the scheduler holds the leader row by.
    pub(crate) holder: Uuid,
}

impl Keeper {
    pub(crate) async fn run(self, closing: CancellationToken) {
        let (mut rare, mut failing) = (None::<Instant>, false);
        loop {
            let is_rare = rare.is_none_or(|last| last.elapsed() >= RARELY);
            let passed = tokio::select! {
                passed = self.pass(is_rare) => passed,
                () = closing.cancelled() => return,
            };
            match &passed {
                Err(error) if !failing => tracing::warn!(%error, "nothing is removed from the store for now"),
                Ok(()) if failing => tracing::info!("what is to go is removed again"),
                _ => {}
            }
            failing = passed.is_err();
            if is_rare {
                rare = Some(Instant::now());
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = sleep(EVERY) => {}
            }
        }
    }

    pub(crate) async fn pass(&self, is_rare: bool) -> Result<()> {
        if !self.leads().await? {
            return Ok(());
        }
        while remove::remove_some(&self.store, &self.folder).await? {}
        if is_rare {
            while stored::add_up(&mut *self.store.reader().await?, CHANGES).await? == CHANGES {}
            self.clean().await?;
        }
        Ok(())
    }

    async fn leads(&self) -> Result<bool> {
        Ok(leader::is_held_by(&mut *self.store.reader().await?, self.holder).await?)
    }

    /// All that the policy does not keep, unless that was done today. What breaks off begins anew: what is done is done.
    async fn clean(&self) -> Result<()> {
        {
            let mut conn = self.store.reader().await?;
            let (_, house) = policy::current(&mut conn).await?;
            if !house.retention.removes() || retention::is_clean(&mut conn).await? {
                return Ok(());
            }
        }
        let by = Entry {
            who: "policy".to_owned(),
            via: "leader".to_owned(),
            what: "Keeping/Clean".to_owned(),
            outcome: "done".to_owned(),
            ..Entry::default()
        };
        let mut cursor = Some(Cursor::FIRST);
        while let Some(at) = cursor {
            if !self.leads().await? {
                return Ok(());
            }
            let step = clean::step(&self.store, at, Some(&by)).await?;
            if step.cleaned.objects > 0 {
                let clean::Cleaned { objects, items, bytes, .. } = step.cleaned;
                tracing::info!(what = step.what, objects, items, bytes, "cleaned, as the policy says");
            }
            cursor = step.next;
            sleep(PAUSE).await;
        }
        Ok(retention::set_clean(&mut *self.store.reader().await?).await?)
    }
}
