//! Training a classifier on a share of the labels: what the supervised baseline, fine-tuning and SimCLR's linear protocol
//! have in common. They differ in where the encoder comes from, what moves and when, and how images are varied.
//!
//! `recipe` says so; `trainer` is the run between two steps, `steps` the loop, `look` what people see of it and how the best
//! model is chosen, `export` what it leaves.
//!
//! Every job of an experiment has the same labelled images for the same fraction (the seed decides). `validation` of them
//! train nothing and choose between the best look and the last, which is kept unless they tell the two apart; the test images are looked at once, when all is over.

mod export;
mod metrics;
mod recipe;
mod steps;
mod trainer;

use super::RankContext;
use crate::failure::Failure;
use crate::penalty;
use crate::progress;
use crate::report::Outcome;
pub(super) use recipe::{Images, Pretrained, Recipe};
use trainer::Trainer;

/// Trains from the newest good checkpoint, or from the start, to the end or until some rank is asked to stop.
pub(super) fn run(rank: &mut RankContext<'_>, recipe: &Recipe<'_>) -> Result<Outcome, Failure> {
    let data = rank.load_data()?;
    let mut trainer = Trainer::new(rank, recipe, &data)?;
    let rescaled = penalty::rescale_note(&recipe.tikhonov, trainer.batch_size);
    rescaled.into_iter().for_each(|why| rank.note("rescaled", why));
    rank.phase("training", trainer.position.step);
    progress::measure();
    let outcome = trainer.train(rank);
    let outcome = trainer.checkpointer.finish(rank, outcome)?;
    if outcome == Outcome::Finished {
        rank.phase("evaluating", trainer.position.step);
        trainer.export(rank)?;
    }
    Ok(outcome)
}
