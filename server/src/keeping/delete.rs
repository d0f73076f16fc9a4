//! Takes back one's own wish for good: what nobody else wants goes, with its files.

use tandem_domain::access::identity::Person;
use uuid::Uuid;

use super::take_back::{Live, TakenBack, take_back};
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store,
        audit::{self, Entry},
        deletions,
        experiments::{self, Submission},
        notify::{Topic, notify},
        retry,
        wishes::{self, Wanted},
    },
    wish::{Wish, to_change},
};

/// How it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    pub(crate) dry_run: bool,
    /// What has not ended is cancelled first.
    pub(crate) cancel: bool,
    /// A job that who asks wants nothing of, for all that do.
    pub(crate) for_all: bool,
}

/// What went, or would.
#[derive(Debug)]
pub(crate) struct Deleted {
    /// What was meant: experiments or jobs.
    pub(crate) targets: Vec<Uuid>,
    pub(crate) experiments: Vec<Submission>,
    pub(crate) jobs: TakenBack,
}

/// Deletes what `who` wants of the jobs of `target`. A dry run does the same and does not commit.
///
/// # Errors
/// As [`to_change`]; `Refused` if something has not ended that nobody else wants and is not to be cancelled, or if a job is named
/// that others of its experiment start from, or that only others want and `for_all` is not said.
pub(crate) async fn delete(store: &Store, target: &str, how: How, who: &Person) -> Result<Deleted> {
    retry(|| once(store, target, how, who)).await
}

async fn once(store: &Store, target: &str, how: How, who: &Person) -> Result<Deleted> {
    let mut tx = store.begin().await?;
    let wishes = to_change(&mut tx, target, who, "delete").await?;
    let (wanted, entries) = asked(&mut tx, target, &wishes, how, who).await?;
    let targets: Vec<Uuid> = wishes.iter().map(Wish::id).collect();
    let live = match how {
        How { cancel: false, .. } => Live::Refuse,
        How { dry_run: true, .. } => Live::Rehearse,
        How { .. } => Live::Cancel,
    };
    let reason = format!("deleted by {}", who.name);
    let jobs = take_back(&mut tx, &wanted, &reason, live).await.map_err(|error| match error {
        Error::Refused(why) => Error::Refused(format!(
            "{why}; cancel it first: tandem cancel {target}; or both at once: tandem delete {target} --cancel"
        )),
        other => other,
    })?;
    let experiments = experiments::named(&mut tx, &jobs.experiments).await?;
    if how.dry_run {
        // What is not committed has not been.
        drop(tx);
        return Ok(Deleted { targets, experiments, jobs });
    }
    audit::append(&mut tx, &entries).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    tracing::info!(by = who.name, target, experiments = experiments.len(), jobs = jobs.gone.len(), "deleted");
    Ok(Deleted { targets, experiments, jobs })
}

/// What is to be taken back, and what the audit says of it.
async fn asked(
    tx: &mut Conn,
    target: &str,
    wishes: &[Wish],
    how: How,
    who: &Person,
) -> Result<(Vec<Wanted>, Vec<Entry>)> {
    let (mut wanted, mut entries) = (Vec::new(), Vec::new());
    for wish in wishes {
        let (more, job, whose, what) = match *wish {
            Wish::Experiment(id) => {
                let one = experiments::named(tx, &[id]).await?.pop();
                let (name, owner) = one.map(|one| (one.name, one.owner)).unwrap_or_default();
                (wishes::of_experiment(tx, id).await?, None, owner, format!("{name} {id}"))
            }
            Wish::OwnOf(id) | Wish::Job(id) if experiments::has_wanted(tx, &who.name, id).await? => {
                (of_job(tx, target, id, Some(&who.name)).await?, Some(id), who.name.clone(), target.to_owned())
            }
            Wish::OwnOf(id) | Wish::Job(id) if how.for_all => {
                (of_job(tx, target, id, None).await?, Some(id), String::new(), target.to_owned())
            }
            Wish::OwnOf(id) | Wish::Job(id) => {
                return Err(Error::Refused(format!(
                    "you want nothing of job {id}; to take it away from all who do: tandem delete {id} --for-all"
                )));
            }
        };
        wanted.extend(more);
        entries.push(Entry { job, ..Entry::done(who, "Keeping/Delete", what, &whose) });
    }
    Ok((wanted, entries))
}

/// What is wanted of one job: by `owner`, or by all.
async fn of_job(tx: &mut Conn, target: &str, job: Uuid, owner: Option<&str>) -> Result<Vec<Wanted>> {
    let wanted = wishes::of_jobs(tx, &[job], owner).await?;
    let experiments: Vec<Uuid> = wanted.iter().map(|one| one.experiment).collect();
    let following = deletions::started_within(tx, &experiments, job).await?;
    if following.is_empty() {
        return Ok(wanted);
    }
    let following: Vec<String> = following.iter().map(|name| format!("`{name}`")).collect();
    Err(Error::Refused(format!(
        "{} of the same experiment started from `{target}`; delete that first, or the experiment as a whole",
        following.join(", ")
    )))
}
