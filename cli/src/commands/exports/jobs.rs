//! What is exported: jobs, and their curves in full.

use anyhow::Result;
use tandem_proto::v1::{Job, Series};

use super::super::{metrics::source::Source, of_jobs::jobs_of};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
};

/// Jobs that are exported at a time.
const MOST_JOBS: usize = 10_000;

/// The jobs that are meant, at least one.
pub(super) async fn jobs(client: &Client, target: &str, output: &Output) -> Result<Vec<Job>> {
    let (jobs, is_cut) = jobs_of(client, target, MOST_JOBS).await?;
    if jobs.is_empty() {
        return Err(Failure::error(Exit::NotFound, format!("`{target}` has no jobs")));
    }
    if is_cut {
        output.note(&format!("`{target}` has more than {MOST_JOBS} jobs; these are the first"));
    }
    Ok(jobs)
}

/// All points of a job's curves.
pub(super) async fn curves(client: &Client, job: &Job) -> Result<Vec<Series>> {
    let source = Source { client, target: &job.id };
    let mut whole = Vec::new();
    for curve in source.overview(&[]).await? {
        let mut points = Series { steps: Vec::new(), values: Vec::new(), ..curve.clone() };
        let mut from = Some(0);
        while let Some(step) = from {
            let part = source.stretch(&curve, step).await?;
            for series in part.series {
                points.steps.extend(series.steps);
                points.values.extend(series.values);
            }
            from = part.next;
        }
        whole.push(points);
    }
    Ok(whole)
}
