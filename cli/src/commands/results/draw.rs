//! Curves into an SVG file: of attacks by radius, of training by step.

use std::path::Path;

use anyhow::{Context, Result};
use tandem_proto::v1::{Job, MetricsRequest, Series, ShowRequest};

use super::Results;
use crate::{
    client::Client,
    download,
    exit::{Exit, Failure},
    files,
    output::Output,
    render::{
        curves::{self, Curve},
        family::{Family, words},
        plot,
    },
};

/// More curves than this cannot be told apart.
const MOST_CURVES: usize = 14;
/// The kind of an attack's curve among artifacts, and what it ends with.
const CURVE: &str = "curve";
/// What is drawn of training jobs unless something else is asked for.
const METRICS: [&str; 3] = ["loss", "knn_accuracy", "validation_accuracy"];

impl Results {
    pub(super) async fn draw(&self, client: &Client, jobs: &[Job], path: &Path, output: &Output) -> Result<()> {
        let attacks: Vec<&Job> = jobs.iter().filter(|job| job.stage == "attack").collect();
        let svg = if self.metric.is_empty() && !attacks.is_empty() {
            let curves = attack_curves(client, jobs, &attacks, self).await?;
            curves::svg(&title(jobs), self.convention, &curves)?
        } else {
            let metrics = match self.metric.as_slice() {
                [] => METRICS.map(str::to_owned).to_vec(),
                metrics => metrics.to_vec(),
            };
            plot::svg(&title(jobs), &metrics, &training_curves(client, jobs, &metrics, output).await?)?
        };
        files::write(path, svg.as_bytes(), self.force)?;
        output.note(&format!("curves are in {}", path.display()));
        Ok(())
    }
}

async fn attack_curves(client: &Client, jobs: &[Job], attacks: &[&Job], options: &Results) -> Result<Vec<Curve>> {
    let family = Family::new(jobs);
    let varying = family.varying(attacks);
    let mut curves = Vec::new();
    // The list is the newest first; a figure is in the order in which things were submitted.
    for job in attacks.iter().rev() {
        let Some(csv) = curve_of(client, job).await? else { continue };
        let points = curves::read(&csv, options.convention)
            .with_context(|| format!("cannot draw the curve of `{}/{}`", job.experiment_name, job.name))?;
        let value = |key: &str| family.value(job, key);
        let [attack, norm] = ["attack", "norm"].map(|key| value(key).unwrap_or_default());
        let panel = format!("{} ({norm})", attack.to_uppercase());
        let model = family.model(job);
        let mut label = vec![model.clone()];
        for key in varying.iter().filter(|key| !["attack", "norm"].contains(&key.as_str())) {
            label.extend(value(key).map(|value| words(key, &value)));
        }
        curves.push(Curve { panel, norm, label: label.join(", "), model, points });
    }
    if curves.is_empty() {
        let message = "nothing to draw: none of the listed attacks has left a curve";
        return Err(Failure::error(Exit::NotFound, message));
    }
    // One kind of line after the other: the legend reads in groups.
    curves.sort_by(|a, b| (&a.panel, &b.model, &a.label).cmp(&(&b.panel, &a.model, &b.label)));
    Ok(curves)
}

async fn curve_of(client: &Client, job: &Job) -> Result<Option<String>> {
    let answer = client.jobs().show(ShowRequest { target: job.id.clone() }).await;
    let shown = answer.map_err(|status| client.refusal("ask for the curve", &status))?.into_inner();
    let Some(artifact) = shown.artifacts.into_iter().find(|one| one.kind == CURVE && one.name.ends_with(".csv")) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    download::artifact(client, &artifact, |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })
    .await?;
    String::from_utf8(bytes).map(Some).with_context(|| format!("{} of `{}` is no text", artifact.name, job.name))
}

async fn training_curves(client: &Client, jobs: &[Job], metrics: &[String], output: &Output) -> Result<Vec<Series>> {
    let names: Vec<String> = metrics.iter().flat_map(|metric| plot::with_layers(metric)).collect();
    let mut curves: Vec<Series> = Vec::new();
    let mut drawn = 0;
    // Oldest first: an experiment's file begins with what the rest stands on.
    for job in jobs.iter().rev() {
        let request = MetricsRequest { target: job.id.clone(), names: names.clone() };
        let answer = client.results().metrics(request).await;
        let answer = answer.map_err(|status| client.refusal("ask for the curves", &status))?;
        let series = answer.into_inner().series;
        if series.iter().all(|series| series.values.is_empty()) {
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
        let message = format!("nothing to draw: none of the listed jobs has values of {metrics}");
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
