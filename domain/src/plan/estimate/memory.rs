//! The resident set of a rank's process on a CPU, at its largest. Calibrated against `peak_memory_bytes`, which every
//! job reports: see the table in the tests.

use super::count::test_images;
use crate::plan::architecture::Cost;
use crate::spec::{JobSpec, OptimizerName, PenaltyMethod, Precision};

/// Bytes of one 32x32 RGB image as it lies on the device.
const IMAGE: u64 = 3 * 32 * 32;
/// A process that has loaded libtorch and trained something small.
const PROCESS: u64 = 230_000_000;
/// While a data set is read, half of it lies there twice.
const READING: f64 = 1.5;
/// Images in one forward pass without gradients (`learn/src/features.rs`).
const EVALUATION_BATCH: u64 = 500;
/// Feature maps of the largest size that such a pass holds at once: of a block's input, its shortcut, the outputs of a
/// convolution and of its BatchNorm, and what the kernels set aside.
const EVALUATION_MAPS: f64 = 6.5;
/// Share of what a training step has freed that serves such a pass: its blocks have other sizes.
const REUSED: f64 = 0.35;
/// Feature maps of the largest size beside the saved ones while gradients flow back through one shard.
const BACKWARD_MAPS: u64 = 5;
/// And in blocks that attacks have outgrown.
const SHRINKING_MAPS: u64 = 4;

/// Numbers that penalties keep beside the graph of the loss. `saved` are those of the network up to each penalised head.
pub(super) fn penalties(method: PenaltyMethod, saved: &[u64]) -> u64 {
    match (method, saved) {
        // Beside each feature map, how fast it changes.
        (PenaltyMethod::Exact, saved) => saved.iter().sum(),
        // Head after head; before the last one's second pass the graph of the loss is gone.
        (PenaltyMethod::FiniteDifference, [earlier @ .., _]) => earlier.iter().copied().max().unwrap_or(0),
        (PenaltyMethod::FiniteDifference, []) => 0,
    }
}

/// Room of a number that a graph keeps, as a share of an f32.
pub(super) fn width(precision: Precision) -> f64 {
    match precision {
        Precision::F32 | Precision::Tf32 => 1.0,
        Precision::Bf16 => 0.5,
    }
}

/// What a step of training holds: `saved` numbers at once for the way back of its views, of which one shard's go back
/// at a time.
pub(super) struct Step {
    pub saved: f64,
    pub shard_views: f64,
    pub optimizer: OptimizerName,
    /// Images are looked at in between, or at the end.
    pub evaluates: bool,
}

pub(super) fn training(spec: &JobSpec, network: Cost, step: &Step) -> u64 {
    let moments = if step.optimizer == OptimizerName::Adam { 2 } else { 1 };
    // Weights, gradient by tensors and as one vector; then the optimiser's. More shards' gradients lie where graphs were.
    let weights = 4 * network.parameters * (3 + moments);
    let graph = 4.0 * step.saved + step.shard_views * (4 * BACKWARD_MAPS * network.largest) as f64;
    let evaluation = if step.evaluates { evaluation(network, graph) } else { 0.0 };
    at_least_reading(spec, weights + (graph + evaluation) as u64)
}

/// No way back; `kept` bytes beside the weights.
pub(super) fn frozen(spec: &JobSpec, network: Cost, kept: u64) -> u64 {
    at_least_reading(spec, 4 * network.parameters + evaluation(network, 0.0) as u64 + kept)
}

/// Images on their way back to the pixels in batches of `batch_size`; the classifier is fixed, its BatchNorms are part of
/// its convolutions, and what these give is kept alone. Batches shrink as images fall, and what large ones have freed does
/// not fit small ones.
pub(super) fn attack(spec: &JobSpec, network: Cost, batch_size: u64) -> u64 {
    let graph = batch_size * 4 * (network.saved / 2 + (BACKWARD_MAPS + SHRINKING_MAPS) * network.largest);
    at_least_reading(spec, 4 * network.parameters + graph)
}

fn at_least_reading(spec: &JobSpec, working: u64) -> u64 {
    let data = IMAGE * (spec.dataset.train_images().unwrap_or(0) + test_images(spec));
    PROCESS + (data + working).max((READING * data as f64) as u64)
}

/// What a pass without gradients adds to a process that has freed so much.
fn evaluation(network: Cost, freed: f64) -> f64 {
    let map = (EVALUATION_BATCH * 4 * network.largest) as f64;
    (EVALUATION_MAPS * map - REUSED * freed).max(map)
}
