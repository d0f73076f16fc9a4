//! The state of a run, and its beginning from the newest good checkpoint.

use std::time::Instant;

use tandem_domain::spec::{Contrastive, Layerwise};

use crate::data::{Data, hold_out_images};
use crate::encoder::LayerwiseModel;
use crate::failure::Failure;
use crate::lr_schedule::LrSchedule;
use crate::monitor::Monitor;
use crate::objective::{LossTerm, Views};
use crate::optimizer::Optimizer;
use crate::penalty;
use crate::shards::Shards;
use crate::stage::RankContext;
use crate::stage::checkpointing::Checkpointer;
use crate::stage::model_copy::ModelCopy;
use crate::stage::throughput::Throughput;
use crate::stage::training_state::{Position, TrainingState};

/// One term of the objective for each head: eq. (3), or eq. (5).
fn terms(spec: &Contrastive, net: &LayerwiseModel) -> Vec<LossTerm> {
    let (tikhonov, images) = (&spec.tikhonov, spec.batch_size);
    match &spec.layerwise {
        Some(layers) => net.terms(layers, tikhonov, images),
        None => {
            let lambda = penalty::lambda(tikhonov, images);
            let penalty = penalty::coefficient(lambda, tikhonov.scaling, Views::Two, images);
            vec![LossTerm { weight: 1.0, penalty, reach: None }]
        }
    }
}

/// The tensors that a checkpoint holds.
pub(super) fn state<'a>(
    net: &'a LayerwiseModel,
    optimizer: &'a Optimizer,
    best: Option<&'a ModelCopy>,
) -> TrainingState<'a> {
    let network = [("parameters.", &net.model.parameters), ("statistics.", &net.model.statistics)];
    let best = best.into_iter().flat_map(ModelCopy::state);
    TrainingState(network.into_iter().chain(optimizer.state()).chain(best).collect())
}

/// The state of a run between two steps.
pub(super) struct Trainer<'a> {
    pub(super) spec: &'a Contrastive,
    pub(super) data: &'a Data,
    pub(super) shards: Shards,
    /// Images to train on, ascending, and those that are held out.
    pub(super) train: Vec<i64>,
    pub(super) held_out: Vec<i64>,
    /// The weights of the lowest loss on these so far; the first weights before the first epoch's end. `None` if nothing is
    /// held out.
    pub(super) best: Option<ModelCopy>,
    pub(super) net: LayerwiseModel,
    pub(super) terms: Vec<LossTerm>,
    pub(super) optimizer: Optimizer,
    pub(super) lr_schedule: LrSchedule,
    pub(super) monitor: Monitor,
    pub(super) checkpointer: Checkpointer,
    pub(super) steps_per_epoch: u64,
    pub(super) steps: u64,
    pub(super) position: Position,
    pub(super) throughput: Throughput,
    pub(super) collapse_noted: bool,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        rank: &mut RankContext<'_>,
        spec: &'a Contrastive,
        shards: Shards,
        data: &'a Data,
    ) -> Result<Self, Failure> {
        let seed = rank.task.spec.seed;
        let (train, held_out) = hold_out_images(data.train.len(), spec.validation, seed);
        let steps_per_epoch = train.len() as u64 / u64::from(spec.batch_size);
        if steps_per_epoch == 0 {
            return Err(Failure::Job(format!(
                "batch_size {} is larger than {}'s {} training images, less {} that are held out",
                spec.batch_size,
                rank.task.spec.dataset,
                data.train.len(),
                held_out.len()
            )));
        }
        if spec.validation > 0.0 && held_out.len() < 2 {
            return Err(Failure::Job(format!(
                "validation {} holds out {} of {}'s {} training images, and a contrastive loss needs 2: raise it, or write 0",
                spec.validation,
                held_out.len(),
                rank.task.spec.dataset,
                data.train.len()
            )));
        }
        let steps = steps_per_epoch * u64::from(spec.epochs);
        let heads = if spec.layerwise.is_some() { Layerwise::STAGES } else { 1 };
        let mut net = LayerwiseModel::new(spec.encoder, spec.head, heads, seed, rank.device)
            .ok_or_else(|| Failure::Unknown(format!("this version cannot build {:?}", spec.encoder)))?;
        net.model.set_training(spec.batch_norm, spec.precision).map_err(Failure::Job)?;
        let optimizer = Optimizer::new(&spec.optimizer, &net.model.parameters);
        let best = (!held_out.is_empty()).then(|| ModelCopy::of(&net.model));
        let state = state(&net, &optimizer, best.as_ref());
        let (checkpointer, position) = Checkpointer::resume(rank, &state, &data.train.checksum)?;
        Ok(Self {
            spec,
            data,
            shards,
            train,
            held_out,
            best,
            terms: terms(spec, &net),
            net,
            optimizer,
            lr_schedule: LrSchedule::new(&spec.optimizer, steps_per_epoch, steps),
            monitor: Monitor::new(&spec.monitor, data.train.len(), data.classes.len(), seed),
            checkpointer,
            steps_per_epoch,
            steps,
            throughput: Throughput::new(Instant::now(), position.seconds),
            position,
            collapse_noted: false,
        })
    }

    /// Rank 0 begins to save a checkpoint.
    pub(super) fn checkpoint(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        self.position.seconds = self.throughput.seconds(Instant::now());
        self.checkpointer.save(rank, self.position, &state(&self.net, &self.optimizer, self.best.as_ref()))
    }
}
