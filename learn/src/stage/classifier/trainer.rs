//! The state of a run, and its beginning from the newest good checkpoint.

use std::time::Instant;

use super::recipe::Recipe;
use crate::data::{Data, balanced_subset, hold_out};
use crate::encoder::Model;
use crate::failure::Failure;
use crate::lr_schedule::LrSchedule;
use crate::optimizer::Optimizer;
use crate::shards::Shards;
use crate::stage::RankContext;
use crate::stage::checkpointing::Checkpointer;
use crate::stage::model_copy::ModelCopy;
use crate::stage::throughput::Throughput;
use crate::stage::training_state::{Position, TrainingState};

/// The state of a run between two steps.
pub(super) struct Trainer<'a> {
    pub(super) recipe: &'a Recipe<'a>,
    pub(super) data: &'a Data,
    pub(super) shards: Shards,
    /// Labelled images for training, and those for validation.
    pub(super) train: Vec<i64>,
    pub(super) held_out: Vec<i64>,
    /// Images a step.
    pub(super) batch_size: u32,
    pub(super) model: Model,
    /// The best model so far; the first weights before the first validation. `None` if nothing is held out.
    pub(super) best: Option<ModelCopy>,
    pub(super) optimizer: Optimizer,
    pub(super) lr_schedule: LrSchedule,
    pub(super) checkpointer: Checkpointer,
    pub(super) steps_per_epoch: u64,
    pub(super) steps: u64,
    /// Steps at the beginning in which only the head is trained.
    pub(super) head_steps: u64,
    pub(super) position: Position,
    pub(super) throughput: Throughput,
}

/// The tensors that a checkpoint holds.
pub(super) fn state<'a>(model: &'a Model, optimizer: &'a Optimizer, best: Option<&'a ModelCopy>) -> TrainingState<'a> {
    let network = [("parameters.", &model.parameters), ("statistics.", &model.statistics)];
    let best = best.into_iter().flat_map(ModelCopy::state);
    TrainingState(network.into_iter().chain(optimizer.state()).chain(best).collect())
}

impl<'a> Trainer<'a> {
    pub(super) fn new(rank: &mut RankContext<'_>, recipe: &'a Recipe<'a>, data: &'a Data) -> Result<Self, Failure> {
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
        let best = (!held_out.is_empty()).then(|| ModelCopy::of(&model));
        let optimizer =
            Optimizer::new(recipe.optimizer, &model.parameters).with_groups(recipe.groups(&model, head_steps, steps));
        let state = state(&model, &optimizer, best.as_ref());
        let (checkpointer, position) = Checkpointer::resume(rank, &state, &data.train.checksum)?;
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
            lr_schedule: LrSchedule::new(recipe.optimizer, steps_per_epoch, steps),
            checkpointer,
            steps_per_epoch,
            steps,
            head_steps,
            throughput: Throughput::new(Instant::now(), position.seconds),
            position,
        })
    }

    /// Rank 0 begins to save a checkpoint.
    pub(super) fn checkpoint(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        self.position.seconds = self.throughput.seconds(Instant::now());
        self.checkpointer.save(rank, self.position, &state(&self.model, &self.optimizer, self.best.as_ref()))
    }
}

/// The batch size that was asked for; of fewer images, as many as the shards can share equally.
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
