//! Contrastive pretraining (the paper's stage 1): from images to an encoder.
//!
//! `trainer` holds the state of the run and begins it, `steps` is the training loop, `validation` the loss on held-out images,
//! `export` writes the encoder.

mod export;
mod pictures;
mod steps;
mod trainer;
mod validation;

use tandem_domain::spec::Contrastive;

use super::RankContext;
use crate::failure::Failure;
use crate::penalty;
use crate::progress;
use crate::report::Outcome;
use crate::shards::Shards;
use trainer::Trainer;

/// Trains from the newest good checkpoint, or else from first weights, to the end or until a rank is asked to stop.
pub(crate) fn run(rank: &mut RankContext<'_>, spec: &Contrastive) -> Result<Outcome, Failure> {
    let shards = Shards::new(rank.task.spec.shards, spec.batch_size, rank.group)?;
    let data = rank.load_data()?;
    let mut trainer = Trainer::new(rank, spec, shards, &data)?;
    trainer.lr_schedule.note().into_iter().for_each(|why| rank.note("warmup", why));
    penalty::rescale_note(&spec.tikhonov, spec.batch_size).into_iter().for_each(|why| rank.note("rescaled", why));
    rank.phase("training", trainer.position.step);
    progress::measure();
    let outcome = trainer.train(rank);
    let outcome = trainer.checkpointer.finish(rank, outcome)?;
    if outcome == Outcome::Finished {
        match &rank.task.replay {
            Some(replay) => {
                rank.phase("evaluating", trainer.position.step);
                trainer.evaluate(rank, replay.model.as_ref())?;
            }
            None => {
                rank.phase("exporting", trainer.position.step);
                trainer.export(rank)?;
            }
        }
    }
    Ok(outcome)
}
