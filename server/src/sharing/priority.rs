//! Changes the priority of what has not ended.

use tandem_domain::access::identity::Person;
use uuid::Uuid;

use super::{
    chosen::{Changed, choose},
    policy,
};
use crate::{
    error::{Error, Result},
    store::{
        Store, audit,
        events::{self, About},
        jobs::LockedJob,
        notify::{Topic, notify},
        retry, wishes,
    },
    target,
};

/// A job that several want has the highest of their priorities.
///
/// # Errors
/// As [`choose`]; `Forbidden` for a priority that the policy does not let `who` give, `Refused` if all has ended.
pub(crate) async fn set_priority(store: &Store, target: &str, priority: i32, who: &Person) -> Result<Changed> {
    retry(async || {
        let mut tx = store.begin().await?;
        let (_, house) = policy::current(&mut tx).await?;
        house.may_give(who.role, priority).map_err(Error::Forbidden)?;
        let chosen = choose(&mut tx, target, who, "priority", "Jobs/SetPriority", false).await?;
        let live: Vec<&LockedJob> = chosen.jobs.iter().filter(|job| !job.state.is_ended()).collect();
        if live.is_empty() {
            return Err(Error::Refused(format!("all jobs of `{target}` have ended: a priority would change nothing")));
        }
        wishes::set_priority(&mut tx, &chosen.wanted_of(&live), priority).await?;
        let ids: Vec<Uuid> = live.iter().map(|job| job.id).collect();
        wishes::settle(&mut tx, &ids).await?;
        for id in &ids {
            events::append(&mut tx, About::job(*id), "priority", &format!("{} gave it priority {priority}", who.name))
                .await?;
        }
        audit::append(&mut tx, &chosen.audit).await?;
        notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
        tx.commit().await?;
        let jobs = target::rows(&mut *store.reader().await?, &ids).await?;
        let higher = jobs.iter().filter(|job| job.priority > priority);
        let notes =
            higher.map(|job| format!("`{}` keeps priority {}: somebody else wants it, too", job.name, job.priority));
        Ok(Changed { notes: notes.collect(), jobs })
    })
    .await
}
