//! Contrastive pretraining (the paper's stage 1): the loop from images to an encoder.

use std::time::Instant;

use tandem_domain::spec::{BatchNorm, Contrastive};
use tch::{Kind, Tensor};

use super::Rank;
use super::pace::Pace;
use crate::artifact::{self, Card};
use crate::augment;
use crate::checkpoint::{self, Position, State};
use crate::data::{Data, epoch_order};
use crate::encoder::Model;
use crate::failure::Failure;
use crate::files::sha256;
use crate::monitor::Monitor;
use crate::objective::{Geometry, nt_xent};
use crate::optimizer::Optimizer;
use crate::report::{Event, Outcome};
use crate::schedule::LearningRate;
use crate::shards::{self, Shards, Step};

/// Below this share of the spread of a healthy representation, all images look alike to the encoder.
const COLLAPSED: f64 = 0.1;

/// Trains from the newest good checkpoint, or from the start, to the end or until some rank is asked to stop.
pub(crate) fn run(rank: &mut Rank<'_>, spec: &Contrastive) -> Result<Outcome, Failure> {
    refuse_what_is_missing(spec)?;
    let shards = Shards::new(rank.task.spec.shards, spec.batch_size, rank.group)?;
    let data = rank.load_data()?;
    let mut training = Training::begin(rank, spec, shards, &data)?;
    rank.phase("training", training.position.step);
    let outcome = training.until_the_end(rank)?;
    if outcome == Outcome::Finished {
        rank.phase("exporting", training.position.step);
        training.export(rank)?;
    }
    Ok(outcome)
}

/// The coordinator refuses these at submit; a rank does not trust that.
fn refuse_what_is_missing(spec: &Contrastive) -> Result<(), Failure> {
    let missing = [
        (spec.tikhonov.lambda != 0.0, "tikhonov"),
        (spec.layerwise.is_some(), "layerwise"),
        (spec.batch_norm != BatchNorm::Shard, "batch_norm = \"global\""),
    ];
    match missing.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(Failure::Job(format!("{what} cannot run yet in this version"))),
        None => Ok(()),
    }
}

struct Training<'a> {
    spec: &'a Contrastive,
    data: &'a Data,
    shards: Shards,
    model: Model,
    optimizer: Optimizer,
    rates: LearningRate,
    monitor: Monitor,
    spec_sha256: String,
    steps_per_epoch: u64,
    steps: u64,
    position: Position,
    /// Training seconds of earlier attempts, up to the checkpoint.
    seconds_before: f64,
    pace: Pace,
    collapse_noted: bool,
}

impl<'a> Training<'a> {
    fn begin(rank: &mut Rank<'_>, spec: &'a Contrastive, shards: Shards, data: &'a Data) -> Result<Self, Failure> {
        let seed = rank.task.spec.seed;
        let steps_per_epoch = data.train.len() as u64 / u64::from(spec.batch_size);
        if steps_per_epoch == 0 {
            return Err(Failure::Job(format!(
                "batch_size {} is larger than {}'s {} training images",
                spec.batch_size,
                rank.task.spec.dataset,
                data.train.len()
            )));
        }
        let steps = steps_per_epoch * u64::from(spec.epochs);
        let model = Model::new(spec.encoder, Some(spec.head), seed, rank.device)
            .ok_or_else(|| Failure::Job(format!("this version cannot build {:?}", spec.encoder)))?;
        let optimizer = Optimizer::new(&spec.optimizer, &model.parameters)
            .ok_or_else(|| Failure::Job(format!("this version has no optimizer {:?}", spec.optimizer.name)))?;
        let json = serde_json::to_vec(&rank.task.spec)
            .map_err(|error| Failure::Job(format!("cannot encode the spec: {error}")))?;
        let mut training = Self {
            spec,
            data,
            shards,
            model,
            optimizer,
            rates: LearningRate::new(&spec.optimizer, steps_per_epoch, steps),
            monitor: Monitor::new(&spec.monitor, data.train.len(), data.classes.len(), seed),
            spec_sha256: sha256(&json),
            steps_per_epoch,
            steps,
            position: Position::default(),
            seconds_before: 0.0,
            pace: Pace::new(Instant::now()),
            collapse_noted: false,
        };
        training.resume(rank)?;
        Ok(training)
    }

