//! Files are kept while a backup is taken: by a row that is renewed for as long as it goes on, and expires by itself.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::failed::Failed;
use crate::store::{
    Store,
    audit::{self, Entry},
    backups, retry,
};

/// For so long after the last renewal. A backup that was killed holds files back no longer.
const KEEP: Duration = Duration::from_secs(300);
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// However slow the disks are, nobody's files are held back for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const END_WITHIN: Duration = Duration::from_secs(10);

/// Who takes it, for people.
pub(super) const WHO: &str = "tandem-server backup";

/// From now on files are kept.
pub(super) async fn begin(store: &Store, id: Uuid, out: &str) -> Result<(), Failed> {
    let begun = retry(|| async {
        let mut tx = store.begin().await?;
        backups::begin(&mut tx, id, WHO, KEEP).await?;
        let entry = Entry {
            who: WHO.to_owned(),
            origin: "the database".to_owned(),
            what: "backup".to_owned(),
            object: out.to_owned(),
            outcome: "begun".to_owned(),
            ..Entry::default()
        };
        audit::append(&mut tx, &[entry]).await?;
        Ok(tx.commit().await?)
    });
    Ok(begun.await?)
}

/// Renews it; returns why it cannot be relied on any more.
pub(super) async fn renew(store: &Store, id: Uuid) -> Failed {
    loop {
        sleep(RENEW_EVERY).await;
        let renewed = retry(|| async {
            let mut tx = store.begin().await?;
            let renewed = backups::renew(&mut tx, id, KEEP, LONGEST).await?;
            tx.commit().await?;
            Ok(renewed)
        });
        match timeout(KEEP - RENEW_EVERY, renewed).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                return gave_up(&format!("it took longer than {} h, or was not heard of", LONGEST.as_secs() / 3600));
            }
            // It is tried again, for as long as the row holds.
            Ok(Err(error)) if !error.is_absence() => return gave_up(&error.to_string()),
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the row that has files kept; trying again"),
            Err(_) => return gave_up("the database has not answered"),
        }
    }
}

fn gave_up(why: &str) -> Failed {
    Failed::temporary(format!(
        "the backup was given up, as files are not kept for it any more: {why}; nothing of it is left"
    ))
}

/// Files may be removed again.
pub(super) async fn end(store: &Store, id: Uuid) {
    let ended = retry(|| async {
        let mut tx = store.begin().await?;
        backups::end(&mut tx, id).await?;
        Ok(tx.commit().await?)
    });
    if !matches!(timeout(END_WITHIN, ended).await, Ok(Ok(()))) {
        tracing::warn!("cannot say that the backup is over: files are kept for {} s more", KEEP.as_secs());
    }
}
