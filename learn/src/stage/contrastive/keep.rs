//! What outlives the process: checkpoints while it trains, the encoder and final figures at the end.

use std::time::Instant;

use tch::Tensor;

use super::{Pace, Position, Rank, Training};
use crate::artifact::{self, Card};
use crate::checkpoint::{self, State};
use crate::failure::Failure;
use crate::report::Event;

impl Training<'_> {
    fn state(&self) -> State<'_> {
        State {
            parameters: &self.model.parameters,
            statistics: &self.model.statistics,
            velocity: &self.optimizer.velocity,
        }
    }

    /// Rank 0 loads the newest good checkpoint and hands it to the others: no shared folder is needed, and all ranks go
    /// on from the same step.
    pub(super) fn resume(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        if rank.leads() {
            let (found, skipped) = checkpoint::newest(&rank.task.checkpoints, &self.spec_sha256, &self.state());
            skipped.into_iter().for_each(|message| rank.note("checkpoint_skipped", message));
            self.position = found.unwrap_or_default();
        }
        // The other figures of a position are told by rank 0 alone.
        let step = Tensor::from_slice(&[self.position.step as i64]).to_device(rank.device);
        rank.group.broadcast(&step, 0)?;
        self.position.step = step.int64_value(&[0]) as u64;
        for flat in [&self.model.parameters, &self.model.statistics, &self.optimizer.velocity] {
            rank.group.broadcast(flat.vector(), 0)?;
        }
        self.seconds_before = self.position.seconds;
        self.pace = Pace::new(Instant::now());
        Ok(())
    }

    /// Rank 0 saves the run as it is.
    pub(super) fn checkpoint(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        self.position.seconds = self.seconds_before + self.pace.seconds(Instant::now());
        if rank.leads() {
            let saved = checkpoint::save(&rank.task.job_dir, &self.spec_sha256, self.position, &self.state())?;
            let (path, sha256, bytes) = (saved.path, saved.sha256, saved.bytes);
            rank.tell(Event::Checkpoint { step: self.position.step, path, sha256, bytes });
        }
        Ok(())
    }

    /// The encoder, and figures of the whole run.
    pub(super) fn export(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        let now = Instant::now();
        if rank.leads() {
            let checksum = &self.data.train.checksum;
            let card = Card::new(
                &rank.task.spec,
                self.spec.encoder,
                Some(self.spec.head.into()),
                checksum,
                self.position.step,
            );
            let parts = [&self.model.parameters, &self.model.statistics];
            let artifact = artifact::save(&rank.task.job_dir, "encoder", &parts, &card)?;
            rank.tell(artifact);
        }
        let Position { epoch_loss, knn_accuracy, .. } = self.position;
        for (name, value) in [("loss", epoch_loss), ("knn_accuracy", knn_accuracy)] {
            value.into_iter().for_each(|value| rank.result(name, value));
        }
        rank.result("images_per_second", self.pace.mean(now));
        rank.result("seconds", self.seconds_before + self.pace.seconds(now));
        rank.result("steps", self.steps as f64);
        Ok(())
    }
}
