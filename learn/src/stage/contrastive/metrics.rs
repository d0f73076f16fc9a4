//! Progress and metrics of a run, for people.

use std::time::Instant;

use tch::Tensor;

use super::trainer::Trainer;
use crate::failure::Failure;
use crate::objective::Geometry;
use crate::report::Event;
use crate::shards::Step;
use crate::stage::RankContext;

/// Below this share of the spread of random directions the representation has collapsed.
const COLLAPSED: f64 = 0.1;

impl Trainer<'_> {
    /// Reports progress a few times a second, and always if `at_once`.
    pub(super) fn progress(&mut self, rank: &mut RankContext<'_>, epoch: u32, at_once: bool) {
        let Some(rate) = self.throughput.advance(Instant::now(), u64::from(self.spec.batch_size), at_once) else {
            return;
        };
        let images_left = (self.steps - self.position.step) * u64::from(self.spec.batch_size);
        rank.emit(Event::Progress {
            step: self.position.step,
            steps: self.steps,
            epoch: epoch + 1,
            epochs: self.spec.epochs,
            images_per_second: rate,
            seconds_left: images_left as f64 / rate,
        });
    }

    /// Reports the metrics of an epoch and of its last step, and the monitor's if it is time.
    pub(super) fn end_epoch(
        &mut self,
        rank: &mut RankContext<'_>,
        epoch: u32,
        last: &Step,
        images_per_second: f64,
    ) -> Result<(), Failure> {
        let step = self.position.step;
        let loss = self.position.loss_sum / self.position.loss_count as f64;
        (self.position.loss_sum, self.position.loss_count, self.position.epoch_loss) = (0.0, 0, Some(loss));
        rank.metric("epoch_loss", step, loss);
        rank.metric("images_per_second", step, images_per_second);

        // The last head is that of the whole encoder.
        let geometries: Vec<Geometry> = last.outputs.iter().map(Geometry::of).collect();
        let Some(geometry) = geometries.last() else { return Ok(()) };
        for (number, geometry) in numbered(&geometries) {
            rank.metric(&format!("contrastive_accuracy_layer{number}"), step, geometry.accuracy);
        }
        rank.metric("contrastive_accuracy", step, geometry.accuracy);
        rank.metric("alignment", step, geometry.alignment);
        rank.metric("uniformity", step, geometry.uniformity);
        rank.metric("std", step, geometry.std);
        if geometry.std < COLLAPSED && !self.collapse_noted {
            self.collapse_noted = true;
            let collapse = format!(
                "the representation has collapsed at step {step}: its spread is {:.3} of that of random directions; a lower \
                 learning rate or a higher temperature may help",
                geometry.std
            );
            // The projections are the same on all ranks, so all fail or none.
            if self.spec.stop_on_collapse {
                return Err(Failure::Job(format!("{collapse}. Without stop_on_collapse it would go on")));
            }
            rank.note("collapse", collapse);
        }

        let every = self.spec.monitor.every_epochs;
        if every > 0 && ((epoch + 1).is_multiple_of(every) || step == self.steps) {
            let encode = |images: &Tensor| self.net.model.features(images);
            let accuracy = self.monitor.knn_accuracy(encode, &self.data.train, rank.group)?;
            self.position.knn_accuracy = Some(accuracy);
            rank.metric("knn_accuracy", step, accuracy);
            for (number, _) in numbered(&geometries) {
                let encode = |images: &Tensor| self.net.features(images, number - 1);
                let accuracy = self.monitor.knn_accuracy(encode, &self.data.train, rank.group)?;
                rank.metric(&format!("knn_accuracy_layer{number}"), step, accuracy);
            }
        }
        Ok(())
    }
}

/// The items of each layer, counted from 1; none if there is only one for the whole encoder.
pub(super) fn numbered<T>(layers: &[T]) -> impl Iterator<Item = (usize, &T)> {
    (1..).zip(layers).filter(|_| layers.len() > 1)
}
