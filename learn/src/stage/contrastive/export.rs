//! What a finished run leaves: the encoder, its results, and pictures if they are wanted.

use std::time::Instant;

use tch::Tensor;

use super::trainer::Trainer;
use crate::artifact::{self, Card};
use crate::failure::Failure;
use crate::stage::RankContext;
use crate::stage::training_state::Position;
use crate::task::InputFile;

impl Trainer<'_> {
    /// Writes the encoder and reports the results. With images held out it is that of the lowest loss on these.
    pub(super) fn export(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        let now = Instant::now();
        let kept = match (&self.best, self.position.lowest) {
            (Some(best), Some(lowest)) => {
                best.restore(&mut self.net.model);
                lowest.step
            }
            _ => self.position.step,
        };
        if rank.is_rank_zero() {
            let checksum = &self.data.train.checksum;
            let (encoder, head) = (self.spec.encoder, Some(self.spec.head.into()));
            let card = Card::new(&rank.task.spec, encoder, head, checksum, kept);
            let parts = [&self.net.model.parameters, &self.net.model.statistics];
            rank.emit(artifact::save(&rank.task.artifacts_dir(), "encoder", &parts, &card)?);
        }
        let Position { epoch_loss, mut knn_accuracy, lowest, step, .. } = self.position;
        if kept != step && knn_accuracy.is_some() {
            let encode = |images: &Tensor| self.net.model.features(images);
            knn_accuracy = Some(self.monitor.knn_accuracy(encode, &self.data.train, rank.group)?);
        }
        if let Some(lowest) = lowest {
            rank.result("validation_loss", lowest.loss);
            rank.result("kept_epoch", (kept / self.steps_per_epoch) as f64);
            rank.result("held_out", self.held_out.len() as f64);
        }
        for (name, value) in [("loss", epoch_loss), ("knn_accuracy", knn_accuracy)] {
            value.into_iter().for_each(|value| rank.result(name, value));
        }
        self.write_pictures(rank)?;
        rank.result("images_per_second", self.throughput.mean(now));
        rank.result("checkpoint_stall_seconds", self.checkpointer.stall_seconds());
        rank.result("seconds", self.throughput.seconds(now));
        rank.result("steps", self.steps as f64);
        Ok(())
    }

    /// Of a replay: the figure of the encoder that the job exported, by its file.
    pub(super) fn evaluate(&mut self, rank: &mut RankContext<'_>, exported: Option<&InputFile>) -> Result<(), Failure> {
        let Some(exported) = exported.filter(|_| self.spec.monitor.every_epochs > 0) else { return Ok(()) };
        artifact::load_into(exported, "encoder", &[&self.net.model.parameters, &self.net.model.statistics])?;
        let encode = |images: &Tensor| self.net.model.features(images);
        let accuracy = self.monitor.knn_accuracy(encode, &self.data.train, rank.group)?;
        rank.result("knn_accuracy", accuracy);
        Ok(())
    }
}
