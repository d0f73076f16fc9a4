//! Trains a classifier on a share of the labels, for the supervised baseline, fine-tuning and SimCLR's linear protocol. These
//! differ in where the encoder comes from, what is trained when, and how images are augmented.
//!
//! `recipe` holds these differences, `trainer` the state of the run; `steps` is the training loop, `export` writes the
//! classifier.
//!
//! The seed decides which images are labelled, so that all jobs of an experiment with the same fraction have the same ones.
//! The share `validation` of them is held out to choose between the best model and the last one. Test images are evaluated
//! only at the end.

mod export;
mod recipe;
mod steps;
mod trainer;

use super::RankContext;
use crate::failure::Failure;
use crate::penalty;
use crate::progress;
use crate::report::Outcome;
pub(super) use recipe::{Augmentation, Pretrained, Recipe};
use trainer::Trainer;

/// Trains from the newest good checkpoint, or else from the beginning, to the end or until a rank is asked to stop.
pub(super) fn run(rank: &mut RankContext<'_>, recipe: &Recipe<'_>) -> Result<Outcome, Failure> {
    let data = rank.load_data()?;
    if let Some(encoder) = &recipe.pretrained {
        rank.note_other_images("encoder", &encoder.images, &data);
    }
    let mut trainer = Trainer::new(rank, recipe, &data)?;
    trainer.lr_schedule.note().into_iter().for_each(|why| rank.note("warmup", why));
    let rescaled = penalty::rescale_note(&recipe.tikhonov, trainer.batch_size);
    rescaled.into_iter().for_each(|why| rank.note("rescaled", why));
    rank.phase("training", trainer.position.step);
    progress::measure();
    let outcome = trainer.train(rank);
    let outcome = trainer.checkpointer.finish(rank, outcome)?;
    if outcome == Outcome::Finished {
        rank.phase("evaluating", trainer.position.step);
        match &rank.task.replay {
            Some(replay) => trainer.evaluate(rank, replay.model.as_ref())?,
            None => trainer.export(rank)?,
        }
    }
    Ok(outcome)
}
