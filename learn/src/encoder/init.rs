//! First weights, by torchvision's law. Each tensor has its own random stream, so neither torch's generator nor the
//! number of ranks has a say.

use tch::Tensor;

use crate::flat::{FlatTensors, Role, Slot};
use crate::random::{Purpose, Stream};

/// How one tensor's elements are drawn.
enum Law {
    Normal { deviation: f64 },
    Uniform { bound: f64 },
    Constant(f64),
}

/// Fills every tensor of `flat`.
pub(super) fn fill(flat: &FlatTensors, seed: u64) {
    for (index, (slot, view)) in flat.named().enumerate() {
        let mut stream = Stream::new(seed, Purpose::Weights, 0, index as u64, 0);
        let mut draw = || match law(slot) {
            Law::Normal { deviation } => deviation * stream.normal(),
            Law::Uniform { bound } => stream.between(-bound, bound),
            Law::Constant(value) => value,
        };
        let values: Vec<f32> = (0..slot.numel()).map(|_| draw() as f32).collect();
        tch::no_grad(|| view.shallow_clone().copy_(&Tensor::from_slice(&values).view(slot.shape.as_slice())));
    }
}

/// Convolutions: He et al. 2015 by fan-out. Linear layers: uniform within 1/√inputs, torch's default. BatchNorm: 1, 0.
fn law(slot: &Slot) -> Law {
    match slot.role {
        Role::Convolution => Law::Normal { deviation: (2.0 * slot.shape[1] as f64 / slot.numel() as f64).sqrt() },
        Role::Linear => Law::Uniform { bound: 1.0 / (slot.shape[1] as f64).sqrt() },
        Role::Bias { inputs } => Law::Uniform { bound: 1.0 / (inputs as f64).sqrt() },
        Role::NormWeight | Role::RunningVariance => Law::Constant(1.0),
        Role::NormBias | Role::RunningMean => Law::Constant(0.0),
    }
}
