//! Training a classifier on a share of the labels: what the supervised baseline, fine-tuning and SimCLR's linear protocol
//! have in common. They differ in where the encoder comes from, what moves and when, and how images are varied.
//!
//! `recipe` says so; `steps` is the loop; `look` is what people see of it and how the best model is chosen; `export` is what
//! outlives the process.
//!
//! Every job of an experiment has the same labelled images for the same fraction (the seed decides). `validation` of them
//! train nothing and choose between the best look and the last, which is kept unless they tell the two apart; the test images are looked at once, when all is over.

mod export;
mod look;
mod recipe;
mod steps;

use std::time::Instant;

use super::Rank;
use super::checkpointing::Checkpointer;
use super::pace::Pace;
use super::training_state::Position;
use crate::data::{Data, balanced_subset, hold_out};
use crate::encoder::Model;
use crate::failure::Failure;
use crate::flat::Flat;
use crate::optimizer::Optimizer;
use crate::penalty;
use crate::progress;
use crate::report::Outcome;
use crate::schedule::LearningRate;
use crate::shards::Shards;
pub(super) use recipe::{Images, Pretrained, Recipe};

/// Trains from the newest good checkpoint, or from the start, to the end or until some rank is asked to stop.
pub(super) fn run(rank: &mut Rank<'_>, recipe: &Recipe<'_>) -> Result<Outcome, Failure> {
    let data = rank.load_data()?;
    let mut training = Training::begin(rank, recipe, &data)?;
    let rescaled = penalty::rescale_note(&recipe.tikhonov, training.batch_size);
    rescaled.into_iter().for_each(|why| rank.note("rescaled", why));
    rank.phase("training", training.position.step);
    progress::measure();
    let outcome = training.until_the_end(rank);
    let outcome = training.checkpointer.finish(rank, outcome)?;
    if outcome == Outcome::Finished {
        rank.phase("evaluating", training.position.step);
        training.export(rank)?;
    }
    Ok(outcome)
}

/// A run between two steps.
struct Training<'a> {
    recipe: &'a Recipe<'a>,
    data: &'a Data,
    shards: Shards,
    /// Labelled images that train, and those that choose.
    train: Vec<i64>,
    held_out: Vec<i64>,
    /// Images a step.
    batch_size: u32,
    model: Model,
    /// The model of the best look so far; the first weights before any. None where nothing is held out.
    best: Option<Snapshot>,
    optimizer: Optimizer,
    rates: LearningRate,
    checkpointer: Checkpointer,
    steps_per_epoch: u64,
    steps: u64,
    /// Steps at the start in which only the head moves.
    head_steps: u64,
    position: Position,
    /// Training seconds of earlier attempts, up to the checkpoint.
    seconds_before: f64,
    pace: Pace,
}

/// A copy of a model's numbers.
struct Snapshot {
    parameters: Flat,
    statistics: Flat,
}

impl Snapshot {
    fn of(model: &Model) -> Self {
        let copy = |flat: &Flat| Flat::over(flat.layout().clone(), flat.vector().copy());
        Self { parameters: copy(&model.parameters), statistics: copy(&model.statistics) }
    }

    fn give(&self, model: &mut Model) {
        model.parameters.assign(self.parameters.vector());
        model.statistics.assign(self.statistics.vector());
    }

    fn take(&mut self, model: &Model) {
        self.parameters.assign(model.parameters.vector());
        self.statistics.assign(model.statistics.vector());
    }
}

impl<'a> Training<'a> {
    fn begin(rank: &mut Rank<'_>, recipe: &'a Recipe<'a>, data: &'a Data) -> Result<Self, Failure> {
        let task = rank.task;
        let job = &task.spec;
        let labels = &data.train.labels;
        let labelled = balanced_subset(labels, data.classes.len(), recipe.label_fraction, job.seed)?;
        let (train, held_out) = hold_out(&labelled, labels, data.classes.len(), recipe.validation, job.seed)?;

        let batch_size = batch_size(recipe.batch_size, train.len(), job.shards)?;
        if batch_size < recipe.batch_size {
            rank.note(
                "batch_cut",
                format!(
                    "batch_size {} is cut to {batch_size}: there are {} labelled images to train on, in {} shards",
                    recipe.batch_size,
                    train.len(),
                    job.shards
                ),
            );
        }
        let shards = Shards::new(job.shards, batch_size, rank.group)?;
        let steps_per_epoch = train.len() as u64 / u64::from(batch_size);
        let steps = recipe.steps.map_or(steps_per_epoch * u64::from(recipe.epochs), u64::from);
        let head_steps = ((recipe.head_epochs * steps_per_epoch as f64).round() as u64).min(steps);

        let model = recipe.model(data.classes.len() as u32, job.seed, rank.device)?;
        let best = (!held_out.is_empty()).then(|| Snapshot::of(&model));
        let optimizer =
            Optimizer::new(recipe.optimizer, &model.parameters).with_groups(recipe.groups(&model, head_steps, steps));
        let (checkpointer, position) = Checkpointer::resume(rank, &export::state(&model, &optimizer, best.as_ref()))?;
        Ok(Self {
            recipe,
            data,
            shards,
            train,
            held_out,
            batch_size,
            model,
            best,
            optimizer,
            rates: LearningRate::new(recipe.optimizer, steps_per_epoch, steps),
            checkpointer,
            steps_per_epoch,
            steps,
            head_steps,
            seconds_before: position.seconds,
            position,
            pace: Pace::new(Instant::now()),
        })
    }
}

/// As asked for or, of so few images, as many as the shards can share equally.
fn batch_size(wanted: u32, images: usize, shards: u32) -> Result<u32, Failure> {
    if images >= wanted as usize {
        return Ok(wanted);
    }
    let cut = images as u32 / shards.max(1) * shards;
    if cut == 0 {
        return Err(Failure::Job(format!(
            "{images} labelled images to train on are fewer than the {shards} shards that share a batch; raise \
             label_fraction or lower shards"
        )));
    }
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_to_what_the_shards_can_share() {
        assert_eq!(batch_size(128, 450, 4), Ok(128));
        assert_eq!(batch_size(128, 90, 4), Ok(88));
        assert_eq!(batch_size(128, 3, 3), Ok(3));
        let error = batch_size(128, 3, 4).unwrap_err().to_string();
        assert!(error.contains("3 labelled images") && error.contains("label_fraction"), "{error}");
    }
}