    fn state(&self) -> State<'_> {
        State {
            parameters: &self.model.parameters,
            statistics: &self.model.statistics,
            velocity: &self.optimizer.velocity,
        }
    }

    /// Rank 0 loads the newest good checkpoint and hands it to the others: no shared folder is needed, and all ranks go
    /// on from the same step.
    fn resume(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
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

    fn until_the_end(&mut self, rank: &mut Rank<'_>) -> Result<Outcome, Failure> {
        while self.position.step < self.steps {
            let epoch = (self.position.step / self.steps_per_epoch) as u32;
            let outcome = self.epoch(rank, epoch)?;
            if outcome == Outcome::Stopped {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// The rest of one epoch. The last, incomplete batch is dropped.
    fn epoch(&mut self, rank: &mut Rank<'_>, epoch: u32) -> Result<Outcome, Failure> {
        let order = epoch_order(self.data.train.len(), rank.task.spec.seed, epoch);
        let began = Instant::now();
        let (first, end) = (self.position.step, (u64::from(epoch) + 1) * self.steps_per_epoch);
        loop {
            let in_epoch = (self.position.step % self.steps_per_epoch) as usize;
            let batch = &order[in_epoch * self.spec.batch_size as usize..][..self.spec.batch_size as usize];
            let step = self.step(rank, epoch, batch)?;
            let ended = self.position.step == end;
            self.progress(rank, epoch, ended);
            if ended {
                let images = (end - first) * u64::from(self.spec.batch_size);
                rank.metric("images_per_second", end, images as f64 / began.elapsed().as_secs_f64());
                self.look(rank, epoch, &step)?;
            }
            let due = match self.spec.checkpoint_steps {
                0 => ended,
                every => self.position.step % u64::from(every) == 0 || self.position.step == self.steps,
            };
            if due || step.stop {
                self.checkpoint(rank)?;
            }
            match (ended, step.stop && self.position.step < self.steps) {
                (_, true) => return Ok(Outcome::Stopped),
                (true, false) => return Ok(Outcome::Finished),
                (false, false) => {}
            }
        }
    }

    /// One update.
    fn step(&mut self, rank: &mut Rank<'_>, epoch: u32, batch: &[i64]) -> Result<Step, Failure> {
        let job = &rank.task.spec;
        let views = |shard| {
            let samples = self.shards.part(batch, shard);
            let view = |view| {
                augment::views(&self.data.train, samples, view, &self.spec.augment, job.seed, epoch, job.threads)
            };
            Tensor::cat(&[view(0), view(1)], 0)
        };
        let objective = |z: &Tensor| nt_xent(z, self.spec.temperature, self.spec.self_term);
        let step = shards::step(&self.model, rank.group, &self.shards, views, objective, rank.stop_wanted())?;

        let lr = self.rates.at(self.position.step);
        self.position.step += 1;
        if !step.loss.is_finite() || !step.gradient.sum(Kind::Float).double_value(&[]).is_finite() {
            return Err(Failure::Job(format!(
                "the loss or its gradient is not finite at step {} (loss {}, learning rate {lr:.3e}): most often the \
                 learning rate is too high; lower optimizer.lr, lengthen optimizer.warmup_epochs or raise temperature",
                self.position.step, step.loss
            )));
        }
        self.optimizer.step(&self.model.parameters, step.gradient.shallow_clone(), lr);
        self.model.statistics.assign(&step.statistics);

        self.position.loss_sum += step.loss;
        self.position.loss_count += 1;
        rank.metric("loss", self.position.step, step.loss);
        rank.metric("lr", self.position.step, lr);
        Ok(step)
    }

    fn progress(&mut self, rank: &mut Rank<'_>, epoch: u32, at_once: bool) {
        let Some(rate) = self.pace.advance(Instant::now(), u64::from(self.spec.batch_size), at_once) else { return };
        let images_left = (self.steps - self.position.step) * u64::from(self.spec.batch_size);
        rank.tell(Event::Progress {
            step: self.position.step,
            steps: self.steps,
            epoch: epoch + 1,
            epochs: self.spec.epochs,
            images_per_second: rate,
            seconds_left: images_left as f64 / rate,
        });
    }

    /// What people want to know at the end of an epoch.
    fn look(&mut self, rank: &mut Rank<'_>, epoch: u32, last: &Step) -> Result<(), Failure> {
        let step = self.position.step;
        let loss = self.position.loss_sum / self.position.loss_count as f64;
        (self.position.loss_sum, self.position.loss_count, self.position.epoch_loss) = (0.0, 0, Some(loss));
        rank.metric("epoch_loss", step, loss);

        let geometry = Geometry::of(&last.projections);
        rank.metric("contrastive_accuracy", step, geometry.accuracy);
        rank.metric("alignment", step, geometry.alignment);
        rank.metric("uniformity", step, geometry.uniformity);
        rank.metric("std", step, geometry.std);
        if geometry.std < COLLAPSED && !self.collapse_noted {
            self.collapse_noted = true;
            rank.note(
                "collapse",
                format!(
                    "the representation has collapsed at step {step}: its spread is {:.3} of that of random directions; \
                     a lower learning rate or a higher temperature may help",
                    geometry.std
                ),
            );
        }

        let every = self.spec.monitor.every_epochs;
        if every > 0 && ((epoch + 1) % every == 0 || step == self.steps) {
            let accuracy = self.monitor.knn_accuracy(&self.model, &self.data.train, rank.group)?;
            self.position.knn_accuracy = Some(accuracy);
            rank.metric("knn_accuracy", step, accuracy);
        }
        Ok(())
    }

    fn checkpoint(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        self.position.seconds = self.seconds_before + self.pace.seconds(Instant::now());
        if rank.leads() {
            let saved = checkpoint::save(&rank.task.job_dir, &self.spec_sha256, self.position, &self.state())?;
            let (path, sha256, bytes) = (saved.path, saved.sha256, saved.bytes);
            rank.tell(Event::Checkpoint { step: self.position.step, path, sha256, bytes });
        }
        Ok(())
    }

    fn export(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        let now = Instant::now();
        if rank.leads() {
            let checksum = &self.data.train.checksum;
            let card =
                Card::new(&rank.task.spec, self.spec.encoder, Some(self.spec.head), checksum, self.position.step);
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
