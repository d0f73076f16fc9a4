//! The supervised baseline (the paper's Table 1): trains an encoder and one layer from first weights.

use tandem_domain::spec::Supervised;

use super::RankContext;
use super::checkpointing::CheckpointPolicy;
use super::classifier::{self, Augmentation, Recipe};
use crate::failure::Failure;
use crate::report::Outcome;

pub(crate) fn run(rank: &mut RankContext<'_>, spec: &Supervised) -> Result<Outcome, Failure> {
    let recipe = Recipe {
        steps: spec.steps,
        label_fraction: spec.label_fraction,
        validation: spec.validation,
        images: Augmentation::Shifted(spec.augment),
        tikhonov: spec.tikhonov,
        batch_norm: spec.batch_norm,
        precision: spec.precision,
        checkpoints: CheckpointPolicy { steps: spec.checkpoint_steps, minutes: spec.checkpoint_minutes },
        ..Recipe::plain(spec.encoder, &spec.optimizer, spec.epochs, spec.batch_size)
    };
    classifier::run(rank, &recipe)
}
