//! Contrastive pretraining (the paper's stage 1): from images to an encoder.
//!
//! `trainer` is the run between two steps, `steps` the loop, `look` what people see of it, `export` what it leaves.

mod export;
mod look;
mod steps;
mod trainer;

use tandem_domain::spec::Contrastive;

use super::Rank;
use crate::failure::Failure;
use crate::penalty;
use crate::progress;
use crate::report::Outcome;
use crate::shards::Shards;
use trainer::Training;

/// Trains from the newest good checkpoint, or from the start, to the end or until some rank is asked to stop.
pub(crate) fn run(rank: &mut Rank<'_>, spec: &Contrastive) -> Result<Outcome, Failure> {
    let shards = Shards::new(rank.task.spec.shards, spec.batch_size, rank.group)?;
    let data = rank.load_data()?;
    let mut training = Training::begin(rank, spec, shards, &data)?;
    penalty::rescale_note(&spec.tikhonov, spec.batch_size).into_iter().for_each(|why| rank.note("rescaled", why));
    rank.phase("training", training.position.step);
    progress::measure();
    let outcome = training.until_the_end(rank);
    let outcome = training.checkpointer.finish(rank, outcome)?;
    if outcome == Outcome::Finished {
        rank.phase("exporting", training.position.step);
        training.export(rank)?;
    }
    Ok(outcome)
}
