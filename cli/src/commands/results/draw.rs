//! Draws curves into a file: of attacks by radius, of training by step; and tables as bars.

use std::collections::HashSet;

use anyhow::Result;
use tandem_draw::{
    Look, bars,
    plot::{self, Range},
    radius,
};
use tandem_proto::v1::{Job, ListRequest};

use super::{attacks, best, picture::Picture, training};
use crate::{
    client::Client,
    output::Output,
    render::{
        curves::Convention,
        pivot::{Pivot, row_title},
    },
};

/// Jobs that are listed for their curves.
const MOST_JOBS: u32 = 1000;

/// What to draw.
pub(super) struct Figure<'a> {
    /// Of which jobs; empty for all.
    pub(super) targets: &'a [String],
    /// Only of this stage, if it is not empty.
    pub(super) stage: &'a str,
    /// Metrics of training jobs. If empty: the curves of attacks, or else the default metrics.
    pub(super) metrics: &'a [String],
    pub(super) convention: Convention,
    /// A line for each seed, instead of their mean.
    pub(super) each: bool,
    pub(super) is_log: bool,
    pub(super) ranges: &'a [Range],
}

impl Figure<'_> {
    /// `finished` are the listed jobs with results, the newest first.
    pub(super) async fn write(&self, to: Picture, client: &Client, finished: &[Job], output: &Output) -> Result<()> {
        // A figure has the order in which things were submitted.
        let attacks: Vec<&Job> = finished.iter().rev().filter(|job| job.stage == "attack").collect();
        if self.metrics.is_empty() && !attacks.is_empty() {
            let curves = match self.convention {
                Convention::Best => best::curves(client, finished, &attacks, self.each, output).await?,
                Convention::All | Convention::Paper => {
                    attacks::curves(client, finished, &attacks, self.convention, self.each).await?
                }
            };
            let title = title(finished);
            let svg = radius::svg(&title, self.convention.axis(), &attacks::in_groups(curves)?, Look::Paper)?;
            return to.write(&svg, &title);
        }
        let metrics = training::metrics(self.metrics);
        let jobs = self.training_jobs(client, finished).await?;
        let series = training::series(client, &jobs, self.metrics, self.each, output).await?;
        let title = title(&jobs);
        let figure = plot::Figure {
            title: &title,
            metrics: &metrics,
            series: &series,
            is_log: self.is_log,
            ranges: self.ranges,
            ..plot::Figure::default()
        };
        to.write(&figure.svg()?, &title)
    }

    /// Of what is named all jobs, in the order of its file: what runs or has failed has curves, too.
    async fn training_jobs(&self, client: &Client, finished: &[Job]) -> Result<Vec<Job>> {
        if self.targets.is_empty() {
            return Ok(finished.iter().rev().cloned().collect());
        }
        let mut jobs = listed(client, self.targets).await?;
        jobs.retain(|job| self.stage.is_empty() || job.stage == self.stage);
        Ok(jobs)
    }
}

/// All jobs of these, in whatever state, each once.
pub(super) async fn listed(client: &Client, targets: &[String]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    for target in targets {
        let request = ListRequest { limit: MOST_JOBS, experiment: target.clone(), ..ListRequest::default() };
        let answer = client.ask("list the jobs", async |on| on.jobs().list(request.clone()).await).await?;
        jobs.extend(answer.jobs);
    }
    Ok(once(jobs))
}

/// A table as bars, with how far the seeds lie apart.
pub(super) fn write_bars(to: Picture, jobs: &[Job], pivot: &Pivot) -> Result<()> {
    let group = |row: &crate::render::pivot::PivotRow| bars::Group {
        name: row_title(&pivot.key, &row.value),
        bars: row.cells.iter().map(|cell| cell.iter().map(|measured| measured.value).collect()).collect(),
    };
    let groups: Vec<bars::Group> = pivot.rows.iter().map(group).collect();
    let title = title(jobs);
    let figure = bars::Figure {
        title: &title,
        value: "test_accuracy",
        groups_by: &pivot.side().to_lowercase(),
        bars: &pivot.columns,
        groups: &groups,
        look: Look::Paper,
    };
    to.write(&figure.svg()?, &title)
}

fn title(jobs: &[Job]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for job in jobs {
        if !names.contains(&job.experiment_name.as_str()) {
            names.push(&job.experiment_name);
        }
    }
    match names.as_slice() {
        [] => "tandem".to_owned(),
        few if few.len() <= 3 => few.join(", "),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// Two experiments may share a job.
pub(super) fn once(mut jobs: Vec<Job>) -> Vec<Job> {
    let mut known: HashSet<String> = HashSet::new();
    jobs.retain(|job| job.id.is_empty() || known.insert(job.id.clone()));
    jobs
}
