//! What was measured, whatever the experiment is: the figures of each configuration.

use tandem_proto::v1::Job;

use super::{
    document::{Block, Cell, Section, Table},
    facts::{Runs, View, states},
};
use crate::render::spread;

/// Figures of a stage that are told where a job has them, in this order.
const OF_TRAINING: [&str; 4] = ["test_accuracy", "knn_accuracy", "validation_accuracy", "loss"];
const OF_ATTACKS: [&str; 3] = ["clean_error", "median_distance", "median_distance_paper"];
const AT_RADII: &str = "robust_accuracy_at_";

pub(crate) fn section(view: &View<'_>) -> Section {
    let mut rows = Vec::new();
    for runs in view.runs(|_| true) {
        let names = figures(&runs);
        if names.is_empty() {
            let title = Cell::with(runs.name.clone(), view.ids(&runs.jobs));
            rows.push(vec![title, "-".into(), "0".into(), states(&runs.jobs).into(), "-".into()]);
        }
        for (number, name) in names.iter().enumerate() {
            let Some(summary) = runs.summary(name) else { continue };
            let note = if number == 0 { view.ids(&runs.jobs) } else { String::new() };
            let interval = summary.interval.map_or_else(|| "-".to_owned(), |one| spread::interval(name, one));
            rows.push(vec![
                Cell::with(runs.name.clone(), note),
                name.clone().into(),
                summary.n.to_string().into(),
                spread::mean(name, &summary).into(),
                interval.into(),
            ]);
        }
    }
    if rows.is_empty() {
        return Section::default();
    }
    let heads = ["jobs", "figure", "n", "mean ± standard deviation", "95 % interval"].map(str::to_owned).to_vec();
    let caption = "Final figures of each configuration over its seeds (n): the sample's standard deviation, and the confidence interval of \
                   the mean by Student's t. One run has neither. `tandem results` has the same figures job by job."
        .to_owned();
    Section::new("Results", vec![Block::Table(Table { caption, heads, rows, numbers_from: 2 })])
}

/// Names of the figures that are told of these jobs.
fn figures(runs: &Runs<'_>) -> Vec<String> {
    let is_attack = runs.jobs.iter().any(|job: &&Job| job.stage == "attack");
    let is_told = |name: &str| match is_attack {
        true => OF_ATTACKS.contains(&name) || name.starts_with(AT_RADII),
        false => OF_TRAINING.contains(&name),
    };
    let all = runs.jobs.iter().flat_map(|job| &job.results).map(|result| result.name.as_str());
    let mut names: Vec<&str> = all.filter(|name| is_told(name)).collect();
    let radius = |name: &str| name.strip_prefix(AT_RADII).and_then(|radius| radius.parse::<f64>().ok()).unwrap_or(0.0);
    let place = |name: &str| {
        let known = OF_TRAINING.iter().chain(&OF_ATTACKS).position(|known| *known == name);
        known.unwrap_or(OF_TRAINING.len() + OF_ATTACKS.len())
    };
    names.sort_by(|a, b| place(a).cmp(&place(b)).then(radius(a).total_cmp(&radius(b))).then(a.cmp(b)));
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}
