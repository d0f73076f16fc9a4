//! The supervised baseline (the paper's Table 1): encoder and one layer from first weights.

use tandem_domain::spec::Supervised;

use super::Rank;
use super::checkpointing::CheckpointPolicy;
use super::classifier::{self, Images, Recipe};
use crate::failure::Failure;
use crate::report::Outcome;

pub(crate) fn run(rank: &mut Rank<'_>, spec: &Supervised) -> Result<Outcome, Failure> {
    let recipe = Recipe {
        encoder: spec.encoder,
        pretrained: None,
        head_layers: 1,
        epochs: spec.epochs,
        steps: spec.steps,
        batch_size: spec.batch_size,
        label_fraction: spec.label_fraction,
        validation: spec.validation,
        optimizer: &spec.optimizer,
        images: Images::Shifted(spec.augment),
        tikhonov: spec.tikhonov,
        batch_norm: spec.batch_norm,
        precision: spec.precision,
        head_epochs: 0.0,
        rate_decay: 1.0,
        checkpoints: CheckpointPolicy { steps: spec.checkpoint_steps, minutes: spec.checkpoint_minutes },
        known_as: None,
    };
    classifier::run(rank, &recipe)
}
