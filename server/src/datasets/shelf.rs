//! What is there, and how it goes.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use tandem_domain::access::identity::Person;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Files, UPLOADS, part};
use crate::{
    error::{Error, Result},
    store::{
        Store,
        audit::{self, Entry},
        backups,
        datasets::{self, DatasetRow},
        retry,
    },
    store_folder::{StepError, StoreFolder, step},
};

/// How often it is looked for what has been left unfinished, ...
const SWEEP_EVERY: Duration = Duration::from_secs(300);
/// ... for so long at most, as in `datasets::forgotten`.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Removes a data set, or what has arrived of one.
///
/// # Errors
/// `Forbidden` for somebody else's, `Refused` while jobs need it.
pub(crate) async fn remove(store: &Store, folder: &StoreFolder, by: &Person, name: &str) -> Result<DatasetRow> {
    let row = datasets::list(&mut *store.reader().await?, Some(name)).await?.pop();
    let row = row.ok_or_else(|| nothing(name))?;
    if !by.may_change(&row.owner) {
        return Err(Error::Forbidden(format!(
            "`folder:{name}` is a data set of {}; only an admin removes it",
            row.owner
        )));
    }
    let (count, first) = datasets::needed_by(&mut *store.reader().await?, &format!("folder:{name}")).await?;
    if let Some(first) = first {
        let jobs = if count == 1 { "1 job that has".to_owned() } else { format!("{count} jobs that have") };
        let first = first.get(..8).unwrap_or(&first);
        return Err(Error::Refused(format!(
            "`folder:{name}` is needed by {jobs} not ended, the first {first}; wait for that, or cancel"
        )));
    }
    if backups::is_taken(&mut *store.reader().await?).await? {
        return Err(Error::Refused(format!(
            "a backup is being taken, which reads `folder:{name}`, too; remove it when that is done"
        )));
    }
    // The row goes last: a coordinator that is killed in between leaves no file that nobody owns.
    part::remove(folder, &Files::of(&folder.root, name, &row.sha256)).await?;
    let removed = retry(|| async {
        let mut tx = store.begin().await?;
        if !datasets::remove(&mut tx, name, &row.sha256).await? {
            return Ok(false);
        }
        audit::append(&mut tx, &[Entry::done(by, "Data/Remove", format!("folder:{name}"), &row.owner)]).await?;
        tx.commit().await?;
        Ok(true)
    });
    if !removed.await? {
        return Err(nothing(name));
    }
    tracing::info!(by = by.name, name, "a data set was removed");
    Ok(row)
}

fn nothing(name: &str) -> Error {
    Error::NotFound(format!("nobody has put a data set `folder:{name}`; `tandem data list` shows all"))
}

/// Forgets now and then what was left unfinished for a day.
pub(crate) async fn sweep(store: Store, folder: StoreFolder, closing: CancellationToken) {
    loop {
        if let Err(error) = sweep_once(&store, &folder).await {
            tracing::warn!(%error, "unfinished data sets are not swept");
        }
        tokio::select! {
            () = sleep(SWEEP_EVERY) => {}
            () = closing.cancelled() => return,
        }
    }
}

async fn sweep_once(store: &Store, folder: &StoreFolder) -> Result<()> {
    for (name, sha256) in datasets::forgotten(&mut *store.reader().await?).await? {
        part::remove(folder, &Files::of(&folder.root, &name, &sha256)).await?;
        if datasets::remove(&mut *store.reader().await?, &name, &sha256).await? {
            tracing::info!(name, "a data set that was left unfinished is forgotten");
        }
    }
    let uploads = folder.root.join(UPLOADS);
    let swept = step(move || remove_old(&uploads, SystemTime::now())).await;
    swept.map_err(|error: StepError| super::away(folder, "sweep unfinished data sets", &error))
}

/// Of those that gave way to others there is no row.
fn remove_old(uploads: &Path, now: SystemTime) -> io::Result<()> {
    let entries = match fs::read_dir(uploads) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if now.duration_since(entry.metadata()?.modified()?).is_ok_and(|age| age > FORGOTTEN_AFTER) {
            // Of an import there is a folder.
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    Ok(())
}
