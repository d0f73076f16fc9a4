//! What flows through a network. `resnet` and `head` give the order of the layers, an [`Activation`] says what each
//! layer does to it. It is one shard's tensor ([`Plain`]), a tensor with a tangent (`Dual`), or the tensors of all
//! shards of a rank (`Synced`).

use tandem_collective::{BatchNorm, Then, convolution};
use tandem_domain::spec::Precision;
use tch::{Kind, Tensor};

use super::fused::FusedBatchNorm;
use super::layer::{ConvLayer, EPSILON, MOMENTUM, NormLayer};
use crate::flat::FlatTensors;

/// What a forward pass reads, and the running statistics, which a training pass updates.
#[derive(Clone, Copy)]
pub(super) struct ForwardContext<'a> {
    pub parameters: &'a FlatTensors,
    pub statistics: &'a FlatTensors,
    /// BatchNorm goes by the batch's statistics if true, by the running ones if false.
    pub training: bool,
    /// Of convolutions.
    pub precision: Precision,
    /// Replaces convolutions and their BatchNorms, in evaluation.
    pub fused: Option<&'a FusedBatchNorm>,
}

/// The layers of a network. A method that takes `self` may overwrite its tensor.
pub(super) trait Activation: Sized {
    fn convolution(&self, layer: &ConvLayer) -> Self;
    /// BatchNorm and what follows it: together they are one pass over memory where that is possible.
    fn norm(self, layer: &NormLayer, then: Then<&Self>) -> Self;
    /// A convolution, the BatchNorm after it and what follows that.
    fn conv_norm(&self, convolution: &ConvLayer, norm: &NormLayer, then: Then<&Self>) -> Self {
        self.convolution(convolution).norm(norm, then)
    }
    fn relu(self) -> Self;
    fn add(self, other: &Self) -> Self;
    /// What follows BatchNorm, by itself.
    fn then(self, then: Then<&Self>) -> Self {
        match then {
            Then::Nothing => self,
            Then::Relu => self.relu(),
            Then::AddRelu(residual) => self.add(residual).relu(),
        }
    }
    /// The mean of each 2x2 pixels.
    fn avg_pool(self) -> Self;
    /// `[B, C, H, W]` to `[B, C]`, the mean over H and W; bf16 becomes f32.
    fn global_avg_pool(&self) -> Self;
    fn linear(&self, weight: usize, bias: Option<usize>) -> Self;
}

/// One shard's tensor, with autograd's ordinary graph.
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

// In place where autograd allows it: BatchNorm's backward pass needs its input, ReLU's its output, addition's neither.
impl Activation for Plain<'_> {
    fn convolution(&self, layer: &ConvLayer) -> Self {
        self.with(self.context.convolution(&self.value, layer))
    }

    fn norm(self, layer: &NormLayer, then: Then<&Self>) -> Self {
        let norm = self.context.norm(layer);
        if self.context.training {
            let value = norm.normalise(&self.value, then.map(|residual| &residual.value));
            // It panics as tch does. The shapes fit, so that the cause is a lack of memory.
            return self.with(value.unwrap_or_else(|error| panic!("{error}")));
        }
        let tensors = [norm.scale, norm.shift, norm.running_mean, norm.running_variance];
        let [scale, shift, mean, variance] = tensors.map(Some);
        self.with(self.value.batch_norm(scale, shift, mean, variance, false, MOMENTUM, EPSILON, true)).then(then)
    }

    fn conv_norm(&self, convolution: &ConvLayer, norm: &NormLayer, then: Then<&Self>) -> Self {
        let Some(fused) = self.context.fused else { return self.convolution(convolution).norm(norm, then) };
        let (weight, bias) = fused.get(convolution);
        let (stride, padding) = ([convolution.stride; 2], [convolution.padding; 2]);
        self.with(self.value.conv2d(weight, Some(bias), stride, padding, [1, 1], 1)).then(then)
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
    /// In bf16 both operands and the result are rounded to bf16, as by autocast; it adds up in f32. TF32 is a setting
    /// of the whole process, made at its start.
    pub(super) fn convolution(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        let weight = self.parameters.get(layer.weight);
        let apply = |x: &Tensor, weight: &Tensor| {
            let y = convolution(x, weight, layer.stride, layer.padding);
            // It panics as tch does. The shapes fit, so that the cause is a lack of memory.
            y.unwrap_or_else(|error| panic!("{error}"))
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
