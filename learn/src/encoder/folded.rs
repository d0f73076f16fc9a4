//! A net that is only evaluated, each BatchNorm multiplied into the convolution before it. Its statistics stay, so that
//! `norm(conv(x, w))` is `conv(x, w') + b'`: one pass less over every feature map, on the way there and back.

use tch::{Kind, Tensor};

use super::Pass;
use super::signal::{Convolution, EPSILON, Norm, Plain, Signal};

/// Weight `[out, in, h, w]` and bias `[out]` of each convolution, at the place of its own weight.
#[derive(Debug)]
pub struct Folding {
    convolutions: Vec<Option<(Tensor, Tensor)>>,
}

impl Folding {
    pub(super) fn new<'a>(pass: &Pass<'_>, units: impl Iterator<Item = (&'a Convolution, &'a Norm)>) -> Self {
        let mut convolutions: Vec<_> = pass.parameters.views().iter().map(|_| None).collect();
        for (convolution, norm) in units {
            convolutions[convolution.weight] = Some(tch::no_grad(|| fold(pass, convolution, norm)));
        }
        Self { convolutions }
    }
}

/// In f64: nothing is lost but the rounding of what comes out.
fn fold(pass: &Pass<'_>, convolution: &Convolution, norm: &Norm) -> (Tensor, Tensor) {
    let parameter = |slot: usize| pass.parameters.get(slot).to_kind(Kind::Double);
    let statistic = |slot: usize| pass.statistics.get(slot).to_kind(Kind::Double);
    let factor = parameter(norm.weight) * (statistic(norm.variance) + EPSILON).rsqrt();
    let weight = parameter(convolution.weight) * factor.view([-1, 1, 1, 1]);
    let bias = parameter(norm.bias) - statistic(norm.mean) * factor;
    let kind = pass.parameters.vector().kind();
    (weight.to_kind(kind), bias.to_kind(kind))
}

/// As [`Plain`], by running statistics.
pub(super) struct Folded<'a> {
    pub plain: Plain<'a>,
    folding: &'a Folding,
}

impl<'a> Folded<'a> {
    /// Images `[B, 3, H, W]` in any layout. Channels last in memory, a convolution and its way back took three quarters
    /// of the time on CPUs.
    pub(super) fn new(images: &Tensor, pass: &Pass<'a>, folding: &'a Folding) -> Self {
        let images = images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        Self { plain: Plain::new(&images, pass), folding }
    }

    fn with(&self, plain: Plain<'a>) -> Self {
        Self { plain, folding: self.folding }
    }
}

impl Signal for Folded<'_> {
    fn convolution(&self, layer: &Convolution) -> Self {
        self.with(self.plain.convolution(layer))
    }

    fn norm(self, layer: &Norm) -> Self {
        Self { plain: self.plain.norm(layer), folding: self.folding }
    }

    fn unit(&self, convolution: &Convolution, norm: &Norm) -> Self {
        let Some((weight, bias)) = &self.folding.convolutions[convolution.weight] else {
            return self.convolution(convolution).norm(norm);
        };
        let Plain { value, pass } = &self.plain;
        let (stride, padding) = ([convolution.stride; 2], [convolution.padding; 2]);
        let value = value.conv2d(weight, Some(bias), stride, padding, [1, 1], 1);
        self.with(Plain { value, pass: *pass })
    }

    fn relu(self) -> Self {
        Self { plain: self.plain.relu(), folding: self.folding }
    }

    fn halve(self) -> Self {
        Self { plain: self.plain.halve(), folding: self.folding }
    }

    fn add(self, other: &Self) -> Self {
        Self { plain: self.plain.add(&other.plain), folding: self.folding }
    }

    fn mean_over_space(&self) -> Self {
        self.with(self.plain.mean_over_space())
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        self.with(self.plain.linear(weight, bias))
    }
}
