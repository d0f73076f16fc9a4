//! Finds a job or experiment by its id, the first characters of one, an experiment's name, `EXPERIMENT/JOB` or
//! `OWNER/EXPERIMENT`.

use tandem_domain::access::name::of_login;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Conn,
        experiments::{self, Submission},
        jobs,
        overview::{self, JobRow},
        picks::{Filter, Pick, Scope, pick},
        targets::{self, Target},
    },
};

const JOBS_MAX: u32 = 1000;
/// Experiments of one name that are told beside the newest.
const NAMESAKES: i64 = 6;

/// Finds the one job or experiment that `text` names; what `own` has submitted goes before what others have.
///
/// An experiment's exact name goes before the beginning of an id: "feed" may be both.
///
/// # Errors
/// `NotFound` if nothing has that name or id, `Invalid` if it is ambiguous, empty, or no text.
pub(crate) async fn resolve(conn: &mut Conn, text: &str, own: &str) -> Result<Target> {
    let text = checked(text)?;
    if let Some(target) = by_name(conn, text, own).await? {
        return Ok(target);
    }
    if let Some((first, second)) = text.split_once('/') {
        for owner in [Some(own), None] {
            if let Some(target) = targets::by_names(conn, owner, first, second).await? {
                return Ok(target);
            }
        }
        for owner in [first.to_owned(), of_login(first)] {
            if let Some(target) = targets::by_owner(conn, &owner, second).await? {
                return Ok(target);
            }
            if let Some((experiment, job)) = second.split_once('/')
                && let Some(target) = targets::by_names(conn, Some(&owner), experiment, job).await?
            {
                return Ok(target);
            }
        }
    }
    if let Some((experiment, job)) = text.split_once('/')
        && let [Target::Experiment(id)] = begins_with(conn, experiment).await?.as_slice()
    {
        let links = experiments::links(conn, *id).await?;
        if let Some(link) = links.into_iter().find(|link| link.name == job) {
            return Ok(Target::Job(link.job_id));
        }
    }
    by_id(conn, text).await
}

/// By the beginning of an id.
async fn begins_with(conn: &mut Conn, text: &str) -> Result<Vec<Target>> {
    let prefix = text.to_ascii_lowercase();
    Ok(if is_prefix(&prefix) { targets::by_prefix(conn, &prefix).await? } else { Vec::new() })
}

async fn by_name(conn: &mut Conn, text: &str, own: &str) -> Result<Option<Target>> {
    Ok(match targets::by_owner(conn, own, text).await? {
        Some(target) => Some(target),
        None => targets::by_name(conn, text).await?,
    })
}

pub(crate) fn checked(text: &str) -> Result<&str> {
    let text = text.trim();
    if text.is_empty() || text.contains('\0') {
        return Err(Error::Invalid("name a job or an experiment: an id, the beginning of one, or a name".to_owned()));
    }
    Ok(text)
}

pub(crate) async fn by_id(conn: &mut Conn, text: &str) -> Result<Target> {
    match begins_with(conn, text).await?.as_slice() {
        [target] => Ok(*target),
        [] => Err(Error::NotFound(format!(
            "no job or experiment is called `{text}` or has an id that begins so; `tandem list` shows what there is"
        ))),
        several => {
            let listed = several.iter().map(|target| match target {
                Target::Job(id) => format!("job {id}"),
                Target::Experiment(id) => format!("experiment {id}"),
            });
            let listed = listed.collect::<Vec<_>>().join(", ");
            Err(Error::Invalid(format!(
                "more than one id begins with `{text}`, first {listed}; give more of its characters"
            )))
        }
    }
}

/// If `text` names an experiment: an older one of its name that has results.
pub(crate) async fn older_with_results(conn: &mut Conn, text: &str, own: &str) -> Result<Option<Submission>> {
    match by_name(conn, checked(text)?, own).await? {
        Some(Target::Experiment(id)) => Ok(targets::older_with_results(conn, id).await?),
        _ => Ok(None),
    }
}

/// If `text` is the name of an experiment: others that are called so, the newest first.
pub(crate) async fn called_the_same(conn: &mut Conn, text: &str, own: &str) -> Result<Vec<Submission>> {
    match by_name(conn, checked(text)?, own).await? {
        Some(Target::Experiment(id)) => Ok(targets::called_the_same(conn, id, NAMESAKES).await?),
        _ => Ok(Vec::new()),
    }
}

/// Whether it could be the beginning of a UUID.
pub(crate) fn is_prefix(text: &str) -> bool {
    (1..=36).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

pub(crate) async fn jobs_of(conn: &mut Conn, target: Target) -> Result<Vec<Uuid>> {
    Ok(match target {
        Target::Job(id) => vec![id],
        Target::Experiment(id) => experiments::links(conn, id).await?.into_iter().map(|link| link.job_id).collect(),
    })
}

/// The one job that `text` names: an experiment of one job names it too.
///
/// # Errors
/// As [`resolve`], and `Invalid` for an experiment of several jobs, with how to name one.
pub(crate) async fn one_job(conn: &mut Conn, text: &str, own: &str) -> Result<Uuid> {
    let target = resolve(conn, text, own).await?;
    match jobs_of(conn, target).await?.as_slice() {
        [job] => Ok(*job),
        jobs => Err(Error::Invalid(format!(
            "`{text}` is an experiment of {} jobs; name one of them: `{text}/JOB`, as `tandem show {text}` lists them",
            jobs.len()
        ))),
    }
}

/// The jobs to list; without a target, all.
pub(crate) fn scope(target: Option<&Target>) -> Scope<'_> {
    match target {
        None => Scope::All,
        Some(Target::Job(id)) => Scope::Jobs(std::slice::from_ref(id)),
        Some(Target::Experiment(id)) => Scope::Experiment(*id),
    }
}

/// The same jobs as [`rows_of`], with no more than their names.
pub(crate) async fn names_of(conn: &mut Conn, target: Target) -> Result<Vec<Pick>> {
    Ok(pick(conn, &Filter { scope: scope(Some(&target)), limit: JOBS_MAX, ..Filter::default() }).await?)
}

pub(crate) async fn rows_of(conn: &mut Conn, target: Target) -> Result<Vec<JobRow>> {
    Ok(overview::list(conn, &Filter { scope: scope(Some(&target)), limit: JOBS_MAX, ..Filter::default() }).await?)
}

/// These jobs, each as part of the experiment that submitted it.
pub(crate) async fn rows(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<JobRow>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(overview::list(conn, &Filter { scope: Scope::Jobs(ids), limit: JOBS_MAX, ..Filter::default() }).await?)
}

/// Whether none of these will change any more.
pub(crate) async fn all_ended(conn: &mut Conn, ids: &[Uuid]) -> Result<bool> {
    Ok(jobs::live_among(conn, ids).await? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_ids() {
        assert!(is_prefix("3f2") && is_prefix("0198c5a2-6f4e-7c3a-9d52-0a1b2c3d4e5f"));
        assert!(!is_prefix("") && !is_prefix("quickstart") && !is_prefix("%"));
    }
}
