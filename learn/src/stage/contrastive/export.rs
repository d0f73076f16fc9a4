//! What a finished run leaves: the encoder and its results.

use std::time::Instant;

use super::trainer::Trainer;
use crate::artifact::{self, Card};
use crate::failure::Failure;
use crate::stage::RankContext;
use crate::stage::training_state::Position;

impl Trainer<'_> {
    /// Writes the encoder and reports the results.
    pub(super) fn export(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        let now = Instant::now();
        if rank.is_rank_zero() {
            let checksum = &self.data.train.checksum;
            let (encoder, head) = (self.spec.encoder, Some(self.spec.head.into()));
            let card = Card::new(&rank.task.spec, encoder, head, checksum, self.position.step);
            let parts = [&self.net.model.parameters, &self.net.model.statistics];
            rank.emit(artifact::save(&rank.task.artifacts_dir(), "encoder", &parts, &card)?);
        }
        let Position { epoch_loss, knn_accuracy, .. } = self.position;
        for (name, value) in [("loss", epoch_loss), ("knn_accuracy", knn_accuracy)] {
            value.into_iter().for_each(|value| rank.result(name, value));
        }
        rank.result("images_per_second", self.throughput.mean(now));
        rank.result("checkpoint_stall_seconds", self.checkpointer.stall_seconds());
        rank.result("seconds", self.throughput.seconds(now));
        rank.result("steps", self.steps as f64);
        Ok(())
    }
}
