//! Reads back what jobs made: a job has succeeded when its artifacts are in the store with the size and the SHA-256 that
//! their ranks reported.
//!
//! Every coordinator does this beside its other work. Nothing of it is stored before it is decided, so a coordinator may be
//! killed at any moment and another begins anew; if two come to an end, the second changes nothing.

mod outcome;
mod read;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_domain::{
    read_back::{Reading, Tries, Verified},
    timing::{READ_BACK_AGAIN, SCHEDULE_POLL, timing},
};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    notifier::Notifier,
    store::{Store, retry, verifying, within},
    store_folder::StoreFolder,
};
use outcome::{Damage, explain, settle_verified};
use read::{Pending, read};

/// The most attempts that are read at a time: one that is slow or hangs holds up no other.
const READERS: usize = 4;
/// The most attempts that are tried again and again; others wait until one of these is decided.
const KNOWN_MAX: usize = 1000;

/// Reads artifacts back until it is told to stop.
pub(crate) struct Verifier {
    store: Store,
    folder: StoreFolder,
    notifier: Arc<Notifier>,
    /// Of this coordinator, for people.
    name: String,
    known: HashMap<Uuid, Known>,
    reading: JoinSet<Ended>,
}

/// A reading that has ended: of which attempt, when it began, and what it came to.
type Ended = (Uuid, Duration, Reading);

/// An attempt that was tried, or is.
#[derive(Default)]
struct Known {
    tries: Tries,
    /// When it is tried again; `None` while it is read.
    due: Option<Duration>,
    pending: Pending,
}

impl Verifier {
    pub(crate) fn new(store: Store, folder: StoreFolder, notifier: Arc<Notifier>, name: String) -> Self {
        Self { store, folder, notifier, name, known: HashMap::new(), reading: JoinSet::new() }
    }

    /// Reads back until `closing`; what is under way then is left to the next coordinator.
    pub(crate) async fn run(mut self, closing: &CancellationToken) {
        let began = Instant::now();
        let mut failed = false;
        let work = async {
            loop {
                let outcome = self.start_due(began.elapsed()).await;
                match &outcome {
                    Err(error) if !failed => tracing::warn!(%error, "artifacts are not read back"),
                    Ok(()) if failed => tracing::info!("artifacts are read back again"),
                    _ => {}
                }
                failed = outcome.is_err();
                tokio::select! {
                    Some(ended) = self.reading.join_next() => self.ended(ended, began.elapsed()).await,
                    () = self.notifier.verify.notified(), if !failed => {}
                    () = tokio::time::sleep(SCHEDULE_POLL) => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = closing.cancelled() => {}
        }
    }

    /// Reads what is due once, and waits for the ends.
    #[cfg(test)]
    pub(crate) async fn round(&mut self, now: Duration) -> Result<()> {
        self.start_due(now).await?;
        while let Some(ended) = self.reading.join_next().await {
            self.ended(ended, now).await;
        }
        Ok(())
    }

    /// Starts to read attempts that were not tried yet, then those whose wait is over.
    async fn start_due(&mut self, now: Duration) -> Result<()> {
        let free = READERS.saturating_sub(self.reading.len());
        if free == 0 {
            return Ok(());
        }
        let known: Vec<Uuid> = self.known.keys().copied().collect();
        let mut waited: Vec<(Duration, Uuid)> =
            self.known.iter().filter_map(|(id, known)| Some((known.due.filter(|due| *due <= now)?, *id))).collect();
        waited.sort_unstable();
        let room = free.min(KNOWN_MAX.saturating_sub(known.len()));
        let found = within(timing().report_limit(), async {
            let mut conn = self.store.reports.conn().await?;
            let new = verifying::next(&mut conn, &known, i64::try_from(room).unwrap_or(0)).await?;
            let mut found = Vec::new();
            for attempt in new.into_iter().chain(waited.into_iter().map(|(_, id)| id)).take(free) {
                found.push((attempt, verifying::written(&mut conn, attempt).await?));
            }
            Ok(found)
        });
        for (attempt, written) in found.await? {
            if written.is_empty() {
                // Cancelled, or another coordinator has decided.
                self.known.remove(&attempt);
                continue;
            }
            let known = self.known.entry(attempt).or_default();
            known.due = None;
            let (folder, pending) = (self.folder.clone(), known.pending.clone());
            self.reading.spawn(async move { (attempt, now, read(folder, written, pending).await) });
        }
        Ok(())
    }

    /// Draws the conclusion from one reading.
    async fn ended(&mut self, ended: Result<Ended, JoinError>, now: Duration) {
        let (attempt, began, reading) = match ended {
            Ok(ended) => ended,
            // Nothing cancels a reader but the end of all.
            Err(error) if error.is_cancelled() => return,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let Some(before) = self.known.get(&attempt).map(|known| known.tries) else { return };
        let mut tries = before;
        let verified = tries.after(began, &reading);
        let again = match (verified, self.store_outcome(attempt, &reading, verified).await) {
            (Verified::NotYet { wait, .. }, Ok(())) => Some((tries, wait)),
            (_, Ok(())) => None,
            (_, Err(error)) => {
                tracing::warn!(%attempt, %error, "what was read back is not stored; it is read again");
                Some((before, READ_BACK_AGAIN))
            }
        };
        match (again, self.known.get_mut(&attempt)) {
            (Some((tries, wait)), Some(known)) => (known.tries, known.due) = (tries, Some(now + wait)),
            _ => drop(self.known.remove(&attempt)),
        }
    }

    async fn store_outcome(&self, attempt: Uuid, reading: &Reading, verified: Verified) -> Result<()> {
        let limit = timing().report_limit();
        match (reading, verified) {
            (Reading::Unreadable(why), Verified::NotYet { is_news: true, .. }) => {
                tracing::warn!(%attempt, why, "artifacts cannot be read back yet");
                let reason = format!(
                    "coordinator {} cannot read back yet what it made: {why}; neither the job nor its workers are at \
                     fault, and it is tried again",
                    self.name
                );
                let transaction = async || {
                    let mut tx = self.store.reports.begin().await?;
                    explain(&mut tx, attempt, &reason).await?;
                    Ok(tx.commit().await?)
                };
                within(limit, retry(transaction)).await
            }
            (_, Verified::NotYet { .. }) => {
                tracing::debug!(%attempt, ?reading, "artifacts are not read back yet");
                Ok(())
            }
            (_, Verified::Whole | Verified::Damaged) => {
                let damage = match reading {
                    Reading::Damaged { rank, why } => Some(Damage { rank: *rank, why }),
                    _ => None,
                };
                let transaction = async || {
                    let mut tx = self.store.reports.begin().await?;
                    settle_verified(&mut tx, attempt, damage).await?;
                    Ok(tx.commit().await?)
                };
                within(limit, retry(transaction)).await
            }
        }
    }
}
