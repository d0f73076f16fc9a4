//! A network that is only evaluated, with each BatchNorm fused into the convolution before it. Its statistics are
//! fixed, so that `norm(conv(x, w))` is `conv(x, w') + b'`, which saves a pass over every feature map, forward and
//! backward.

use tch::{Kind, Tensor};

use super::activation::{Activation, ConvLayer, EPSILON, ForwardContext, NormLayer, Plain};

/// Fused weight `[out, in, h, w]` and bias `[out]` of each convolution, at the index of its weight.
#[derive(Debug)]
pub struct FusedBatchNorm {
    convolutions: Vec<Option<(Tensor, Tensor)>>,
}

impl FusedBatchNorm {
    pub(super) fn new<'a>(
        context: &ForwardContext<'_>,
        layers: impl Iterator<Item = (&'a ConvLayer, &'a NormLayer)>,
    ) -> Self {
        let mut convolutions: Vec<_> = context.parameters.views().iter().map(|_| None).collect();
        for (convolution, norm) in layers {
            convolutions[convolution.weight] = Some(tch::no_grad(|| fuse(context, convolution, norm)));
        }
        Self { convolutions }
    }
}

/// Computed in f64, so that only the result is rounded.
fn fuse(context: &ForwardContext<'_>, convolution: &ConvLayer, norm: &NormLayer) -> (Tensor, Tensor) {
    let parameter = |slot: usize| context.parameters.get(slot).to_kind(Kind::Double);
    let statistic = |slot: usize| context.statistics.get(slot).to_kind(Kind::Double);
    let factor = parameter(norm.weight) * (statistic(norm.variance) + EPSILON).rsqrt();
    let weight = parameter(convolution.weight) * factor.view([-1, 1, 1, 1]);
    let bias = parameter(norm.bias) - statistic(norm.mean) * factor;
    let kind = context.parameters.vector().kind();
    (weight.to_kind(kind), bias.to_kind(kind))
}

/// As [`Plain`], with fused BatchNorm.
pub(super) struct Fused<'a> {
    pub plain: Plain<'a>,
    fused: &'a FusedBatchNorm,
}

impl<'a> Fused<'a> {
    /// Images `[B, 3, H, W]` in any memory format. Channels-last is the faster one on CPUs.
    pub(super) fn new(images: &Tensor, context: &ForwardContext<'a>, fused: &'a FusedBatchNorm) -> Self {
        let images = images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        Self { plain: Plain::new(&images, context), fused }
    }

    fn with(&self, plain: Plain<'a>) -> Self {
        Self { plain, fused: self.fused }
    }
}

impl Activation for Fused<'_> {
    fn convolution(&self, layer: &ConvLayer) -> Self {
        self.with(self.plain.convolution(layer))
    }

    fn norm(self, layer: &NormLayer) -> Self {
        Self { plain: self.plain.norm(layer), fused: self.fused }
    }

    fn conv_norm(&self, convolution: &ConvLayer, norm: &NormLayer) -> Self {
        let Some((weight, bias)) = &self.fused.convolutions[convolution.weight] else {
            return self.convolution(convolution).norm(norm);
        };
        let Plain { value, context } = &self.plain;
        let (stride, padding) = ([convolution.stride; 2], [convolution.padding; 2]);
        let value = value.conv2d(weight, Some(bias), stride, padding, [1, 1], 1);
        self.with(Plain { value, context: *context })
    }

    fn relu(self) -> Self {
        Self { plain: self.plain.relu(), fused: self.fused }
    }

    fn avg_pool(self) -> Self {
        Self { plain: self.plain.avg_pool(), fused: self.fused }
    }

    fn add(self, other: &Self) -> Self {
        Self { plain: self.plain.add(&other.plain), fused: self.fused }
    }

    fn global_avg_pool(&self) -> Self {
        self.with(self.plain.global_avg_pool())
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        self.with(self.plain.linear(weight, bias))
    }
}
