//! Fine-tuning (the paper's stage 2 with weights that change): trains a pretrained encoder and a new head.

use tandem_domain::spec::Finetune;

use super::RankContext;
use super::checkpointing::CheckpointPolicy;
use super::classifier::{self, Augmentation, Pretrained, Recipe};
use crate::failure::Failure;
use crate::report::Outcome;

pub(crate) fn run(rank: &mut RankContext<'_>, spec: &Finetune) -> Result<Outcome, Failure> {
    let (model, card, sha256) = rank.encoder()?;
    let recipe = Recipe {
        pretrained: Some(Pretrained { model, sha256, images: card.data_checksum }),
        head_layers: spec.head_layers,
        steps: spec.steps,
        label_fraction: spec.label_fraction,
        validation: spec.validation,
        images: Augmentation::Shifted(spec.augment),
        tikhonov: spec.tikhonov,
        batch_norm: spec.batch_norm,
        precision: spec.precision,
        head_epochs: spec.head_epochs,
        rate_decay: spec.rate_decay,
        checkpoints: CheckpointPolicy { steps: spec.checkpoint_steps, minutes: spec.checkpoint_minutes },
        ..Recipe::plain(card.encoder, &spec.optimizer, spec.epochs, spec.batch_size)
    };
    classifier::run(rank, &recipe)
}
