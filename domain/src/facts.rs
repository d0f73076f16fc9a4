//! What is kept of each job to be asked for: its parameters by name, the encoder along its inputs, and which of its results
//! is its main figure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::spec::{JobSpec, Stage};

/// The most parameters of one job, with those of its inputs; a spec of this version has fewer.
const PARAMS_MAX: usize = 400;

/// All of it follows from the spec and those of the inputs, so it is the same whenever it is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    pub dataset: String,
    pub seed: i64,
    /// The network that it trains; of a linear, finetune or attack job the one that it starts from.
    pub encoder: Option<String>,
    /// Share of the labels; of an attack that of the classifier under it.
    pub label_fraction: Option<f64>,
    /// Of the contrastive loss, its own or that of the encoder it starts from.
    pub temperature: Option<f64>,
    /// Weight of the input-gradient penalty, its own or that of what it starts from.
    pub lambda: Option<f64>,
    pub epochs: Option<i64>,
    pub batch_size: Option<i64>,
    pub lr: Option<f64>,
    pub weight_decay: Option<f64>,
    pub optimizer: Option<String>,
    pub attack: Option<String>,
    pub norm: Option<String>,
    /// What it is looked at for: `knn_accuracy`, `accuracy` or `robust_accuracy`.
    pub figure: &'static str,
    /// The final result that holds it.
    pub figure_of: String,
    /// Every parameter by its dotted name (`optimizer.lr`), those of inputs with their stage in front
    /// (`contrastive.optimizer.lr`). Lists are text.
    pub params: BTreeMap<String, Json>,
}

/// The facts of a job. `inputs`: what it starts from, the nearest first, as far as that is known.
pub fn facts(spec: &JobSpec, inputs: &[&JobSpec]) -> Facts {
    let own = flat(&spec.stage);
    let chain: Vec<(&str, BTreeMap<String, Json>)> =
        inputs.iter().map(|input| (input.stage.name(), flat(&input.stage))).collect();
    let nearest = |name: &str| {
        let inherited = || chain.iter().find_map(|(_, params)| params.get(name));
        own.get(name).or_else(inherited)
    };
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
    let (figure, figure_of) = main_figure(&spec.stage);
    let facts = Facts {
        dataset: spec.dataset.to_string(),
        // As it is stored; a file's are whole numbers of TOML, which fit.
        seed: i64::try_from(spec.seed).unwrap_or(i64::MAX),
        encoder: text(nearest("encoder")),
        label_fraction: nearest("label_fraction").and_then(Json::as_f64),
        temperature: nearest("temperature").and_then(Json::as_f64),
        lambda: nearest("tikhonov.lambda").and_then(Json::as_f64),
        epochs: own.get("epochs").and_then(Json::as_i64),
        batch_size: own.get("batch_size").and_then(Json::as_i64),
        lr: own.get("optimizer.lr").and_then(Json::as_f64),
        weight_decay: own.get("optimizer.weight_decay").and_then(Json::as_f64),
        optimizer: text(own.get("optimizer.name")),
        attack: text(own.get("attack")),
        norm: text(own.get("norm")),
        figure,
        figure_of,
        params: BTreeMap::new(),
    };
    let mut params = own;
    params.insert("shards".to_owned(), spec.shards.into());
    params.insert("threads".to_owned(), spec.threads.into());
    for (stage, of_input) in chain {
        for (name, value) in of_input {
            // Two inputs of one stage: the nearer one is the one meant.
            params.entry(format!("{stage}.{name}")).or_insert(value);
        }
    }
    Facts { params: params.into_iter().take(PARAMS_MAX).collect(), ..facts }
}

/// What a job of this stage is looked at for, and the result that holds it.
fn main_figure(stage: &Stage) -> (&'static str, String) {
    match stage {
        Stage::Contrastive(_) => ("knn_accuracy", "knn_accuracy".to_owned()),
        Stage::Supervised(_) | Stage::Linear(_) | Stage::Finetune(_) => ("accuracy", "test_accuracy".to_owned()),
        Stage::Attack(attack) => {
            let largest = attack.grid().into_iter().fold(0.0, f64::max);
            ("robust_accuracy", format!("robust_accuracy_at_{largest}"))
        }
    }
}

/// Names of the main figures.
pub const FIGURES: [&str; 3] = ["accuracy", "knn_accuracy", "robust_accuracy"];

fn flat(stage: &Stage) -> BTreeMap<String, Json> {
    let mut params = BTreeMap::new();
    flatten("", &serde_json::to_value(stage).unwrap_or_default(), &mut params);
    params.remove("stage");
    params
}

fn flatten(prefix: &str, value: &Json, params: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(object) => {
            for (key, value) in object {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, params);
            }
        }
        Json::Array(_) => drop(params.insert(prefix.to_owned(), Json::String(value.to_string()))),
        Json::Null => {}
        scalar => drop(params.insert(prefix.to_owned(), scalar.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;

    fn specs() -> Vec<JobSpec> {
        let toml = r#"
            name = "facts"
            dataset = "shapes"
            seed = 3
            [jobs.encoder]
            stage = "contrastive"
            encoder = "resnet-tiny"
            epochs = 2
            batch_size = 64
            temperature = 0.1
            tikhonov = { lambda = 0.3 }
            [jobs.linear]
            stage = "linear"
            from = "encoder"
            label_fraction = 0.1
            [jobs.attack]
            stage = "attack"
            from = "linear"
            attack = "pgd"
            norm = "linf"
            radii = [0.01, 0.03]
        "#;
        plan(toml, "facts.toml", "1").unwrap().jobs.into_iter().map(|job| job.spec).collect()
    }

    #[test]
    fn a_job_has_the_encoder_and_the_labels_of_what_it_starts_from() {
        let specs = specs();
        let [encoder, linear, attack] = specs.as_slice() else { panic!("{specs:?}") };
        let own = facts(encoder, &[]);
        assert_eq!((own.figure, own.figure_of.as_str()), ("knn_accuracy", "knn_accuracy"));
        assert_eq!((own.encoder.as_deref(), own.label_fraction, own.lambda), (Some("resnet-tiny"), None, Some(0.3)));

        let second = facts(linear, &[encoder]);
        assert_eq!((second.figure, second.figure_of.as_str()), ("accuracy", "test_accuracy"));
        assert_eq!((second.encoder.as_deref(), second.label_fraction), (Some("resnet-tiny"), Some(0.1)));
        assert_eq!((second.temperature, second.lr), (Some(0.1), Some(0.2)), "the rate is its own, not the encoder's");

        let third = facts(attack, &[linear, encoder]);
        assert_eq!((third.figure, third.figure_of.as_str()), ("robust_accuracy", "robust_accuracy_at_0.03"));
        assert_eq!((third.encoder.as_deref(), third.label_fraction), (Some("resnet-tiny"), Some(0.1)));
        assert_eq!((third.attack.as_deref(), third.norm.as_deref()), (Some("pgd"), Some("linf")));
        assert_eq!((third.lr, third.epochs), (None, None), "an attack has no rate");
        assert_eq!(third.params["contrastive.temperature"], 0.1);
        assert_eq!(third.params["linear.label_fraction"], 0.1);
        assert_eq!(third.params["radii"], "[0.01,0.03]");
    }
}
