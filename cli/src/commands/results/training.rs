//! The curves of training, by step.

use std::collections::HashMap;

use anyhow::Result;
use tandem_draw::plot::{Series, with_layers};
use tandem_proto::v1::{Job, MetricsRequest};

use super::nothing;
use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    render::{job_specs::JobSpecs, labels::labels},
};

/// Metrics that are drawn by default.
const METRICS: [&str; 3] = ["loss", "knn_accuracy", "validation_accuracy"];
/// Points of a curve: more than a panel has pixels.
const MOST_POINTS: u32 = 2000;
/// More curves of a stage than this are no figure.
const MOST_CURVES: usize = 200;

/// What is asked for, or what is drawn by default.
pub(super) fn metrics(named: &[String]) -> Vec<String> {
    if named.is_empty() { METRICS.map(str::to_owned).to_vec() } else { named.to_vec() }
}

/// The curves of these jobs, in their order, of the metrics that are `named` or by default; of jobs that differ in their seed alone under
/// one name, unless `each` is to have its own.
///
/// # Errors
/// If there is nothing to draw, or a metric that was named is of none of the jobs.
pub(crate) async fn series(
    client: &Client,
    jobs: &[Job],
    named: &[String],
    each: bool,
    output: &Output,
) -> Result<Vec<Series>> {
    let metrics = metrics(named);
    let names: Vec<String> = metrics.iter().flat_map(|metric| with_layers(metric)).collect();
    let specs = JobSpecs::new(jobs);
    let labels = labels_by_stage(jobs, each);
    let mut curves: Vec<Series> = Vec::new();
    let mut drawn: HashMap<&str, usize> = HashMap::new();
    let mut left_out = 0;
    for (job, label) in jobs.iter().zip(labels) {
        let drawn = drawn.entry(&job.stage).or_default();
        if *drawn == MOST_CURVES {
            left_out += 1;
            continue;
        }
        let request = MetricsRequest {
            target: job.id.clone(),
            names: names.clone(),
            points: MOST_POINTS,
            ..MetricsRequest::default()
        };
        let answer = client.ask("ask for the curves", async |on| on.results().metrics(request.clone()).await).await?;
        let series = answer.series.into_iter().map(|series| Series {
            name: label.clone(),
            metric: series.name,
            // Losses of two stages are no numbers to compare.
            group: job.stage.clone(),
            steps: steps(&specs, job).to_owned(),
            points: series.steps.into_iter().map(|step| step as f64).zip(series.values).collect(),
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
    let is_drawn = |metric: &String| with_layers(metric).any(|name| curves.iter().any(|one| one.metric == *name));
    let missing: Vec<&str> = named.iter().filter(|metric| !is_drawn(metric)).map(String::as_str).collect();
    if curves.is_empty() || !missing.is_empty() {
        let metrics = if missing.is_empty() { metrics.join(", ") } else { missing.join(", ") };
        let known = nothing::known(jobs);
        let message =
            format!("nothing to draw: none of the listed jobs has values of {metrics} that can be drawn; {known}");
        return Err(Failure::error(Exit::NotFound, message));
    }
    Ok(curves)
}

/// A stage has panels of its own: only what differs in there is told.
fn labels_by_stage(jobs: &[Job], each: bool) -> Vec<String> {
    let mut all = vec![String::new(); jobs.len()];
    let mut stages: Vec<&str> = jobs.iter().map(|job| job.stage.as_str()).collect();
    stages.sort_unstable();
    stages.dedup();
    for stage in stages {
        let places: Vec<usize> = (0..jobs.len()).filter(|place| jobs[*place].stage == stage).collect();
        let own: Vec<Job> = places.iter().map(|place| jobs[*place].clone()).collect();
        for (place, label) in places.into_iter().zip(labels(&own, each)) {
            all[place] = label;
        }
    }
    all
}

/// What a job's steps are.
fn steps(specs: &JobSpecs<'_>, job: &Job) -> &'static str {
    let is_lbfgs = job.stage == "linear" && specs.own(job, "solver").as_deref() != Some("sgd");
    if is_lbfgs { "L-BFGS iteration" } else { "step" }
}
