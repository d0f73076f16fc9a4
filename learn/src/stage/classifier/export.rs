//! What a finished run leaves: the classifier and its results.

use std::time::Instant;

use super::steps::{classes, hits, is_significantly_better, right};
use super::trainer::Trainer;
use crate::artifact::{self, Card};
use crate::encoder::HeadShape;
use crate::failure::Failure;
use crate::stage::RankContext;
use crate::stage::model_copy::ModelCopy;
use crate::stage::predictions;
use crate::task::InputFile;

impl Trainer<'_> {
    /// Chooses and writes the classifier, and reports the results. Test images are evaluated only here.
    ///
    /// The last model is chosen, unless the best one is significantly better on the held-out images: the accuracy on 50 of
    /// them has a standard error of some seven points, and the best of fifty validations is mostly luck.
    pub(super) fn export(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        let trained = Instant::now();
        let test: Vec<i64> = (0..self.data.test.len() as i64).collect();
        let share = |hits: u64, of: usize| hits as f64 / of.max(1) as f64;
        let mut predictions = classes(&self.model, &self.data.test, &test, rank.group)?;
        let last = share(right(&predictions, &self.data.test, &test), test.len());
        let (mut step, mut accuracy, mut of_best) = (self.position.step, last, last);
        let mut best_step = step;
        if let Some((copy, best)) = self.best.as_ref().zip(self.position.best) {
            let held_out = self.held_out.len();
            let mut validated = hits(&self.model, &self.data.train, &self.held_out, rank.group)?;
            let ending = ModelCopy::of(&self.model);
            copy.restore(&mut self.model);
            let predictions_of_best = classes(&self.model, &self.data.test, &test, rank.group)?;
            of_best = share(right(&predictions_of_best, &self.data.test, &test), test.len());
            best_step = best.step;
            if is_significantly_better(best.hits, validated, held_out as u64) {
                (step, accuracy, validated) = (best.step, of_best, best.hits);
                predictions = predictions_of_best;
            } else {
                ending.restore(&mut self.model);
            }
            rank.result("validation_accuracy", share(validated, held_out));
        }
        self.save(rank, step)?;
        predictions::write(rank, &self.data.test.labels, &predictions)?;

        rank.result("test_accuracy", accuracy);
        if let Some(name) = self.recipe.alias {
            rank.result(name, accuracy);
        }
        rank.result("best_accuracy", of_best);
        rank.result("last_accuracy", last);
        rank.result("best_epoch", best_step.div_ceil(self.steps_per_epoch) as f64);
        rank.result("kept_epoch", step.div_ceil(self.steps_per_epoch) as f64);
        self.position.epoch_loss.into_iter().for_each(|loss| rank.result("loss", loss));
        // Trained on, and held out to choose by: a table of columns with other numbers compares unlike things.
        rank.result("labels", self.train.len() as f64);
        rank.result("held_out", self.held_out.len() as f64);
        rank.result("steps", self.steps as f64);
        rank.result("images_per_second", self.throughput.mean(trained));
        rank.result("checkpoint_stall_seconds", self.checkpointer.stall_seconds());
        rank.result("seconds", self.throughput.seconds(trained));
        Ok(())
    }

    /// Of a replay: the figure of the classifier that the job exported, by its file.
    pub(super) fn evaluate(&mut self, rank: &mut RankContext<'_>, exported: Option<&InputFile>) -> Result<(), Failure> {
        let Some(exported) = exported else { return Ok(()) };
        artifact::load_into(exported, "classifier", &[&self.model.parameters, &self.model.statistics])?;
        let test: Vec<i64> = (0..self.data.test.len() as i64).collect();
        let right = hits(&self.model, &self.data.test, &test, rank.group)?;
        rank.result("test_accuracy", right as f64 / test.len().max(1) as f64);
        Ok(())
    }

    /// Writes the model as it is now; `step` is the number of updates it has seen.
    fn save(&self, rank: &mut RankContext<'_>, step: u64) -> Result<(), Failure> {
        if !rank.is_rank_zero() {
            return Ok(());
        }
        let head =
            HeadShape::FullyConnected { layers: self.recipe.head_layers, classes: self.data.classes.len() as u32 };
        let checksum = &self.data.train.checksum;
        let mut labelled = [self.train.as_slice(), &self.held_out].concat();
        labelled.sort_unstable();
        let card = Card::new(&rank.task.spec, self.recipe.encoder, Some(head), checksum, step);
        let mut card = card.with_classes(self.data, labelled);
        card.inputs = self.recipe.pretrained.iter().map(|encoder| encoder.sha256.clone()).collect();
        let parts = [&self.model.parameters, &self.model.statistics];
        rank.emit(artifact::save(&rank.task.artifacts_dir(), "classifier", &parts, &card)?);
        Ok(())
    }
}
