//! Contrastive pretraining (the paper's stage 1): from images to an encoder.
//!
//! `steps` is the loop; `look` is what people see of it; `export` is what outlives the process.

mod export;
mod look;
mod steps;

use std::time::Instant;

use tandem_domain::spec::{Contrastive, Layerwise};

use super::Rank;
use super::checkpointing::Checkpointer;
use super::pace::Pace;
use super::training_state::Position;
use crate::data::Data;
use crate::encoder::Layers;
use crate::failure::Failure;
use crate::layerwise;
use crate::monitor::Monitor;
use crate::optimizer::Optimizer;
use crate::penalty;
use crate::progress;
use crate::report::Outcome;
use crate::schedule::LearningRate;
use crate::shards::{Shards, Term, Views};

/// Trains from the newest good checkpoint, or from the start, to the end or until some rank is asked to stop.
pub(crate) fn run(rank: &mut Rank<'_>, spec: &Contrastive) -> Result<Outcome, Failure> {
    let shards = Shards::new(rank.task.spec.shards, spec.batch_size, rank.group)?;
    let data = rank.load_data()?;
    let mut training = Training::begin(rank, spec, shards, &data)?;
    penalty::rescale_note(&spec.tikhonov, spec.batch_size).into_iter().for_each(|why| rank.note("rescaled", why));
    rank.phase("training", training.position.step);
    progress::measure();
    let outcome = training.until_the_end(rank);
    let outcome = training.checkpointer.finish(rank, outcome)?;
    if outcome == Outcome::Finished {
        rank.phase("exporting", training.position.step);
        training.export(rank)?;
    }
    Ok(outcome)
}

/// One term of the objective for each head: eq. (3), or eq. (5).
fn terms(spec: &Contrastive, net: &Layers) -> Vec<Term> {
    let (tikhonov, images) = (&spec.tikhonov, spec.batch_size);
    match &spec.layerwise {
        Some(layers) => layerwise::terms(layers, tikhonov, net, images),
        None => {
            let lambda = penalty::lambda(tikhonov, images);
            let penalty = penalty::coefficient(lambda, tikhonov.scaling, Views::Two, images);
            vec![Term { weight: 1.0, penalty, reach: None }]
        }
    }
}

/// A run between two steps.
struct Training<'a> {
    spec: &'a Contrastive,
    data: &'a Data,
    shards: Shards,
    net: Layers,
    terms: Vec<Term>,
    optimizer: Optimizer,
    rates: LearningRate,
    monitor: Monitor,
    checkpointer: Checkpointer,
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
        let heads = if spec.layerwise.is_some() { Layerwise::STAGES } else { 1 };
        let mut net = Layers::new(spec.encoder, spec.head, heads, seed, rank.device)
            .ok_or_else(|| Failure::Job(format!("this version cannot build {:?}", spec.encoder)))?;
        net.model.trained(spec.batch_norm, spec.precision).map_err(Failure::Job)?;
        let optimizer = Optimizer::new(&spec.optimizer, &net.model.parameters);
        let (checkpointer, position) = Checkpointer::resume(rank, &export::state(&net, &optimizer))?;
        Ok(Self {
            spec,
            data,
            shards,
            terms: terms(spec, &net),
            net,
            optimizer,
            rates: LearningRate::new(&spec.optimizer, steps_per_epoch, steps),
            monitor: Monitor::new(&spec.monitor, data.train.len(), data.classes.len(), seed),
            checkpointer,
            steps_per_epoch,
            steps,
            seconds_before: position.seconds,
            position,
            pace: Pace::new(Instant::now()),
            collapse_noted: false,
        })
    }
}
