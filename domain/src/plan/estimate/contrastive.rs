//! Pretraining: forward and backward passes of two views of each image, with the paper's penalties and layer losses.

use super::{
    count::{Estimate, Job, PLAIN, gflop, penalty, world_size},
    memory,
};
use crate::plan::architecture::Cost;
use crate::spec::{BatchNorm, Contrastive, Recompute};

pub(super) fn contrastive(job: Job<'_>, stage: &Contrastive, encoder: Cost) -> Estimate {
    let network = match stage.layerwise {
        Some(_) => encoder.with_layer_heads(stage.head),
        None => encoder.with_head(stage.head),
    };
    let (epochs, batch_size) = (u64::from(stage.epochs), u64::from(stage.batch_size));
    let images = job.images.train;
    let held_out = (stage.validation * images as f64).round() as u64;
    let train = images - held_out;
    // The last, smaller batch of an epoch is dropped.
    let steps_per_epoch = train / batch_size;
    let images_per_epoch = steps_per_epoch * batch_size;
    let trained = images_per_epoch * epochs;
    let bank = u64::from(stage.monitor.bank).min(images * 4 / 5);
    let evaluations = epochs.checked_div(stage.monitor.every_epochs.into()).unwrap_or(0);
    // The held-out images are evaluated in two views, after each epoch.
    let evaluated = evaluations * (bank + bank.div_ceil(4)) + epochs * 2 * held_out;

    // Shards whose graphs are kept at the same time; with global BatchNorm they share one graph.
    let own_shards = u64::from(job.spec.shards) / world_size(job);
    let alone = stage.recompute == Recompute::Shards && stage.batch_norm == BatchNorm::Shard;
    let graphs = if alone { 1 } else { own_shards };
    let shard_views = 2 * batch_size / u64::from(job.spec.shards);
    let step = memory::Step {
        saved: saved(stage, network, shard_views * graphs),
        shard_views: shard_views as f64,
        optimizer: stage.optimizer.name,
        evaluates: evaluations > 0 || held_out > 0,
    };
    Estimate {
        steps: steps_per_epoch * epochs,
        images_per_epoch,
        images: trained,
        parameters: network.parameters,
        gflop: gflop(macs_per_view(stage, network) * 2.0 * trained as f64 + (encoder.macs * evaluated) as f64),
        memory_bytes: memory::training(job, network, &step),
    }
}

/// For each penalty, the cost of the network up to its head: (multiply-accumulates, saved numbers).
fn penalties(stage: &Contrastive, network: Cost) -> Vec<(u64, u64)> {
    match &stage.layerwise {
        Some(layers) => {
            let betas = layers.betas(&stage.tikhonov);
            let ends = network.stages.into_iter().zip(betas).filter(|(_, beta)| *beta > 0.0);
            ends.map(|(end, _)| (end.macs, end.saved)).collect()
        }
        None if stage.tikhonov.lambda > 0.0 => vec![(network.macs, network.saved)],
        None => Vec::new(),
    }
}

fn macs_per_view(stage: &Contrastive, network: Cost) -> f64 {
    // The forward pass of a shard whose graph was dropped runs again.
    let again = if stage.recompute == Recompute::Shards { 1.0 } else { 0.0 };
    let penalised: u64 = penalties(stage, network).iter().map(|(macs, _)| macs).sum();
    (PLAIN + again) * network.macs as f64 + penalty(stage.tikhonov.method) * penalised as f64
}

/// Numbers saved in the graphs of `views` views, in units of an f32.
fn saved(stage: &Contrastive, network: Cost, views: u64) -> f64 {
    let penalised: Vec<u64> = penalties(stage, network).into_iter().map(|(_, saved)| saved).collect();
    let numbers = network.saved + memory::penalties(stage.tikhonov.method, &penalised);
    memory::width(stage.precision) * (views * numbers) as f64
}
