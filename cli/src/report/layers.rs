//! The ablation of the losses on each layer (eqs. 4 and 5), which the paper proposes and did not run.

use tandem_proto::v1::Job;

use super::{
    cells,
    document::{Block, Cell, Section, Table},
    facts::{Runs, View},
};
use crate::render::job::value;

/// Stages of an encoder that have a loss of their own.
const LAYERS: u32 = 4;

/// `None` if no encoder has losses on its layers.
pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    let encoders = view.runs(|job| job.stage == "contrastive");
    if !encoders.iter().any(|runs| view.is_layerwise(runs.jobs[0])) {
        return None;
    }
    let rows = encoders.iter().map(|runs| row(view, runs)).collect();
    let mut heads = ["encoder", "alpha (eq. 4)", "beta (eq. 5)", "isolate", "kNN accuracy", "linear, test accuracy"]
        .map(str::to_owned)
        .to_vec();
    heads.extend((1..=LAYERS).map(|layer| format!("kNN of layer {layer}")));
    let caption = "Encoders with a loss, and a penalty, on each of their four stages beside those with one on the last alone. Linear: on \
                   the frozen encoder, by the jobs of this experiment that start from it. kNN of a layer: the newest value of its curve."
        .to_owned();
    let table = Table { caption, heads, rows, numbers_from: 4 };
    let notes = vec![
        "The paper proposes eqs. (4) and (5) as future work and has no figures of them; its code for them is not in a working state.".to_owned(),
    ];
    Some(Section::new("Layer by layer: eqs. (4) and (5)", vec![Block::Table(table), Block::List(notes)]))
}

fn row(view: &View<'_>, runs: &Runs<'_>) -> Vec<Cell> {
    let job = runs.jobs[0];
    let of = |list: &str, ratio: &str| {
        let own = |key: &str| view.specs.own(job, &format!("layerwise.{key}"));
        match (own(ratio), own(list).filter(|list| list != "[]")) {
            (Some(ratio), _) => format!("ratio {ratio}"),
            (None, Some(list)) => list,
            (None, None) => "-".to_owned(),
        }
    };
    let isolate = view.specs.own(job, "layerwise.isolate").unwrap_or_else(|| "-".to_owned());
    let lambda = view.number(job, "tikhonov.lambda");
    let beta = match of("beta", "beta_ratio") {
        beta if lambda > 0.0 => format!("{beta}, λ = {lambda}"),
        beta => beta,
    };
    let ids: Vec<&str> = runs.jobs.iter().map(|job| job.id.as_str()).collect();
    let probes =
        view.runs(|job: &Job| job.stage == "linear" && job.depends_on.iter().any(|id| ids.contains(&id.as_str())));
    let mut row: Vec<Cell> = vec![
        Cell::with(runs.name.clone(), view.ids(&runs.jobs)),
        of("alpha", "ratio").into(),
        beta.into(),
        isolate.into(),
        cells::measured(view, std::slice::from_ref(runs), "knn_accuracy"),
        cells::measured(view, &probes, "test_accuracy"),
    ];
    row.extend((1..=LAYERS).map(|layer| of_layer(view, runs, layer)));
    row
}

/// What the monitor said last of a layer: a result if there is one, else the end of the curve.
fn of_layer(view: &View<'_>, runs: &Runs<'_>, layer: u32) -> Cell {
    let name = format!("knn_accuracy_layer{layer}");
    let last = |job: &&Job| value(&job.results, &name).or_else(|| view.facts.last_of(&job.id, &name));
    let values: Vec<f64> = runs.jobs.iter().filter_map(last).collect();
    let of = tandem_domain::statistics::summary(&values);
    of.map_or_else(|| "-".into(), |of| Cell::with(crate::render::spread::mean(&name, &of), format!("n = {}", of.n)))
}
