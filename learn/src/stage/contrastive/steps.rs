//! The training loop, and its metrics for people.

use std::time::Instant;

use tandem_domain::spec::ViewPasses;
use tch::Tensor;

use super::trainer::Trainer;
use crate::augment;
use crate::data::epoch_order;
use crate::failure::Failure;
use crate::network::Network;
use crate::nt_xent::{Geometry, nt_xent};
use crate::objective::{Objective, Views};
use crate::report::Outcome;
use crate::shards::{self, Step};
use crate::stage::RankContext;
use crate::stage::checkpointing::CheckpointPolicy;
use crate::stage::divergence::DivergenceCheck;
use crate::stage::epoch_line::{self, Figure};
use crate::views_apart::ViewsApart;

/// Below this share of the spread of random directions the representation has collapsed.
const COLLAPSED: f64 = 0.1;

impl Trainer<'_> {
    /// Every epoch has its own order of images; an incomplete last batch is dropped.
    pub(super) fn train(&mut self, rank: &mut RankContext<'_>) -> Result<Outcome, Failure> {
        let first = self.position.step;
        while self.position.step < self.steps {
            let epoch = (self.position.step / self.steps_per_epoch) as u32;
            let (epoch_began, epoch_first) = (Instant::now(), self.position.step);
            let order = epoch_order(self.train.len(), rank.task.spec.seed, epoch);
            let order: Vec<i64> = order.into_iter().map(|place| self.train[place as usize]).collect();
            let done = (self.position.step % self.steps_per_epoch) as usize;
            for batch in order.chunks_exact(self.spec.batch_size as usize).skip(done) {
                let step = self.step(rank, epoch, batch)?;
                let epoch_ended = self.position.step.is_multiple_of(self.steps_per_epoch);
                self.progress(rank, epoch, epoch_ended || self.position.step == first + 1);
                if epoch_ended {
                    let images = (self.position.step - epoch_first) * u64::from(self.spec.batch_size);
                    let images_per_second = images as f64 / epoch_began.elapsed().as_secs_f64();
                    self.end_epoch(rank, epoch, &step, images_per_second)?;
                }
                self.checkpointer.poll(rank)?;
                let replayed = rank.replay_ends(self.position.step);
                if step.stop || replayed || self.checkpoint_due(epoch_ended) {
                    self.checkpoint(rank)?;
                }
                if replayed {
                    return Ok(Outcome::Finished);
                }
                if step.stop && self.position.step < self.steps {
                    return Ok(Outcome::Stopped);
                }
            }
        }
        Ok(Outcome::Finished)
    }

    /// Reports progress a few times a second, and always if `at_once`.
    fn progress(&mut self, rank: &mut RankContext<'_>, epoch: u32, at_once: bool) {
        let Some(rate) = self.throughput.advance(Instant::now(), u64::from(self.spec.batch_size), at_once) else {
            return;
        };
        let images_left = (self.steps - self.position.step) * u64::from(self.spec.batch_size);
        let (steps, epochs) = ((self.position.step, self.steps), (epoch + 1, self.spec.epochs));
        rank.progress(steps, epochs, rate, images_left as f64 / rate);
    }

    /// Reports the metrics of an epoch and of its last step, and the monitor's if it is time.
    fn end_epoch(
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

        let mut figures = vec![("loss", Figure::Number(loss))];
        self.validate(rank)?;
        let every = self.spec.monitor.every_epochs;
        if every > 0 && ((epoch + 1).is_multiple_of(every) || step == self.steps) {
            let encode = |images: &Tensor| self.net.model.features(images);
            let accuracy = self.monitor.knn_accuracy(encode, &self.data.train, rank.group)?;
            self.position.knn_accuracy = Some(accuracy);
            rank.metric("knn_accuracy", step, accuracy);
            figures.push(("kNN", Figure::Share(accuracy)));
            for (number, _) in numbered(&geometries) {
                let encode = |images: &Tensor| self.net.features(images, number - 1);
                let accuracy = self.monitor.knn_accuracy(encode, &self.data.train, rank.group)?;
                rank.metric(&format!("knn_accuracy_layer{number}"), step, accuracy);
            }
        }
        let (epoch, epochs) = (epoch + 1, self.spec.epochs);
        if epoch_line::is_told(epoch, epochs) {
            let part = format!("epoch {epoch}/{epochs}, step {step}");
            rank.log(epoch_line::line(&part, &figures, images_per_second));
        }
        Ok(())
    }

    fn checkpoint_due(&self, epoch_ended: bool) -> bool {
        let policy = CheckpointPolicy { steps: self.spec.checkpoint_steps, minutes: self.spec.checkpoint_minutes };
        policy.due(self.position.step, epoch_ended, self.position.step == self.steps, self.checkpointer.since_last())
    }

    /// One update.
    fn step(&mut self, rank: &mut RankContext<'_>, epoch: u32, batch: &[i64]) -> Result<Step, Failure> {
        let job = &rank.task.spec;
        let views = |shard| {
            let samples = self.shards.part(batch, shard);
            augment::pairs(&self.data.train, samples, &self.spec.augment, job.seed, epoch, job.threads)
        };
        let loss = |z: &Tensor| nt_xent(z, self.spec.temperature, self.spec.self_term);
        let terms = self.terms.clone();
        let objective = Objective { terms, recompute: self.spec.recompute, ..Objective::new(Views::Two, &loss) };
        let objective = objective.differentiated(&self.spec.tikhonov);
        let apart = ViewsApart(&self.net);
        let network: &dyn Network = match self.spec.views {
            ViewPasses::Together => &self.net,
            ViewPasses::Apart => &apart,
        };
        let step = shards::step(network, rank.group, &self.shards, views, &objective, rank.stop_requested())?;
        let cosine = match self.cosine_due() {
            true => shards::penalty_cosine(network, rank.group, &self.shards, views, &objective)?,
            false => None,
        };

        let update = self.position.step;
        let lr = self.lr_schedule.at(update);
        self.position.step += 1;
        self.divergence_check().check(&step, self.position.step, lr)?;
        self.optimizer.step(&self.net.model.parameters, step.gradient.shallow_clone(), lr, update);
        self.net.model.statistics.assign(&step.statistics);

        self.position.loss_sum += step.loss;
        self.position.loss_count += 1;
        rank.metric("loss", self.position.step, step.loss);
        rank.metric("lr", self.position.step, lr);
        for (number, loss) in numbered(&step.losses) {
            rank.metric(&format!("loss_layer{number}"), self.position.step, *loss);
        }
        if self.penalised() {
            rank.metric("penalty", self.position.step, step.penalty);
            rank.metric("penalty_share", self.position.step, step.penalty / (step.loss + step.penalty));
        }
        if let Some(cosine) = cosine {
            rank.metric("penalty_cosine", self.position.step, cosine);
        }
        Ok(step)
    }

    /// Whether this step, which is not counted yet, is compared with the exact penalty: the first, and the last of each epoch.
    fn cosine_due(&self) -> bool {
        self.position.step == 0 || (self.position.step + 1).is_multiple_of(self.steps_per_epoch)
    }

    fn penalised(&self) -> bool {
        self.terms.iter().any(|term| term.penalty != 0.0)
    }

    fn divergence_check(&self) -> DivergenceCheck {
        // The partner of a view is chosen among all other views of the batch.
        let others = 2.0 * f64::from(self.spec.batch_size) - 1.0;
        DivergenceCheck {
            chance_loss: others.ln(),
            remedies: "lower optimizer.lr, lengthen optimizer.warmup_epochs or raise temperature",
            at_once: "raise temperature",
            penalty: self.penalised().then_some("tikhonov.lambda (or layerwise.beta)"),
        }
    }
}

/// The items of each layer, counted from 1; none if there is only one for the whole encoder.
fn numbered<T>(layers: &[T]) -> impl Iterator<Item = (usize, &T)> {
    (1..).zip(layers).filter(|_| layers.len() > 1)
}
