//! First weights, distributed as in torchvision. Each tensor has its own random stream, so that they depend neither on
//! torch's generator nor on the number of ranks.

use tch::Tensor;

use crate::flat::{FlatTensors, Role, Slot};
use crate::random::{Purpose, Stream};

/// How one tensor's elements are drawn.
enum Distribution {
    Normal { deviation: f64 },
    Uniform { bound: f64 },
    Constant(f64),
}

/// Fills every tensor of `flat`.
pub(super) fn fill(flat: &FlatTensors, seed: u64) {
    for (index, (slot, view)) in flat.named().enumerate() {
        let mut stream = Stream::new(seed, Purpose::Weights, 0, index as u64, 0);
        let mut draw = || match distribution(slot) {
            Distribution::Normal { deviation } => deviation * stream.normal(),
            Distribution::Uniform { bound } => stream.between(-bound, bound),
            Distribution::Constant(value) => value,
        };
        let values: Vec<f32> = (0..slot.numel()).map(|_| draw() as f32).collect();
        tch::no_grad(|| view.shallow_clone().copy_(&Tensor::from_slice(&values).view(slot.shape.as_slice())));
    }
}

/// Convolutions: He et al. 2015 by fan-out. Linear layers: uniform within 1/√inputs, torch's default. BatchNorm: 1, 0.
fn distribution(slot: &Slot) -> Distribution {
    match slot.role {
        Role::Convolution => {
            Distribution::Normal { deviation: (2.0 * slot.shape[1] as f64 / slot.numel() as f64).sqrt() }
        }
        Role::Linear => Distribution::Uniform { bound: 1.0 / (slot.shape[1] as f64).sqrt() },
        Role::Bias { inputs } => Distribution::Uniform { bound: 1.0 / (inputs as f64).sqrt() },
        Role::NormWeight | Role::RunningVariance => Distribution::Constant(1.0),
        Role::NormBias | Role::RunningMean => Distribution::Constant(0.0),
    }
}
