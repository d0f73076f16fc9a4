//! Takes away from the store what was decided to go: the row first, the files after it, again and again until they are gone.
//!
//! Nothing is removed but below the folder of the job that it is of, whatever a row says. And a file that is not there counts as
//! removed only in the store that this coordinator has opened: a mount that is away has no files either.

use std::{fs, io, path::Path, time::Duration};

use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        Store,
        removals::{self, Removal},
        retry,
    },
    store_folder::{StoreFolder, step_within},
    store_path::path_in_store,
};

/// Things that are removed one after the other before others have their turn.
const AT_A_TIME: i64 = 32;
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(60);
/// While it is tried, nobody else does.
const CLAIM: Duration = Duration::from_secs(600);
/// When it is looked for once more.
const AGAIN: Duration = Duration::from_secs(24 * 3600);
/// What cannot be removed is tried again after this long at first, and after six hours in the end.
const RETRY: Duration = Duration::from_secs(30);
const RETRY_MOST: Duration = Duration::from_secs(6 * 3600);
/// Rows that one statement takes away.
const ROWS: i64 = 10_000;
/// The longest reason, in bytes.
const REASON_MAX: usize = 500;

/// Removes what is due; returns whether there may be more.
///
/// # Errors
/// If the database or the store is away; what could not be removed is only noted.
pub(crate) async fn remove_some(store: &Store, folder: &StoreFolder) -> Result<bool> {
    let claimed = retry(|| async {
        let mut tx = store.reports.begin().await?;
        let claimed = removals::claim(&mut tx, CLAIM, AT_A_TIME).await?;
        tx.commit().await?;
        Ok(claimed)
    })
    .await?;
    for removal in &claimed {
        purge(store, removal).await?;
        let outcome = remove(folder, removal).await;
        let mut tx = store.reports.begin().await?;
        match &outcome {
            Ok(()) if removal.is_again => removals::done(&mut tx, removal.id).await?,
            Ok(()) => removals::removed(&mut tx, removal.id, AGAIN).await?,
            Err(why) => {
                tracing::warn!(job = %removal.job, path = removal.path, why, tries = removal.tries, "cannot remove it from the store yet");
                let why = &why[..why.floor_char_boundary(REASON_MAX)];
                let wait = RETRY.saturating_mul(1 << removal.tries.clamp(0, 12)).min(RETRY_MOST);
                removals::failed(&mut tx, removal.id, why, wait).await?;
            }
        }
        tx.commit().await?;
        if outcome.is_ok() && !removal.is_again {
            tracing::info!(job = %removal.job, path = removal.path, "removed from the store");
        }
    }
    Ok(claimed.len() as i64 == AT_A_TIME)
}

/// Takes away the long rows of a job that is deleted.
async fn purge(store: &Store, removal: &Removal) -> Result<()> {
    let mut left = removal.is_whole;
    while left {
        left = retry(|| async {
            let mut tx = store.reports.begin().await?;
            let left = removals::purge(&mut tx, removal.job, ROWS).await?;
            tx.commit().await?;
            Ok(left)
        })
        .await?;
    }
    Ok(())
}

async fn remove(folder: &StoreFolder, removal: &Removal) -> Result<(), String> {
    let relative = below(&removal.path, removal.job, &folder.root)?;
    let path = folder.root.join(relative);
    folder.is_seen().await?;
    let removed = step_within(LIMIT, move || remove_all(&path)).await;
    removed.map_err(|error| error.to_string())?;
    folder.is_seen().await
}

/// The path, if it is the folder of this job or lies in it.
fn below(path: &str, job: Uuid, root: &Path) -> Result<String, String> {
    let own = format!("jobs/{job}");
    let relative = path_in_store(path, root)?;
    match relative == own || relative.starts_with(&format!("{own}/")) {
        true => Ok(relative),
        false => Err(format!("`{path}` is not in the folder of its job ({own})")),
    }
}

/// A file, a link or a folder with all that is in it; nothing that a link leads to.
fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_but_what_is_of_the_job_itself() {
        let (job, root) = (Uuid::from_u128(7), Path::new("/srv/store"));
        let own = format!("jobs/{job}");
        assert_eq!(below(&own, job, root).as_deref(), Ok(own.as_str()));
        assert!(below(&format!("/srv/store/{own}/step-8"), job, root).is_ok());
        let other = format!("jobs/{}", Uuid::from_u128(8));
        for wrong in
            ["jobs", "datasets/x.tar", &other, &format!("{own}/../{other}"), &format!("{own}x"), "/etc/passwd", ""]
        {
            assert!(below(wrong, job, root).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_folder_goes_with_all_that_is_in_it_and_a_link_without_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        fs::create_dir_all(own.join("step-8")).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(own.join("step-8/weights"), "1").unwrap();
        fs::write(other.join("kept"), "1").unwrap();
        std::os::unix::fs::symlink(&other, own.join("link")).unwrap();
        remove_all(&own).unwrap();
        assert!(!own.exists() && other.join("kept").exists());
        remove_all(&own).unwrap();
        std::os::unix::fs::symlink(&other, &own).unwrap();
        remove_all(&own).unwrap();
        assert!(fs::symlink_metadata(&own).is_err() && other.join("kept").exists());
    }
}
