//! Draws curves into an SVG file: of attacks by radius, of training by step.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, Result};
use tandem_draw::{
    Look,
    plot::{self, Series},
    radius::{self, Curve},
};
use tandem_proto::v1::{Job, ListRequest, MetricsRequest};

use super::{artifacts, best};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    files,
    output::Output,
    render::{
        curves::{self, Convention},
        job_specs::{JobSpecs, describe},
    },
};

/// More curves than this in a panel cannot be told apart.
const MOST_CURVES: usize = 14;
/// Metrics of training jobs that are drawn by default.
const METRICS: [&str; 3] = ["loss", "knn_accuracy", "validation_accuracy"];

/// Points of a curve: more than a panel has pixels.
const MOST_POINTS: u32 = 2000;
/// Jobs that are listed for their curves.
const MOST_JOBS: u32 = 1000;

/// What to draw.
pub(super) struct Figure<'a> {
    pub(super) path: &'a Path,
    /// Replace the file if it is there.
    pub(super) force: bool,
    /// Of which jobs; empty for all.
    pub(super) target: &'a str,
    /// Only of this stage, if it is not empty.
    pub(super) stage: &'a str,
    /// Metrics of training jobs. If empty: the curves of attacks, or else the default metrics.
    pub(super) metrics: &'a [String],
    pub(super) convention: Convention,
}

impl Figure<'_> {
    /// `finished` are the listed jobs with results, the newest first.
    pub(super) async fn write(&self, client: &Client, finished: &[Job], output: &Output) -> Result<()> {
        // A figure has the order in which things were submitted.
        let attacks: Vec<&Job> = finished.iter().rev().filter(|job| job.stage == "attack").collect();
        let svg = if self.metrics.is_empty() && !attacks.is_empty() {
            let curves = match self.convention {
                Convention::Best => best::curves(client, finished, &attacks, output).await?,
                Convention::All | Convention::Paper => own_curves(client, finished, &attacks, self.convention).await?,
            };
            radius::svg(&title(finished), self.convention.axis(), &in_groups(curves)?, Look::Paper)?
        } else {
            let metrics = match self.metrics {
                [] => METRICS.map(str::to_owned).to_vec(),
                metrics => metrics.to_vec(),
            };
            let jobs = self.training_jobs(client, finished).await?;
            let series = training_curves(client, &jobs, &metrics, output).await?;
            let title = title(&jobs);
            let figure =
                plot::Figure { title: &title, metrics: &metrics, series: &series, ..plot::Figure::default() };
            figure.svg()?
        };
        files::write(self.path, svg.as_bytes(), self.force)?;
        output.note(&format!("curves are in {}", self.path.display()));
        Ok(())
    }

    /// Of an experiment all jobs, in the order of its file: what runs or has failed has curves, too.
    async fn training_jobs(&self, client: &Client, finished: &[Job]) -> Result<Vec<Job>> {
        if self.target.is_empty() {
            return Ok(finished.iter().rev().cloned().collect());
        }
        let request = ListRequest { limit: MOST_JOBS, experiment: self.target.to_owned(), ..ListRequest::default() };
        let answer = client.ask("list the jobs to draw", async |on| on.jobs().list(request.clone()).await).await?;
        Ok(answer.jobs.into_iter().filter(|job| self.stage.is_empty() || job.stage == self.stage).collect())
    }
}

/// Each attack's own curve.
async fn own_curves(client: &Client, jobs: &[Job], attacks: &[&Job], convention: Convention) -> Result<Vec<Curve>> {
    let specs = JobSpecs::new(jobs);
    let varying = specs.varying(attacks);
    let mut curves = Vec::new();
    for job in attacks {
        let made = artifacts::of_job(client, &job.id).await?;
        let Some(csv) = artifacts::table(client, job, &made, artifacts::CURVE).await? else { continue };
        let points = curves::read(&csv, convention)
            .with_context(|| format!("cannot draw the curve of `{}/{}`", job.experiment_name, job.name))?;
        let value = |key: &str| specs.value(job, key);
        let [attack, norm] = ["attack", "norm"].map(|key| value(key).unwrap_or_default());
        let panel = format!("{} ({norm})", attack.to_uppercase());
        let model = specs.model(job);
        let mut label = vec![model.clone()];
        for key in varying.iter().filter(|key| !["attack", "norm"].contains(&key.as_str())) {
            label.extend(value(key).map(|value| describe(key, &value)));
        }
        curves.push(Curve { panel, norm, label: label.join(", "), model, points });
    }
    Ok(curves)
}

/// Sorted by kind of line, so that the legend reads in groups.
fn in_groups(mut curves: Vec<Curve>) -> Result<Vec<Curve>> {
    if curves.is_empty() {
        let message = "nothing to draw: none of the listed attacks has left a curve";
        return Err(Failure::error(Exit::NotFound, message));
    }
    curves.sort_by(|a, b| (&a.panel, &b.model, &a.label).cmp(&(&b.panel, &a.model, &b.label)));
    Ok(curves)
}

async fn training_curves(client: &Client, jobs: &[Job], metrics: &[String], output: &Output) -> Result<Vec<Series>> {
    let names: Vec<String> = metrics.iter().flat_map(|metric| plot::with_layers(metric)).collect();
    let mut curves: Vec<Series> = Vec::new();
    let mut drawn: HashMap<&str, usize> = HashMap::new();
    let mut left_out = 0;
    for job in jobs {
        let drawn = drawn.entry(&job.stage).or_default();
        if *drawn == MOST_CURVES {
            left_out += 1;
            continue;
        }
        let request = MetricsRequest { target: job.id.clone(), names: names.clone(), points: MOST_POINTS };
        let answer = client.ask("ask for the curves", async |on| on.results().metrics(request.clone()).await).await?;
        let series = answer.series.into_iter().map(|series| Series {
            name: label(job, jobs),
            metric: series.name,
            // Losses of two stages are no numbers to compare.
            group: job.stage.clone(),
            points: series.steps.into_iter().map(|step| step as f64).zip(series.values).collect(),
            ..Series::default()
        });
        let series: Vec<Series> = series.filter(Series::has_points).collect();
        *drawn += usize::from(!series.is_empty());
        curves.extend(series);
    }
    if left_out > 0 {
        output.note(&format!(
            "only the first {MOST_CURVES} jobs of a stage are drawn, not {left_out} others; name a job to draw it alone"
        ));
    }
    if curves.is_empty() {
        let metrics = metrics.join(", ");
        let message = format!("nothing to draw: none of the listed jobs has values of {metrics} that can be drawn");
        return Err(Failure::error(Exit::NotFound, message));
    }
    Ok(curves)
}

/// The job's name, with its experiment's where several are drawn.
fn label(job: &Job, all: &[Job]) -> String {
    if all.iter().all(|other| other.experiment_name == job.experiment_name) {
        job.name.clone()
    } else {
        format!("{} / {}", job.experiment_name, job.name)
    }
}

fn title(jobs: &[Job]) -> String {
    match jobs {
        [first, rest @ ..] if rest.iter().all(|job| job.experiment_name == first.experiment_name) => {
            first.experiment_name.clone()
        }
        _ => "tandem".to_owned(),
    }
}
