//! What a job will cost, from its spec alone: work counted in forward passes, memory as the process of one rank on a CPU.
//!
//! Time is not known here: it is this work at a speed that the coordinator has measured.

mod attack;
mod classify;
mod contrastive;
mod memory;
#[cfg(test)]
mod tests;

use super::architecture::{self, Cost};
use super::expand::Expanded;
use crate::spec::{BatchNorm, JobSpec, PenaltyMethod, Precision, Stage};

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

pub(super) fn estimate(job: &Expanded) -> Estimate {
    let spec = &job.spec;
    let encoder = job.encoder.and_then(architecture::cost);
    let Some(encoder) = encoder.filter(|_| spec.dataset.train_images().is_some()) else { return Estimate::default() };
    match &spec.stage {
        Stage::Contrastive(stage) => contrastive::contrastive(spec, stage, encoder),
        Stage::Supervised(stage) => classify::supervised(spec, stage, encoder),
        Stage::Finetune(stage) => classify::finetune(spec, stage, encoder),
        Stage::Linear(stage) => classify::linear(spec, stage, encoder),
        Stage::Attack(stage) => attack::attack(spec, stage, encoder),
    }
}

/// The kind of work, in words: jobs of one kind do as many operations a second.
pub(super) fn work(job: &Expanded) -> String {
    let mut words = vec![job.spec.stage.name().to_owned()];
    words.extend(job.encoder.map(|encoder| word(&encoder)));
    let (tikhonov, batch_norm, precision) = match &job.spec.stage {
        Stage::Contrastive(stage) => {
            words.extend(stage.layerwise.is_some().then(|| "layerwise".to_owned()));
            (stage.tikhonov, stage.batch_norm, stage.precision)
        }
        Stage::Supervised(stage) => (stage.tikhonov, stage.batch_norm, stage.precision),
        Stage::Finetune(stage) => (stage.tikhonov, stage.batch_norm, stage.precision),
        Stage::Linear(stage) => {
            words.push(word(&stage.solver));
            return words.join(" ");
        }
        Stage::Attack(stage) => {
            words.extend([word(&stage.attack), word(&stage.norm)]);
            return words.join(" ");
        }
    };
    words.extend((tikhonov.lambda > 0.0).then(|| word(&tikhonov.method)));
    words.extend((batch_norm != BatchNorm::default()).then(|| word(&batch_norm)));
    words.extend((precision != Precision::default()).then(|| word(&precision)));
    words.join(" ")
}

/// As a file writes it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Forward passes in a step of plain training: a backward pass costs two.
const PLAIN: f64 = 3.0;

/// Forward passes that a penalty adds to those: the exact one makes a plain step 8/3 times as long (a backward pass to
/// the images, and value and rate, forward and back), the finite difference twice (one pass more
/// there and back; the gradient that gives the direction is shared with the loss).
fn penalty(method: PenaltyMethod) -> f64 {
    match method {
        PenaltyMethod::Exact => 5.0,
        PenaltyMethod::FiniteDifference => 3.0,
    }
}

/// Ranks of the largest gang.
fn world_size(spec: &JobSpec) -> u64 {
    spec.workers.world_sizes(spec.shards).next_back().map_or(1, u64::from)
}

/// Images that keep their label.
fn labelled(spec: &JobSpec, fraction: f64) -> u64 {
    (spec.dataset.train_images().unwrap_or(0) as f64 * fraction).round() as u64
}

fn test_images(spec: &JobSpec) -> u64 {
    spec.dataset.test_images().unwrap_or(0)
}

fn gflop(macs: f64) -> f64 {
    2.0 * macs / 1e9
}
