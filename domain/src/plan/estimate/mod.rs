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
use crate::spec::{BatchNorm, Encoder, ImageCounts, JobSpec, Precision, Stage, ViewPasses};
pub use count::Estimate;

/// `encoder`: the one that it trains, or that its input has trained. All 0 without it, or without the size of the data set.
pub(super) fn estimate(spec: &JobSpec, encoder: Option<Encoder>, images: Option<ImageCounts>) -> Estimate {
    let encoder = encoder.and_then(architecture::cost);
    let (Some(encoder), Some(images)) = (encoder, images) else { return Estimate::default() };
    let job = count::Job { spec, images };
    match &spec.stage {
        Stage::Contrastive(stage) => contrastive::contrastive(job, stage, encoder),
        Stage::Supervised(stage) => classify::supervised(job, stage, encoder),
        Stage::Finetune(stage) => classify::finetune(job, stage, encoder),
        Stage::Linear(stage) => classify::linear(job, stage, encoder),
        Stage::Attack(stage) => attack::attack(job, stage, encoder),
    }
}

/// The kind of work, in words: jobs of one kind run at one speed.
pub(super) fn work(job: &Expanded) -> String {
    let mut parts = vec![job.spec.stage.name().to_owned()];
    parts.extend(job.encoder.map(|encoder| name_of(&encoder)));
    let (tikhonov, batch_norm, precision) = match &job.spec.stage {
        Stage::Contrastive(stage) => {
            parts.extend(stage.layerwise.is_some().then(|| "layerwise".to_owned()));
            parts.extend((stage.views != ViewPasses::default()).then(|| name_of(&stage.views)));
            (stage.tikhonov, stage.batch_norm, stage.precision)
        }
        Stage::Supervised(stage) => (stage.tikhonov, stage.batch_norm, stage.precision),
        Stage::Finetune(stage) => (stage.tikhonov, stage.batch_norm, stage.precision),
        Stage::Linear(stage) => {
            parts.push(name_of(&stage.solver));
            return parts.join(" ");
        }
        Stage::Attack(stage) => {
            parts.extend([name_of(&stage.attack), name_of(&stage.norm)]);
            return parts.join(" ");
        }
    };
    parts.extend((tikhonov.lambda > 0.0).then(|| name_of(&tikhonov.method)));
    parts.extend((batch_norm != BatchNorm::default()).then(|| name_of(&batch_norm)));
    parts.extend((precision != Precision::default()).then(|| name_of(&precision)));
    parts.join(" ")
}

/// A value's word in the file.
fn name_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
