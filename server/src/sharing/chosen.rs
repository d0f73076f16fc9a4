//! The jobs that a person's request is about, as that person, or all who want them, has asked for them.

use tandem_domain::access::identity::Person;
use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        Conn,
        audit::Entry,
        dependencies, experiments,
        jobs::{self, LockedJob},
        overview::JobRow,
        wishes::{self, Wanted},
    },
    wish::{Wish, to_change},
};

/// What a request is about: the rows are locked until the transaction ends.
pub(crate) struct Chosen {
    pub(crate) jobs: Vec<LockedJob>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) audit: Vec<Entry>,
}

/// What was changed, and what a person should know of the rest.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) notes: Vec<String>,
}

/// Finds and locks what `who` asks to change by the command `verb`; with `following`, also what starts from it.
///
/// # Errors
/// As [`to_change`].
pub(crate) async fn choose(
    tx: &mut Conn,
    target: &str,
    who: &Person,
    verb: &str,
    method: &str,
    following: bool,
) -> Result<Chosen> {
    let wishes = to_change(tx, target, who, verb).await?;
    let (mut wanted, mut audit) = (Vec::new(), Vec::new());
    for wish in &wishes {
        let (more, job, whose) = match *wish {
            Wish::Experiment(id) => {
                let owner = experiments::get(tx, id).await?.map(|one| one.owner).unwrap_or_default();
                (wishes::of_experiment(tx, id).await?, None, owner)
            }
            Wish::OwnOf(id) => {
                let jobs = from(tx, id, following).await?;
                (wishes::of_jobs(tx, &jobs, Some(&who.name)).await?, Some(id), who.name.clone())
            }
            Wish::Job(id) => {
                let jobs = from(tx, id, following).await?;
                (wishes::of_jobs(tx, &jobs, None).await?, Some(id), String::new())
            }
        };
        wanted.extend(more);
        audit.push(Entry { job, ..Entry::done(who, method, target, &whose) });
    }
    let mut ids: Vec<Uuid> = wanted.iter().map(|one| one.job).collect();
    ids.sort_unstable();
    ids.dedup();
    let jobs = jobs::lock(tx, &ids).await?;
    Ok(Chosen { jobs, wanted, audit })
}

async fn from(tx: &mut Conn, id: Uuid, following: bool) -> Result<Vec<Uuid>> {
    if following { Ok(dependencies::all_from(tx, id).await?) } else { Ok(vec![id]) }
}

impl Chosen {
    /// What is wanted of these jobs.
    pub(crate) fn wanted_of(&self, jobs: &[&LockedJob]) -> Vec<Wanted> {
        self.wanted.iter().filter(|one| jobs.iter().any(|job| job.id == one.job)).cloned().collect()
    }

    /// As the caller calls a job: by its name in the caller's file.
    pub(crate) fn name<'a>(&'a self, job: &'a LockedJob) -> &'a str {
        self.wanted.iter().find(|one| one.job == job.id).map_or(&job.name, |one| &one.name)
    }
}
