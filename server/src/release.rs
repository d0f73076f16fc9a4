//! Ends the quarantine of a worker at a person's request.

use tandem_domain::access::identity::Person;

use crate::{
    error::{Error, Result},
    sharing::withhold::worker_named,
    store::{
        Store,
        audit::{self, Entry},
        events::{self, About},
        notify::{Topic, notify},
        workers::{self, WorkerRow},
    },
};

/// Releases a worker, by name or id; returns it as it is now, and whether it was quarantined.
pub(crate) async fn release(store: &Store, by: &Person, worker: &str) -> Result<(WorkerRow, bool)> {
    let mut tx = store.begin().await?;
    let id = worker_named(&mut tx, worker).await?.id;
    let was_quarantined = workers::release(&mut tx, id).await?;
    audit::append(&mut tx, &[Entry::done(by, "Fleet/Release", worker, "")]).await?;
    if was_quarantined {
        events::append(
            &mut tx,
            About::worker(id),
            "worker released",
            &format!("may have jobs again, by request of {}", by.name),
        )
        .await?;
        notify(&mut tx, &[Topic::Schedule]).await?;
    }
    let row = workers::list(&mut tx).await?.into_iter().find(|row| row.id == id);
    tx.commit().await?;
    let row = row.ok_or_else(|| Error::NotFound(format!("worker `{worker}` has just left")))?;
    Ok((row, was_quarantined))
}
