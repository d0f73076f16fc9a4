//! The training loop.

use std::time::Instant;

use tch::{Kind, Tensor};

use super::trainer::Trainer;
use crate::data::epoch_order;
use crate::failure::Failure;
use crate::report::Outcome;
use crate::shards::{self, Objective, Step, Views};
use crate::stage::divergence::DivergenceCheck;
use crate::stage::{RankContext, labels};

impl Trainer<'_> {
    /// Every epoch has its own order of images; an incomplete last batch is dropped. A budget in steps may end within an
    /// epoch.
    pub(super) fn train(&mut self, rank: &mut RankContext<'_>) -> Result<Outcome, Failure> {
        let first = self.position.step;
        while self.position.step < self.steps {
            let epoch = (self.position.step / self.steps_per_epoch) as u32;
            let (epoch_began, epoch_first) = (Instant::now(), self.position.step);
            let order = epoch_order(self.train.len(), rank.task.spec.seed, epoch);
            let order: Vec<i64> = order.into_iter().map(|place| self.train[place as usize]).collect();
            let done = (self.position.step % self.steps_per_epoch) as usize;
            for batch in order.chunks_exact(self.batch_size as usize).skip(done) {
                let step = self.step(rank, epoch, batch)?;
                let (over, step_count) = (self.position.step == self.steps, self.position.step);
                let epoch_ended = over || step_count.is_multiple_of(self.steps_per_epoch);
                self.progress(rank, epoch, epoch_ended || step_count == first + 1);
                if epoch_ended {
                    let images = (step_count - epoch_first) * u64::from(self.batch_size);
                    self.end_epoch(rank, images as f64 / epoch_began.elapsed().as_secs_f64())?;
                }
                self.checkpointer.poll(rank)?;
                if step.stop || self.checkpoint_due(epoch_ended) {
                    self.checkpoint(rank)?;
                }
                if over {
                    break;
                }
                if step.stop {
                    return Ok(Outcome::Stopped);
                }
            }
        }
        Ok(Outcome::Finished)
    }

    /// The end of an epoch counts only if the epoch is validated: of few labels, epochs are short.
    fn checkpoint_due(&self, epoch_ended: bool) -> bool {
        let epoch_ended = epoch_ended && self.validation_due();
        self.recipe.checkpoints.due(
            self.position.step,
            epoch_ended,
            self.position.step == self.steps,
            self.checkpointer.since_last(),
        )
    }

    /// One update.
    fn step(&mut self, rank: &mut RankContext<'_>, epoch: u32, batch: &[i64]) -> Result<Step, Failure> {
        let job = &rank.task.spec;
        let update = self.position.step;
        let head_only = update < self.head_steps;
        self.model.encoder_frozen = head_only;

        let images = |shard| {
            let samples = self.shards.part(batch, shard);
            self.recipe.images(&self.data.train, samples, job.seed, epoch, job.threads)
        };
        let labels = labels(&self.data.train, batch);
        let loss = |logits: &Tensor| logits.cross_entropy_for_logits(&labels);
        let mut objective = Objective::new(Views::One, &loss).tikhonov(&self.recipe.tikhonov, self.batch_size);
        if head_only {
            objective.terms.iter_mut().for_each(|term| term.reach = Some(self.model.head_slots().collect()));
        }
        let step = shards::step(&self.model, rank.group, &self.shards, images, &objective, rank.stop_requested())?;

        let lr = self.rates.at(update);
        self.position.step += 1;
        let penalised = self.recipe.tikhonov.lambda != 0.0;
        let divergence = DivergenceCheck {
            chance_loss: (self.data.classes.len() as f64).ln(),
            remedies: "lower optimizer.lr or lengthen optimizer.warmup_epochs",
            penalty: penalised.then_some("tikhonov.lambda"),
        };
        divergence.check(&step, self.position.step, lr)?;
        self.optimizer.step(&self.model.parameters, step.gradient.shallow_clone(), lr, update);
        if !head_only {
            self.model.statistics.assign(&step.statistics);
        }

        let right = step.outputs[0].argmax(1, false).eq_tensor(&labels).sum(Kind::Int64).int64_value(&[]);
        self.position.hits += right as u64;
        self.position.loss_sum += step.loss;
        self.position.loss_count += 1;
        rank.metric("loss", self.position.step, step.loss);
        rank.metric("lr", self.position.step, lr);
        if penalised {
            rank.metric("penalty", self.position.step, step.penalty);
            rank.metric("penalty_share", self.position.step, step.penalty / (step.loss + step.penalty));
        }
        Ok(step)
    }
}
