//! What flows through a network. `resnet` and `head` say which layers follow which; a signal says what a layer does to
//! it: the images of one shard ([`Plain`]), these and a direction in which they move
//! ([`Moving`](super::moving::Moving)), all shards of a rank, whose BatchNorms go by what they have in common
//! ([`Coupled`](super::coupled::Coupled)), or images that a finished net is shown ([`Folded`](super::folded::Folded)).

use tandem_collective::BatchNorm;
use tandem_domain::spec::Precision;
use tch::{Kind, Tensor};

use super::Pass;

/// BatchNorm's weight of a new batch in the running statistics, and the term that keeps its division finite: torch's.
pub(super) const MOMENTUM: f64 = 0.1;
pub(super) const EPSILON: f64 = 1e-5;

/// A convolution without bias: its weight's place, and how it walks over the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub weight: usize,
    pub stride: i64,
    pub padding: i64,
}

/// BatchNorm over all but the channels: places of its tensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    pub weight: usize,
    pub bias: usize,
    pub mean: usize,
    pub variance: usize,
}

/// One layer after another. What takes `self` may overwrite it.
pub(super) trait Signal: Sized {
    fn convolution(&self, layer: &Convolution) -> Self;
    fn norm(self, layer: &Norm) -> Self;
    /// A convolution and the BatchNorm behind it.
    fn unit(&self, convolution: &Convolution, norm: &Norm) -> Self {
        self.convolution(convolution).norm(norm)
    }
    fn relu(self) -> Self;
    /// The mean of each 2x2 pixels.
    fn halve(self) -> Self;
    fn add(self, other: &Self) -> Self;
    /// `[B, C, H, W]` to `[B, C]`, in f32 if it was not f64.
    fn mean_over_space(&self) -> Self;
    fn linear(&self, weight: usize, bias: Option<usize>) -> Self;
}

/// One tensor, run as autograd runs it.
pub(super) struct Plain<'a> {
    pub value: Tensor,
    pub pass: Pass<'a>,
}

impl<'a> Plain<'a> {
    pub(super) fn new(value: &Tensor, pass: &Pass<'a>) -> Self {
        Self { value: value.shallow_clone(), pass: *pass }
    }

    fn with(&self, value: Tensor) -> Self {
        Self { value, pass: self.pass }
    }
}

// In place where autograd allows it: BatchNorm's backward needs its input, ReLU's its output, addition nothing.
impl Signal for Plain<'_> {
    fn convolution(&self, layer: &Convolution) -> Self {
        self.with(self.pass.convolution(&self.value, layer))
    }

    fn norm(self, layer: &Norm) -> Self {
        let norm = self.pass.norm(layer);
        let value = self.value.batch_norm(
            Some(norm.scale),
            Some(norm.shift),
            Some(norm.running_mean),
            Some(norm.running_variance),
            self.pass.training,
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

    fn halve(self) -> Self {
        self.with(halve(&self.value))
    }

    fn add(mut self, other: &Self) -> Self {
        self.value += &other.value;
        self
    }

    fn mean_over_space(&self) -> Self {
        self.with(mean_over_space(&self.value))
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        let (weight, bias) = (self.pass.parameters.get(weight), bias.map(|bias| self.pass.parameters.get(bias)));
        self.with(self.value.linear(weight, bias))
    }
}

pub(super) fn halve(x: &Tensor) -> Tensor {
    x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
}

pub(super) fn mean_over_space(x: &Tensor) -> Tensor {
    let kind = (x.kind() == Kind::BFloat16).then_some(Kind::Float);
    x.mean_dim([2i64, 3].as_slice(), false, kind)
}

impl<'a> Pass<'a> {
    /// In bf16 both sides are rounded to it and so is the result, as autocast does it; sums inside are of f32. TF32 is a
    /// way to multiply numbers of f32, which `crate::run` sets for the whole process.
    pub(super) fn convolution(&self, x: &Tensor, layer: &Convolution) -> Tensor {
        let weight = self.parameters.get(layer.weight);
        let apply = |x: &Tensor, weight: &Tensor| {
            x.conv2d(weight, None::<Tensor>, [layer.stride; 2], [layer.padding; 2], [1, 1], 1)
        };
        match self.precision {
            Precision::F32 | Precision::Tf32 => apply(x, weight),
            Precision::Bf16 => apply(&x.to_kind(Kind::BFloat16), &weight.to_kind(Kind::BFloat16)),
        }
    }

    pub(super) fn norm(&self, layer: &Norm) -> BatchNorm<'a> {
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
