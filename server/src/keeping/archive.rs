//! Takes experiments out of the lists, and back into them.

use tandem_domain::access::identity::Person;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Store, archive,
        audit::{self, Entry},
        experiments::{self, Submission},
        notify::{Topic, notify},
        retry,
    },
    wish::{Wish, to_change},
};

/// Archives what is meant, or takes it back; returns the experiments that were changed.
///
/// # Errors
/// As [`to_change`]; `Invalid` for a job, `Refused` for an experiment that goes on, or is as it is asked to be already.
pub(crate) async fn set(store: &Store, target: &str, archived: bool, who: &Person) -> Result<Vec<Submission>> {
    retry(|| async {
        let mut tx = store.begin().await?;
        let wishes = to_change(&mut tx, target, who, "archive").await?;
        let ids: Vec<Uuid> = wishes.iter().filter_map(Wish::experiment).collect();
        if ids.is_empty() {
            let message = format!("`{target}` is a job; an experiment is archived as a whole: name that");
            return Err(Error::Invalid(message));
        }
        if archived && let Some(name) = archive::first_live(&mut tx, &ids).await? {
            return Err(Error::Refused(format!(
                "`{name}` has jobs that have not ended; wait for them, or: tandem cancel {target}"
            )));
        }
        let changed = archive::set(&mut tx, &ids, archived).await?;
        if changed.is_empty() {
            let how = if archived { "archived already" } else { "not archived" };
            return Err(Error::Refused(format!("`{target}` is {how}")));
        }
        let experiments = experiments::named(&mut tx, &changed).await?;
        let what = if archived { target.to_owned() } else { format!("{target}, back") };
        let entries: Vec<Entry> =
            experiments.iter().map(|one| Entry::done(who, "Keeping/Archive", what.clone(), &one.owner)).collect();
        audit::append(&mut tx, &entries).await?;
        notify(&mut tx, &[Topic::Watch]).await?;
        tx.commit().await?;
        Ok(experiments)
    })
    .await
}
