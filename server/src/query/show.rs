//! One job in full, or one experiment with its jobs.

use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Conn, archive,
        attempts::{self, AttemptRow},
        events::{self, EventRow},
        experiments::{self, Experiment},
        files::{self, Artifact, Checkpoint},
        labels::{self, Labels},
        overview::JobRow,
        targets::Target,
    },
    target::{resolve, rows_of},
};

const CHECKPOINTS_SHOWN: i64 = 100;

pub(crate) struct Shown {
    pub(crate) experiment: Experiment,
    /// The experiment's.
    pub(crate) labels: Labels,
    pub(crate) is_archived: bool,
    pub(crate) jobs: Vec<JobRow>,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) detail: Option<Detail>,
}

pub(crate) struct Detail {
    pub(crate) job: Uuid,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Steps of those that are on disk.
    pub(crate) kept: Vec<i64>,
}

pub(crate) async fn show(conn: &mut Conn, target: &str, own: &str) -> Result<Shown> {
    let found = resolve(conn, target, own).await?;
    show_found(conn, found, target).await
}

/// The same of what is known by its id; `called` is for messages.
pub(crate) async fn show_found(conn: &mut Conn, found: Target, called: &str) -> Result<Shown> {
    let gone = || Error::NotFound(format!("`{called}` is not there any more"));
    let jobs = rows_of(conn, found).await?;
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let (experiment, detail) = match found {
        Target::Experiment(id) => (id, None),
        Target::Job(job) => {
            let detail = Detail {
                job,
                attempts: attempts::of_job(conn, job).await?,
                events: events::of_job(conn, job).await?,
                checkpoints: files::checkpoints(conn, job, CHECKPOINTS_SHOWN).await?,
                kept: files::kept_steps(conn, job).await?,
            };
            (jobs.first().ok_or_else(gone)?.experiment_id, Some(detail))
        }
    };
    let experiment = experiments::get(conn, experiment).await?.ok_or_else(gone)?;
    let artifacts = files::artifacts(conn, &ids).await?;
    let labels = labels::of(conn, Target::Experiment(experiment.id)).await?;
    let is_archived = archive::is_archived(conn, experiment.id).await?;
    Ok(Shown { experiment, labels, is_archived, jobs, artifacts, detail })
}
