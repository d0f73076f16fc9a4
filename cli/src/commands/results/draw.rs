//! Draws curves into an SVG file: of attacks by radius, of training by step.

use std::path::Path;

use anyhow::{Context, Result};
use tandem_proto::v1::{Job, MetricsRequest, Series};

use super::{artifacts, best};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    files,
    output::Output,
    render::{
        curves::{self, Convention, Curve},
        job_specs::{JobSpecs, describe},
        plot,
    },
};

/// More curves than this cannot be told apart.
const MOST_CURVES: usize = 14;
/// Metrics of training jobs that are drawn by default.
const METRICS: [&str; 3] = ["loss", "knn_accuracy", "validation_accuracy"];

/// What to draw.
pub(super) struct Figure<'a> {
    pub(super) path: &'a Path,
    /// Replace the file if it is there.
    pub(super) force: bool,
    /// Metrics of training jobs. If empty: the curves of attacks, or else the default metrics.
    pub(super) metrics: &'a [String],
    pub(super) convention: Convention,
}

impl Figure<'_> {
    pub(super) async fn write(&self, client: &Client, jobs: &[Job], output: &Output) -> Result<()> {
        // The list has the newest first; a figure has the order in which things were submitted.
        let attacks: Vec<&Job> = jobs.iter().rev().filter(|job| job.stage == "attack").collect();
        let svg = if self.metrics.is_empty() && !attacks.is_empty() {
            let curves = match self.convention {
                Convention::Best => best::curves(client, jobs, &attacks, output).await?,
                Convention::All | Convention::Paper => own_curves(client, jobs, &attacks, self.convention).await?,
            };
            let curves = in_groups(curves)?;
            curves::svg(&title(jobs), self.convention, &curves)?
        } else {
            let metrics = match self.metrics {
                [] => METRICS.map(str::to_owned).to_vec(),
                metrics => metrics.to_vec(),
            };
            plot::svg(&title(jobs), &metrics, &training_curves(client, jobs, &metrics, output).await?)?
        };
        files::write(self.path, svg.as_bytes(), self.force)?;
        output.note(&format!("curves are in {}", self.path.display()));
        Ok(())
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
    let mut drawn = 0;
    // Oldest first: an experiment's file begins with the jobs that others start from.
    for job in jobs.iter().rev() {
        let request = MetricsRequest { target: job.id.clone(), names: names.clone() };
        let answer = client.ask("ask for the curves", async |on| on.results().metrics(request.clone()).await).await?;
        let series = answer.series;
        if !series.iter().any(plot::has_points) {
            continue;
        }
        drawn += 1;
        if drawn > MOST_CURVES {
            output
                .note(&format!("only the first {MOST_CURVES} jobs are drawn; name a job or lower --limit for others"));
            break;
        }
        curves.extend(series.into_iter().map(|series| Series { job_name: label(job, jobs), ..series }));
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
