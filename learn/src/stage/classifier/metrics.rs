//! Progress and metrics of a run, for people, and the validations that find the best model.

use std::time::Instant;

use tandem_collective::Group;
use tch::Kind;

use super::trainer::Trainer;
use crate::data;
use crate::encoder::Model;
use crate::failure::Failure;
use crate::features::answers;
use crate::report::Event;
use crate::stage::training_state::Best;
use crate::stage::{RankContext, labels};

/// With a budget in steps and few labels there are many short epochs, but at most about this many validations and
/// checkpoints.
const MAX_VALIDATIONS: u64 = 50;

impl Trainer<'_> {
    /// Reports progress a few times a second, and always if `at_once`.
    pub(super) fn progress(&mut self, rank: &mut RankContext<'_>, epoch: u32, at_once: bool) {
        let Some(rate) = self.throughput.advance(Instant::now(), u64::from(self.batch_size), at_once) else { return };
        let images_left = (self.steps - self.position.step) * u64::from(self.batch_size);
        rank.emit(Event::Progress {
            step: self.position.step,
            steps: self.steps,
            epoch: epoch + 1,
            epochs: self.steps.div_ceil(self.steps_per_epoch) as u32,
            images_per_second: rate,
            seconds_left: images_left as f64 / rate,
        });
    }

    /// Reports the metrics of an epoch, and validates if it is time.
    pub(super) fn end_epoch(&mut self, rank: &mut RankContext<'_>, images_per_second: f64) -> Result<(), Failure> {
        let step = self.position.step;
        let count = self.position.loss_count;
        let loss = self.position.loss_sum / count as f64;
        let right = self.position.hits as f64 / (count * u64::from(self.batch_size)) as f64;
        self.position.epoch_loss = Some(loss);
        (self.position.loss_sum, self.position.loss_count, self.position.hits) = (0.0, 0, 0);
        rank.metric("epoch_loss", step, loss);
        rank.metric("train_batch_accuracy", step, right);
        rank.metric("images_per_second", step, images_per_second);
        if self.validation_due() { self.validate(rank) } else { Ok(()) }
    }

    /// Whether to validate, at the end of an epoch.
    pub(super) fn validation_due(&self) -> bool {
        let every = match self.recipe.steps {
            None => 1,
            Some(_) => self.steps.div_ceil(MAX_VALIDATIONS).div_ceil(self.steps_per_epoch),
        };
        let epoch = self.position.step / self.steps_per_epoch;
        self.position.step == self.steps || epoch.is_multiple_of(every)
    }

    /// Evaluates the held-out images and remembers the best model. Of equal ones that is the last, which was trained longer.
    fn validate(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        let Some(best) = &mut self.best else { return Ok(()) };
        let hits = hits(&self.model, &self.data.train, &self.held_out, rank.group)?;
        let step = self.position.step;
        rank.metric("validation_accuracy", step, hits as f64 / self.held_out.len() as f64);
        if self.position.best.is_none_or(|best| hits >= best.hits) {
            self.position.best = Some(Best { step, hits });
            best.update(&self.model);
        }
        Ok(())
    }
}

/// How many images the model classifies rightly in evaluation mode, without augmentation.
pub(super) fn hits(model: &Model, images: &data::Images, samples: &[i64], group: &Group) -> Result<u64, Failure> {
    let classes = answers(model, images, samples, group)?.argmax(1, false);
    Ok(classes.eq_tensor(&labels(images, samples)).sum(Kind::Int64).int64_value(&[]) as u64)
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
