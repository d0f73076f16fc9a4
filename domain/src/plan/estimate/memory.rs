//! The resident set of a rank's process on a CPU, at its largest. Calibrated against `peak_memory_bytes`, which every
//! job reports: see the table in the tests.

use super::{Cost, test_images};
use crate::spec::{JobSpec, OptimizerName, PenaltyMethod};

/// Bytes of one 32x32 RGB image as it lies on the device.
const IMAGE: u64 = 3 * 32 * 32;
/// A process that has loaded libtorch and computed something.
const PROCESS: u64 = 330 << 20;
/// Images in one forward pass without gradients (`learn/src/features.rs`).
const EVALUATION_BATCH: u64 = 500;
/// Feature maps of the largest size that live at one moment of such a pass: a block's input, its shortcut, and the
/// output of a convolution and of its BatchNorm.
const EVALUATION_MAPS: u64 = 4;
/// Feature maps of the largest size beside the saved ones while gradients flow back.
const BACKWARD_MAPS: u64 = 3;

/// What the graph of a penalty keeps, as a share of what that of the loss keeps.
pub(super) fn penalty(method: PenaltyMethod) -> f64 {
    match method {
        // The gradient's own graph: of each layer, what came in and what went out on the way back.
        PenaltyMethod::Exact => 2.0,
        PenaltyMethod::FiniteDifference => 1.0,
    }
}

/// `saved` numbers are kept for the way back at once; `parts` shards have a gradient each until they are summed.
pub(super) fn training(spec: &JobSpec, network: Cost, optimizer: OptimizerName, parts: u64, saved: f64) -> u64 {
    let moments = if optimizer == OptimizerName::Adam { 2 } else { 1 };
    // Weights, gradient by tensors, sum and update; then the optimiser's and the shards'.
    let weights = 4 * network.parameters * (4 + moments + parts);
    let views = saved / network.saved.max(1) as f64;
    let backward = views * (4 * BACKWARD_MAPS * network.largest) as f64;
    let training = (4.0 * saved + backward) as u64;
    PROCESS + weights + data(spec) + training.max(evaluation(network))
}

/// No way back; `kept` bytes beside the weights.
pub(super) fn frozen(spec: &JobSpec, network: Cost, kept: u64) -> u64 {
    PROCESS + 4 * network.parameters + data(spec) + evaluation(network).max(kept)
}

/// Images on their way back to the pixels in batches of `batch_size`, each `graphs` times; the classifier is fixed.
pub(super) fn attack(spec: &JobSpec, network: Cost, batch_size: u64) -> u64 {
    let graph = batch_size * 4 * (network.saved + BACKWARD_MAPS * network.largest);
    PROCESS + 4 * network.parameters + data(spec) + graph.max(evaluation(network))
}

fn evaluation(network: Cost) -> u64 {
    EVALUATION_BATCH * 4 * EVALUATION_MAPS * network.largest
}

fn data(spec: &JobSpec) -> u64 {
    IMAGE * (spec.dataset.train_images().unwrap_or(0) + test_images(spec))
}
