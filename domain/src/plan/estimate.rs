//! What a job will cost, from its spec alone.

use super::architecture::{self, Cost};
use super::expand::Expanded;
use crate::spec::{JobSpec, Stage};

/// Bytes of one 32x32 RGB image as it lies on the device.
const IMAGE_BYTES: u64 = 3 * 32 * 32;
/// Weight, gradient, momentum and the buffer that gradients are summed in, each f32.
const BYTES_PER_PARAMETER: u64 = 16;
/// A backward pass costs two forward passes.
const FORWARD_AND_BACKWARD: u64 = 3;
/// Images in one forward pass without gradients.
const EVALUATION_BATCH: u64 = 1024;

/// What a job will cost; 0 where nothing is known before the data are read (image folders), or for a network or a
/// stage that this version cannot run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Optimiser steps of the whole job.
    pub steps: u64,
    /// Images that an epoch shows (each in two views, for contrastive jobs).
    pub images_per_epoch: u64,
    /// Weights of the network, head included.
    pub parameters: u64,
    /// 10^9 floating-point operations of the whole job, all ranks together; a multiply-accumulate is two.
    pub gflop: f64,
    /// Memory of one rank in the largest gang: weights and optimiser, data, saved activations in f32.
    pub memory_bytes: u64,
}

pub(super) fn estimate(job: &Expanded) -> Estimate {
    let Some(encoder) = job.encoder.and_then(architecture::cost) else { return Estimate::default() };
    let spec = &job.spec;
    match &spec.stage {
        Stage::Contrastive(stage) => {
            training(spec, encoder.with_head(stage.head), stage.epochs, stage.batch_size, 1.0, 2)
        }
        Stage::Supervised(stage) => training(spec, encoder, stage.epochs, stage.batch_size, stage.label_fraction, 1),
        Stage::Finetune(stage) => training(spec, encoder, stage.epochs, stage.batch_size, stage.label_fraction, 1),
        Stage::Linear(stage) => linear(spec, encoder, stage.epochs, stage.label_fraction),
        Stage::Attack(_) => Estimate::default(),
    }
}

fn training(spec: &JobSpec, network: Cost, epochs: u32, batch_size: u32, fraction: f64, views: u64) -> Estimate {
    let images = labelled(spec, fraction);
    let (epochs, batch_size) = (u64::from(epochs), u64::from(batch_size));
    // The last, smaller batch of an epoch is left out.
    let steps_per_epoch = images / batch_size;
    let images_per_epoch = steps_per_epoch * batch_size;
    let world_size = spec.workers.world_sizes(spec.shards).next_back().map_or(1, u64::from);
    let saved_bytes = 4 * network.saved * views * batch_size.div_ceil(world_size);
    Estimate {
        steps: steps_per_epoch * epochs,
        images_per_epoch,
        parameters: network.parameters,
        gflop: gflop(network.macs * FORWARD_AND_BACKWARD, images_per_epoch * epochs * views),
        memory_bytes: network.parameters * BYTES_PER_PARAMETER + data_bytes(spec) + saved_bytes,
    }
}

/// One forward pass over the labelled and the test images; the regression on the features is small beside it.
fn linear(spec: &JobSpec, network: Cost, epochs: u32, fraction: f64) -> Estimate {
    let images = labelled(spec, fraction);
    Estimate {
        steps: epochs.into(),
        images_per_epoch: images,
        parameters: network.parameters,
        gflop: gflop(network.macs, images + spec.dataset.test_images().unwrap_or(0)),
        // Without gradients only a layer's input and output are alive, a small part of what training saves.
        memory_bytes: 4 * network.parameters + data_bytes(spec) + 4 * network.saved * EVALUATION_BATCH / 8,
    }
}

fn labelled(spec: &JobSpec, fraction: f64) -> u64 {
    (spec.dataset.train_images().unwrap_or(0) as f64 * fraction).round() as u64
}

fn data_bytes(spec: &JobSpec) -> u64 {
    IMAGE_BYTES * (spec.dataset.train_images().unwrap_or(0) + spec.dataset.test_images().unwrap_or(0))
}

fn gflop(macs_per_image: u64, images: u64) -> f64 {
    2.0 * macs_per_image as f64 * images as f64 / 1e9
}
