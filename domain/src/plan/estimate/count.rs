//! The result of an estimate, and what all stages count by.

use crate::spec::{JobSpec, PenaltyMethod};

/// What a job will cost; 0 where nothing is known before the data are read (image folders).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Optimiser steps of the whole job; for an attack the gradients (Square: queries) that an image gets at most.
    pub steps: u64,
    /// Images that an epoch shows (each in two views, for contrastive jobs).
    pub images_per_epoch: u64,
    /// Images of the whole job: those of all steps, or those attacked.
    pub images: u64,
    /// Weights of the network, heads included.
    pub parameters: u64,
    /// 10^9 floating-point operations of the whole job, all ranks together; a multiply-accumulate is two. Of an attack, whose
    /// passes are shorter, those that training would do in its time.
    pub gflop: f64,
    /// Largest resident set of one rank's process in the largest gang, on a CPU.
    pub memory_bytes: u64,
}

/// Forward passes in a step of plain training: a backward pass costs two.
pub(super) const PLAIN: f64 = 3.0;

/// Forward passes that a penalty adds to those: the exact one makes a plain step 8/3 times as long (a backward pass to
/// the images, and value and rate, forward and back), the finite difference twice (one pass more
/// there and back; the gradient that gives the direction is shared with the loss).
pub(super) fn penalty(method: PenaltyMethod) -> f64 {
    match method {
        PenaltyMethod::Exact => 5.0,
        PenaltyMethod::FiniteDifference => 3.0,
    }
}

/// Ranks of the largest gang.
pub(super) fn world_size(spec: &JobSpec) -> u64 {
    spec.workers.world_sizes(spec.shards).next_back().map_or(1, u64::from)
}

/// Images that keep their label.
pub(super) fn labelled(spec: &JobSpec, fraction: f64) -> u64 {
    (spec.dataset.train_images().unwrap_or(0) as f64 * fraction).round() as u64
}

pub(super) fn test_images(spec: &JobSpec) -> u64 {
    spec.dataset.test_images().unwrap_or(0)
}

pub(super) fn gflop(macs: f64) -> f64 {
    2.0 * macs / 1e9
}
