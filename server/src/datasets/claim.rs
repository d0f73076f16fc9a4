//! Takes a name for a data set that is about to arrive.

use tandem_domain::{
    access::identity::Person,
    datasets::{Claim, Known, Refusal, Room, Wanted, check_shadow, claim},
    images::Announced,
};

use super::free;
use crate::{
    error::{Error, Result},
    store::{
        Store,
        datasets::{self, DatasetRow},
        retry, signed, unsigned, workers,
    },
    store_folder::StoreFolder,
};

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(why) => Self::Invalid(why),
            Refusal::Taken(why) => Self::Conflict(why),
            Refusal::Full(why) => Self::Full(why),
        }
    }
}

/// What a wish came to.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// It is there already.
    There(DatasetRow),
    Arrives,
}

/// Takes the name, if it may be had and there is room. `limit`: bytes that a person may keep.
pub(crate) async fn take(
    store: &Store,
    folder: &StoreFolder,
    by: &Person,
    wanted: &Wanted,
    limit: u64,
) -> Result<Claimed> {
    wanted.check()?;
    let free = free(folder).await?;
    let Wanted { name, sha256, bytes } = wanted;
    retry(|| async {
        let mut tx = store.begin().await?;
        datasets::lock(&mut tx).await?;
        let known = datasets::list(&mut tx, Some(name)).await?.pop();
        let [used, count, all] = datasets::used(&mut tx, &by.name, name).await?.map(unsigned);
        if known.is_none() {
            let seen = workers::announcements(&mut tx).await?;
            check_shadow(name, by.is_admin(), &own_folders(name, &seen))?;
        }
        let arrived = known.as_ref().filter(|known| known.sha256 == *sha256).map_or(0, |known| unsigned(known.arrived));
        // What has arrived is on the disk already.
        let free = free.saturating_add(arrived);
        let room = Room { used, count, all, limit, free };
        let made = claim(wanted, &by.name, known.as_ref().map(facts).as_ref(), room)?;
        let claimed = match (made, known) {
            (Claim::There, Some(row)) => Claimed::There(row),
            (Claim::Begin | Claim::BeginAnew, _) => {
                if !datasets::begin(&mut tx, name, &by.name, sha256, signed(*bytes)).await? {
                    return Err(Error::Conflict(format!("somebody else has just put `folder:{name}`")));
                }
                Claimed::Arrives
            }
            (Claim::GoOn | Claim::There, _) => Claimed::Arrives,
        };
        tx.commit().await?;
        Ok(claimed)
    })
    .await
}

/// Workers that have an image folder of that name in their own data folders.
fn own_folders(name: &str, seen: &[(String, Option<Announced>)]) -> Vec<String> {
    let dataset = format!("folder:{name}");
    let has_it =
        |announced: &&Announced| announced.datasets.iter().any(|seen| seen.name == dataset && seen.stored.is_empty());
    seen.iter().filter(|(_, seen)| seen.as_ref().filter(has_it).is_some()).map(|(worker, _)| worker.clone()).collect()
}

fn facts(row: &DatasetRow) -> Known {
    Known {
        owner: row.owner.clone(),
        sha256: row.sha256.clone(),
        bytes: unsigned(row.bytes),
        is_stored: row.stored_at.is_some(),
    }
}
