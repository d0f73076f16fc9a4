//! BatchNorm and its Jacobian-vector product, as one operation with a fused backward pass.

use tch::Tensor;

use crate::{Error, ffi};

/// A BatchNorm's tensors, `[C]` each, and constants.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    pub scale: &'a Tensor,
    pub shift: &'a Tensor,
    /// Updated by a training pass.
    pub running_mean: &'a Tensor,
    pub running_variance: &'a Tensor,
    /// Weight of a new batch in the running statistics.
    pub momentum: f64,
    pub epsilon: f64,
}

impl BatchNorm<'_> {
    /// `x` `[N, C, ...]` normalised by its own statistics, and the derivative of that along `t`, shaped as `x`. Updates
    /// the running statistics.
    ///
    /// Both results have first derivatives by `x`, `t`, scale and shift. Fails where shapes do not fit.
    pub fn jvp(&self, x: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor), Error> {
        // The kernels do not check shapes.
        let size = x.size();
        let channels: Vec<i64> = size.iter().skip(1).take(1).copied().collect();
        for (name, tensor, expected) in [
            ("t", t, &size),
            ("scale", self.scale, &channels),
            ("shift", self.shift, &channels),
            ("running mean", self.running_mean, &channels),
            ("running variance", self.running_variance, &channels),
        ] {
            if size.len() < 2 || tensor.size() != *expected {
                let found = tensor.size();
                return Err(Error::Invalid(format!("BatchNorm of {size:?}: {name} is {found:?}, not {expected:?}")));
            }
        }
        let tensors = [self.scale, self.shift, self.running_mean, self.running_variance];
        ffi::batch_norm_jvp(x, t, tensors, self.momentum, self.epsilon)
    }
}
