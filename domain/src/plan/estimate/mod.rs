//! What a job will cost, from its spec alone: its work, counted in forward passes, and the memory of one rank on a CPU.
//!
//! The coordinator estimates the time, from this work and a measured speed.

mod attack;
mod classify;
mod contrastive;
mod count;
mod memory;
#[cfg(test)]
mod tests;

use super::{architecture, expand::Expanded};
use crate::spec::{BatchNorm, Precision, Stage};
pub use count::Estimate;

pub(super) fn estimate(job: &Expanded) -> Estimate {
    let spec = &job.spec;
    let encoder = job.encoder.and_then(architecture::cost);
    let Some(encoder) = encoder.filter(|_| spec.dataset.train_images().is_some()) else { return Estimate::default() };
    match &spec.stage {
        Stage::Contrastive(stage) => contrastive::contrastive(spec, stage, encoder),
        Stage::Supervised(stage) => classify::supervised(spec, stage, encoder),
        Stage::Finetune(stage) => classify::finetune(spec, stage, encoder),
        Stage::Linear(stage) => classify::linear(spec, stage, encoder),
        Stage::Attack(stage) => attack::attack(spec, stage, encoder),
    }
}

/// The kind of work, in words: jobs of one kind run at one speed.
pub(super) fn work(job: &Expanded) -> String {
    let mut words = vec![job.spec.stage.name().to_owned()];
    words.extend(job.encoder.map(|encoder| word(&encoder)));
    let (tikhonov, batch_norm, precision) = match &job.spec.stage {
        Stage::Contrastive(stage) => {
            words.extend(stage.layerwise.is_some().then(|| "layerwise".to_owned()));
            (stage.tikhonov, stage.batch_norm, stage.precision)
        }
        Stage::Supervised(stage) => (stage.tikhonov, stage.batch_norm, stage.precision),
        Stage::Finetune(stage) => (stage.tikhonov, stage.batch_norm, stage.precision),
        Stage::Linear(stage) => {
            words.push(word(&stage.solver));
            return words.join(" ");
        }
        Stage::Attack(stage) => {
            words.extend([word(&stage.attack), word(&stage.norm)]);
            return words.join(" ");
        }
    };
    words.extend((tikhonov.lambda > 0.0).then(|| word(&tikhonov.method)));
    words.extend((batch_norm != BatchNorm::default()).then(|| word(&batch_norm)));
    words.extend((precision != Precision::default()).then(|| word(&precision)));
    words.join(" ")
}

/// A value's word in the file.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
