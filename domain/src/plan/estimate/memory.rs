//! The largest resident set of a rank's process on a CPU. Calibrated against `peak_memory_bytes`, which every job
//! reports: see the table in the tests.

use super::count::Job;
use crate::plan::architecture::Cost;
use crate::spec::{OptimizerName, PenaltyMethod, Precision};

/// Bytes of one 32x32 RGB image on the device.
const IMAGE: u64 = 3 * 32 * 32;
/// Resident bytes of a process that has loaded libtorch and trained something small.
const PROCESS: u64 = 230_000_000;
/// Factor while a data set is read: half of it is in memory twice.
const READING: f64 = 1.5;
/// Images in one forward pass without gradients (`learn/src/features.rs`).
const EVALUATION_BATCH: u64 = 500;
/// Feature maps of the largest size that such a pass holds at once: a block's input, its shortcut, the outputs of a
/// convolution and of its BatchNorm, and workspace of the kernels.
const EVALUATION_MAPS: f64 = 6.5;
/// Fraction of a training step's freed memory that such a pass can reuse: its blocks have other sizes.
const REUSED: f64 = 0.35;
/// Feature maps of the largest size, in addition to the saved ones, in the backward pass of one shard.
const BACKWARD_MAPS: u64 = 5;
/// Feature maps in freed blocks that an attack's shrinking batches cannot reuse.
const SHRINKING_MAPS: u64 = 4;

/// Numbers that penalties keep beside the graph of the loss; `saved`: those of the network up to each head.
pub(super) fn penalties(method: PenaltyMethod, saved: &[u64]) -> u64 {
    let tangents: u64 = saved.iter().sum();
    match (method, saved) {
        // A tangent for each feature map.
        (PenaltyMethod::Exact, _) => tangents,
        // One head after another; the graph of the loss is freed before the last one's second pass. Now and then it is compared
        // with the exact penalty, for which graphs are dropped and made again.
        (PenaltyMethod::FiniteDifference, [earlier @ .., _]) => {
            earlier.iter().copied().max().unwrap_or(0).max(tangents / 2)
        }
        (PenaltyMethod::FiniteDifference, []) => 0,
    }
}

/// Size of a number in a graph, relative to f32.
pub(super) fn width(precision: Precision) -> f64 {
    match precision {
        Precision::F32 | Precision::Tf32 => 1.0,
        Precision::Bf16 => 0.5,
    }
}

/// A training step keeps `saved` numbers for the backward pass of its views, which runs one shard at a time.
pub(super) struct Step {
    pub saved: f64,
    pub shard_views: f64,
    pub optimizer: OptimizerName,
    /// The job also evaluates, during training or at its end.
    pub evaluates: bool,
}

pub(super) fn training(job: Job<'_>, network: Cost, step: &Step) -> u64 {
    let moments = if step.optimizer == OptimizerName::Adam { 2 } else { 1 };
    // Weights, the gradient as tensors and as one vector, moments. Gradients of more shards reuse the graphs' memory.
    let weights = 4 * network.parameters * (3 + moments);
    let graph = 4.0 * step.saved + step.shard_views * (4 * BACKWARD_MAPS * network.largest) as f64;
    let evaluation = if step.evaluates { evaluation(network, graph) } else { 0.0 };
    at_least_reading(job, weights + (graph + evaluation) as u64)
}

/// A job without backward passes, with `kept` bytes in addition to the weights.
pub(super) fn frozen(job: Job<'_>, network: Cost, kept: u64) -> u64 {
    at_least_reading(job, 4 * network.parameters + evaluation(network, 0.0) as u64 + kept)
}

/// An attack: gradients by the pixels, in batches of `batch_size`. The classifier's BatchNorms are fused into its
/// convolutions, so only the outputs of these are saved. Batches shrink as images are misclassified, and the freed
/// blocks of large batches do not fit small ones.
pub(super) fn attack(job: Job<'_>, network: Cost, batch_size: u64) -> u64 {
    let graph = batch_size * 4 * (network.saved / 2 + (BACKWARD_MAPS + SHRINKING_MAPS) * network.largest);
    at_least_reading(job, 4 * network.parameters + graph)
}

fn at_least_reading(job: Job<'_>, working: u64) -> u64 {
    let data = IMAGE * (job.images.train + job.images.test);
    PROCESS + (data + working).max((READING * data as f64) as u64)
}

/// What a pass without gradients adds to a process that has freed `freed` bytes.
fn evaluation(network: Cost, freed: f64) -> f64 {
    let map = (EVALUATION_BATCH * 4 * network.largest) as f64;
    (EVALUATION_MAPS * map - REUSED * freed).max(map)
}
