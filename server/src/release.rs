//! Ends the quarantine of a worker at a person's request.

use tandem_domain::access::identity::Person;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
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
    let known = workers::list(&mut tx).await?;
    let is_named = |row: &&WorkerRow| row.name == worker || worker.parse::<Uuid>().is_ok_and(|id| row.id == id);
    let found: Vec<&WorkerRow> = known.iter().filter(is_named).collect();
    let id = match found.as_slice() {
        [one] => one.id,
        [] => {
            let names: Vec<&str> = known.iter().map(|row| row.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Error::NotFound(format!("no worker `{worker}` here; there are: {names}")));
        }
        several => {
            let ids: Vec<String> = several.iter().map(|row| row.id.to_string()).collect();
            let ids = ids.join(", ");
            return Err(Error::Invalid(format!("several workers are called `{worker}`: say the id, one of {ids}")));
        }
    };
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
