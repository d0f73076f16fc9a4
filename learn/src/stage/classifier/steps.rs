//! The training loop, its metrics for people, and the validations that find the best model.

use std::time::Instant;

use tandem_collective::ProcessGroup;
use tch::{Kind, Tensor};

use super::trainer::Trainer;
use crate::data::{self, epoch_order};
use crate::encoder::Model;
use crate::failure::Failure;
use crate::features::outputs;
use crate::objective::{Objective, Views};
use crate::report::Outcome;
use crate::shards::{self, Step};
use crate::stage::divergence::DivergenceCheck;
use crate::stage::epoch_line::{self, Figure};
use crate::stage::training_state::Best;
use crate::stage::{RankContext, labels};

/// With a budget in steps and few labels there are many short epochs, but at most about this many validations and
/// checkpoints.
const MAX_VALIDATIONS: u64 = 50;

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
                let replayed = rank.replay_ends(self.position.step);
                if step.stop || replayed || self.checkpoint_due(epoch_ended) {
                    self.checkpoint(rank)?;
                }
                if replayed {
                    return Ok(Outcome::Finished);
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

    /// Reports progress a few times a second, and always if `at_once`.
    fn progress(&mut self, rank: &mut RankContext<'_>, epoch: u32, at_once: bool) {
        let Some(rate) = self.throughput.advance(Instant::now(), u64::from(self.batch_size), at_once) else { return };
        let images_left = (self.steps - self.position.step) * u64::from(self.batch_size);
        let epochs = (epoch + 1, self.steps.div_ceil(self.steps_per_epoch) as u32);
        rank.progress((self.position.step, self.steps), epochs, rate, images_left as f64 / rate);
    }

    /// Reports the metrics of an epoch, and validates if it is time.
    fn end_epoch(&mut self, rank: &mut RankContext<'_>, images_per_second: f64) -> Result<(), Failure> {
        let step = self.position.step;
        let count = self.position.loss_count;
        let loss = self.position.loss_sum / count as f64;
        let right = self.position.hits as f64 / (count * u64::from(self.batch_size)) as f64;
        self.position.epoch_loss = Some(loss);
        (self.position.loss_sum, self.position.loss_count, self.position.hits) = (0.0, 0, 0);
        rank.metric("epoch_loss", step, loss);
        rank.metric("train_batch_accuracy", step, right);
        rank.metric("images_per_second", step, images_per_second);
        let mut figures = vec![("loss", Figure::Number(loss)), ("train", Figure::Share(right))];
        if self.validation_due()
            && let Some(accuracy) = self.validate(rank)?
        {
            figures.push(("validation", Figure::Share(accuracy)));
        }
        let (epoch, epochs) =
            (step.div_ceil(self.steps_per_epoch) as u32, self.steps.div_ceil(self.steps_per_epoch) as u32);
        if epoch_line::is_told(epoch, epochs) {
            let part = format!("epoch {epoch}/{epochs}, step {step}");
            rank.log(epoch_line::line(&part, &figures, images_per_second));
        }
        Ok(())
    }

    /// Whether to validate, at the end of an epoch.
    fn validation_due(&self) -> bool {
        self.validation_due_at(self.position.step)
    }

    fn validation_due_at(&self, step: u64) -> bool {
        let every = match self.recipe.steps {
            None => 1,
            Some(_) => self.steps.div_ceil(MAX_VALIDATIONS).div_ceil(self.steps_per_epoch),
        };
        step == self.steps || (step / self.steps_per_epoch).is_multiple_of(every)
    }

    /// Evaluates the held-out images, if there are any, and remembers the best model. Of equal ones that is the last, which was
    /// trained longer.
    fn validate(&mut self, rank: &mut RankContext<'_>) -> Result<Option<f64>, Failure> {
        let Some(best) = &mut self.best else { return Ok(None) };
        let hits = hits(&self.model, &self.data.train, &self.held_out, rank.group)?;
        let step = self.position.step;
        let accuracy = hits as f64 / self.held_out.len() as f64;
        rank.metric("validation_accuracy", step, accuracy);
        if self.position.best.is_none_or(|best| hits >= best.hits) {
            self.position.best = Some(Best { step, hits });
            best.update(&self.model);
        }
        Ok(Some(accuracy))
    }

    /// The end of an epoch counts only if the epoch is validated: of few labels, epochs are short.
    fn checkpoint_due(&self, epoch_ended: bool) -> bool {
        let (step, epoch_ended) = (self.position.step, epoch_ended && self.validation_due());
        self.recipe.checkpoints.due(step, epoch_ended, step == self.steps, self.checkpointer.since_last())
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
        let cosine = match self.cosine_due() {
            true => shards::penalty_cosine(&self.model, rank.group, &self.shards, images, &objective)?,
            false => None,
        };

        let lr = self.lr_schedule.at(update);
        self.position.step += 1;
        let penalised = self.recipe.tikhonov.lambda != 0.0;
        let divergence = DivergenceCheck {
            chance_loss: (self.data.classes.len() as f64).ln(),
            remedies: "lower optimizer.lr or lengthen optimizer.warmup_epochs",
            at_once: match self.recipe.pretrained {
                Some(_) => "look at the loss of the job whose encoder it starts from",
                None => "take precision = \"f32\", if it is another",
            },
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
        if let Some(cosine) = cosine {
            rank.metric("penalty_cosine", self.position.step, cosine);
        }
        Ok(step)
    }

    /// Whether this step, which is not counted yet, is compared with the exact penalty: the first, and the last before each
    /// validation.
    fn cosine_due(&self) -> bool {
        let done = self.position.step + 1;
        let epoch_ends = done == self.steps || done.is_multiple_of(self.steps_per_epoch);
        done == 1 || (epoch_ends && self.validation_due_at(done))
    }
}

/// How many images the model classifies rightly in evaluation mode, without augmentation.
pub(super) fn hits(
    model: &Model,
    images: &data::Images,
    samples: &[i64],
    group: &ProcessGroup,
) -> Result<u64, Failure> {
    Ok(right(&classes(model, images, samples, group)?, images, samples))
}

/// The classes that the model gives these images in evaluation mode, without augmentation: `[samples]`.
pub(super) fn classes(
    model: &Model,
    images: &data::Images,
    samples: &[i64],
    group: &ProcessGroup,
) -> Result<Tensor, Failure> {
    Ok(outputs(model, images, samples, group)?.argmax(1, false))
}

/// How many of these `classes` are those of the images.
pub(super) fn right(classes: &Tensor, images: &data::Images, samples: &[i64]) -> u64 {
    classes.eq_tensor(&labels(images, samples)).sum(Kind::Int64).int64_value(&[]) as u64
}

/// Whether the best model's hits among `held_out` images are more than one standard error above the last model's (the
/// one-standard-error rule: Breiman et al. 1984).
pub(super) fn is_significantly_better(best: u64, last: u64, held_out: u64) -> bool {
    let (best, last, held_out) = (best as f64, last as f64, held_out as f64);
    best - last > (best * (held_out - best) / held_out).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_make_few_differences_significant() {
        assert!(!is_significantly_better(19, 16, 50), "a standard error is 3.4 images");
        assert!(is_significantly_better(19, 15, 50));
        assert!(is_significantly_better(3930, 3890, 5000), "and 29 of these");
        assert!(!is_significantly_better(12, 12, 12) && is_significantly_better(12, 11, 12));
    }
}
