//! The result of an estimate, and what all stages count by.

use crate::spec::{ImageCounts, JobSpec, PenaltyMethod};

/// What a job will cost; all 0 if nobody has read its image folder yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Optimiser steps of the whole job; for an attack the most gradients (Square: queries) of an image.
    pub steps: u64,
    /// Images of an epoch (each in two views, for contrastive jobs).
    pub images_per_epoch: u64,
    /// Images of the whole job: those of all steps, or those attacked.
    pub images: u64,
    /// Weights of the network, heads included.
    pub parameters: u64,
    /// 10^9 floating-point operations of the whole job, all ranks together; a multiply-accumulate is two. An attack's
    /// passes are faster: its figure is what training would do in the same time.
    pub gflop: f64,
    /// Largest resident set of one rank's process in the largest gang, on a CPU.
    pub memory_bytes: u64,
}

/// A job, and the size of its data set.
#[derive(Clone, Copy)]
pub(super) struct Job<'j> {
    pub spec: &'j JobSpec,
    pub images: ImageCounts,
}

/// Cost of a plain training step, in forward passes: a backward pass costs two.
pub(super) const PLAIN: f64 = 3.0;

/// Forward passes that a penalty adds to those. The exact one makes a plain step 8/3 times as long: a backward pass to
/// the images, then value and tangent, forward and backward. The finite difference makes it twice as long: one more
/// pass forward and backward, as the gradient that gives the direction is shared with the loss.
pub(super) fn penalty(method: PenaltyMethod) -> f64 {
    match method {
        PenaltyMethod::Exact => 5.0,
        PenaltyMethod::FiniteDifference => 3.0,
    }
}

pub(super) fn world_size(job: Job<'_>) -> u64 {
    job.spec.workers.world_sizes(job.spec.shards).next_back().map_or(1, u64::from)
}

pub(super) fn labelled(job: Job<'_>, fraction: f64) -> u64 {
    (job.images.train as f64 * fraction).round() as u64
}

pub(super) fn gflop(macs: f64) -> f64 {
    2.0 * macs / 1e9
}
