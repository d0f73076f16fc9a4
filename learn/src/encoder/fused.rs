//! A network that is only evaluated, with each BatchNorm fused into the convolution before it. Its statistics are fixed,
//! so that `norm(conv(x, w))` is `conv(x, w') + b'`, which saves a pass over every feature map, forward and backward.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::layer::{ConvLayer, EPSILON, NormLayer};
use crate::flat::FlatTensors;

/// Fused weight `[out, in, h, w]` and bias `[out]` of each convolution, by the slot of its own weight.
#[derive(Debug)]
pub struct FusedBatchNorm(HashMap<usize, (Tensor, Tensor)>);

impl FusedBatchNorm {
    /// Computed in f64, so that only the result is rounded.
    pub(super) fn new<'a>(
        parameters: &FlatTensors,
        statistics: &FlatTensors,
        layers: impl Iterator<Item = (&'a ConvLayer, &'a NormLayer)>,
    ) -> Self {
        let parameter = |slot: usize| parameters.get(slot).to_kind(Kind::Double);
        let statistic = |slot: usize| statistics.get(slot).to_kind(Kind::Double);
        let kind = parameters.vector().kind();
        let fuse = |(convolution, norm): (&ConvLayer, &NormLayer)| {
            let factor = parameter(norm.weight) * (statistic(norm.variance) + EPSILON).rsqrt();
            let weight = parameter(convolution.weight) * factor.view([-1, 1, 1, 1]);
            let bias = parameter(norm.bias) - statistic(norm.mean) * factor;
            (convolution.weight, (weight.to_kind(kind), bias.to_kind(kind)))
        };
        Self(tch::no_grad(|| layers.map(fuse).collect()))
    }

    pub(super) fn get(&self, convolution: &ConvLayer) -> &(Tensor, Tensor) {
        &self.0[&convolution.weight]
    }
}
