//! What flows through a network. `resnet` and `head` say which layers follow which; a signal says what a layer does to
//! it: the images of one shard ([`Plain`]), these and a direction in which they move
//! ([`Dual`](super::dual::Dual)), all shards of a rank, whose BatchNorms go by what they have in common
//! ([`Synced`](super::synced::Synced)), or images that a finished net is shown ([`Fused`](super::fused::Fused)).

use tandem_collective::BatchNorm;
use tandem_domain::spec::Precision;
use tch::{Kind, Tensor};

use crate::flat::FlatTensors;

/// What a forward pass reads, and the running statistics that it updates if it is a training pass.
#[derive(Clone, Copy)]
pub(super) struct ForwardContext<'a> {
    pub parameters: &'a FlatTensors,
    pub statistics: &'a FlatTensors,
    /// BatchNorm by the batch's own statistics; else by the running ones.
    pub training: bool,
    /// Of convolutions.
    pub precision: Precision,
}

/// BatchNorm's weight of a new batch in the running statistics, and the term that keeps its division finite: torch's.
pub(super) const MOMENTUM: f64 = 0.1;
pub(super) const EPSILON: f64 = 1e-5;

/// A convolution without bias: its weight's place, and how it walks over the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvLayer {
    pub weight: usize,
    pub stride: i64,
    pub padding: i64,
}

/// BatchNorm over all but the channels: places of its tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct NormLayer {
    pub weight: usize,
    pub bias: usize,
    pub mean: usize,
    pub variance: usize,
}

/// One layer after another. What takes `self` may overwrite it.
pub(super) trait Activation: Sized {
    fn convolution(&self, layer: &ConvLayer) -> Self;
    fn norm(self, layer: &NormLayer) -> Self;
    /// A convolution and the BatchNorm behind it.
    fn conv_norm(&self, convolution: &ConvLayer, norm: &NormLayer) -> Self {
        self.convolution(convolution).norm(norm)
    }
    fn relu(self) -> Self;
    /// The mean of each 2x2 pixels.
    fn avg_pool(self) -> Self;
    fn add(self, other: &Self) -> Self;
    /// `[B, C, H, W]` to `[B, C]`, in f32 if it was not f64.
    fn global_avg_pool(&self) -> Self;
    fn linear(&self, weight: usize, bias: Option<usize>) -> Self;
}

/// One tensor, run as autograd runs it.
pub(super) struct Plain<'a> {
    pub value: Tensor,
    pub context: ForwardContext<'a>,
}

impl<'a> Plain<'a> {
    pub(super) fn new(value: &Tensor, context: &ForwardContext<'a>) -> Self {
        Self { value: value.shallow_clone(), context: *context }
    }

    fn with(&self, value: Tensor) -> Self {
        Self { value, context: self.context }
    }
}

// In place where autograd allows it: BatchNorm's backward needs its input, ReLU's its output, addition nothing.
impl Activation for Plain<'_> {
    fn convolution(&self, layer: &ConvLayer) -> Self {
        self.with(self.context.convolution(&self.value, layer))
    }

    fn norm(self, layer: &NormLayer) -> Self {
        let norm = self.context.norm(layer);
        let value = self.value.batch_norm(
            Some(norm.scale),
            Some(norm.shift),
            Some(norm.running_mean),
            Some(norm.running_variance),
            self.context.training,
            MOMENTUM,
            EPSILON,
            true,
        );
        self.with(value)
    }

    fn relu(mut self) -> Self {
        self.value = self.value.relu_();
        self
    }

    fn avg_pool(self) -> Self {
        self.with(avg_pool(&self.value))
    }

    fn add(mut self, other: &Self) -> Self {
        self.value += &other.value;
        self
    }

    fn global_avg_pool(&self) -> Self {
        self.with(global_avg_pool(&self.value))
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        let (weight, bias) = (self.context.parameters.get(weight), bias.map(|bias| self.context.parameters.get(bias)));
        self.with(self.value.linear(weight, bias))
    }
}

pub(super) fn avg_pool(x: &Tensor) -> Tensor {
    x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
}

pub(super) fn global_avg_pool(x: &Tensor) -> Tensor {
    let kind = (x.kind() == Kind::BFloat16).then_some(Kind::Float);
    x.mean_dim([2i64, 3].as_slice(), false, kind)
}

impl<'a> ForwardContext<'a> {
    /// In bf16 both sides are rounded to it and so is the result, as autocast does it; sums inside are of f32. TF32 is a
    /// way to multiply numbers of f32, which `crate::run` sets for the whole process.
    pub(super) fn convolution(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        let weight = self.parameters.get(layer.weight);
        let apply = |x: &Tensor, weight: &Tensor| {
            x.conv2d(weight, None::<Tensor>, [layer.stride; 2], [layer.padding; 2], [1, 1], 1)
        };
        match self.precision {
            Precision::F32 | Precision::Tf32 => apply(x, weight),
            Precision::Bf16 => apply(&x.to_kind(Kind::BFloat16), &weight.to_kind(Kind::BFloat16)),
        }
    }

    pub(super) fn norm(&self, layer: &NormLayer) -> BatchNorm<'a> {
        BatchNorm {
            scale: self.parameters.get(layer.weight),
            shift: self.parameters.get(layer.bias),
            running_mean: self.statistics.get(layer.mean),
            running_variance: self.statistics.get(layer.variance),
            momentum: MOMENTUM,
            epsilon: EPSILON,
        }
    }
}
