//! The loss on images that are held out, by which the encoder is chosen.

use tch::Tensor;

use super::trainer::Trainer;
use crate::augment;
use crate::failure::Failure;
use crate::features::gathered;
use crate::nt_xent::nt_xent;
use crate::stage::RankContext;
use crate::stage::training_state::Lowest;

/// Of the key of the held-out images' views. They are the same after each epoch, so that two epochs differ by the net alone;
/// no epoch trains on these images.
const VIEWS_EPOCH: u32 = 0;

impl Trainer<'_> {
    /// At the end of an epoch, if images are held out: measures the loss on them, and remembers the weights of the lowest.
    pub(super) fn validate(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        if self.held_out.is_empty() {
            return Ok(());
        }
        let (step, loss) = (self.position.step, self.validation_loss(rank)?);
        rank.metric("validation_loss", step, loss);
        let lower = loss.is_finite() && self.position.lowest.is_none_or(|lowest| loss < lowest.loss);
        if let Some(best) = self.best.as_mut().filter(|_| lower) {
            self.position.lowest = Some(Lowest { step, loss });
            best.update(&self.net.model);
        }
        Ok(())
    }

    /// The weighted sum of the heads' losses, without penalties, by the running statistics, on the held-out images.
    ///
    /// It is the mean over batches of the training's size, since the loss grows with the number of candidates; a smaller last
    /// one is left out, unless it is the only one. The same bits on every rank.
    fn validation_loss(&self, rank: &RankContext<'_>) -> Result<f64, Failure> {
        let job = &rank.task.spec;
        let rows = |view: u32| {
            let rows = |samples: &[i64]| {
                let recipe = &self.spec.augment;
                let images =
                    augment::views(&self.data.train, samples, view, recipe, job.seed, VIEWS_EPOCH, job.threads);
                self.net.evaluate(&images)
            };
            gathered(rows, &self.held_out, rank.group)
        };
        let (first, second) = (rows(0)?, rows(1)?);
        let (count, width) = (first.size()[0], first.size()[1] / self.terms.len() as i64);
        let size = i64::from(self.spec.batch_size).min(count);
        let (mut sum, batches) = (0.0, count / size);
        for batch in 0..batches {
            let both = [&first, &second].map(|rows| rows.narrow(0, batch * size, size));
            let both = Tensor::cat(&both, 0);
            for (k, term) in (0..).zip(&self.terms) {
                let own = both.narrow(1, k * width, width);
                sum += term.weight * nt_xent(&own, self.spec.temperature, self.spec.self_term).double_value(&[]);
            }
        }
        Ok(sum / batches as f64)
    }
}
