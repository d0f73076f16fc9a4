//! Forward-mode differentiation: a value and its tangent.

use tandem_collective::Then;
use tch::Tensor;

use super::activation::{Activation, ForwardContext, avg_pool, global_avg_pool};
use super::layer::{ConvLayer, NormLayer};
use crate::sync_batch_norm::by_channel;

/// A tensor and its derivative along a direction of the images, both with a graph to the parameters.
///
/// BatchNorm has its own function ([`tandem_collective::BatchNorm::jvp`]): autograd's double backward pass of BatchNorm
/// is slow, and wrong when it is differentiated once more.
pub(super) struct Dual<'a> {
    pub value: Tensor,
    pub tangent: Tensor,
    context: ForwardContext<'a>,
}

impl<'a> Dual<'a> {
    /// `tangent` is shaped as the images.
    pub(super) fn new(images: &Tensor, tangent: &Tensor, context: &ForwardContext<'a>) -> Self {
        Self { value: images.shallow_clone(), tangent: tangent.shallow_clone(), context: *context }
    }

    fn map(&self, layer: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { value: layer(&self.value), tangent: layer(&self.tangent), context: self.context }
    }
}

impl Activation for Dual<'_> {
    fn convolution(&self, layer: &ConvLayer) -> Self {
        self.map(|x| self.context.convolution(x, layer))
    }

    fn norm(self, layer: &NormLayer, then: Then<&Self>) -> Self {
        let (norm, context) = (self.context.norm(layer), self.context);
        if context.training {
            let both = norm.jvp(&self.value, &self.tangent, then.map(|residual| (&residual.value, &residual.tangent)));
            // It panics as tch does. The shapes fit, so that the cause is a lack of memory.
            let (value, tangent) = both.unwrap_or_else(|error| panic!("{error}"));
            return Self { value, tangent, context };
        }
        let factor = norm.scale * (norm.running_variance + norm.epsilon).rsqrt();
        let each = |values: &Tensor| by_channel(values, self.value.dim());
        let centred = &self.value - each(norm.running_mean);
        let (value, tangent) = (centred * each(&factor) + each(norm.shift), &self.tangent * each(&factor));
        Self { value, tangent, context }.then(then)
    }

    fn relu(self) -> Self {
        let mut value = self.value;
        let value = value.relu_();
        // The derivative at zero is zero, as in autograd.
        let tangent = value.detach().threshold_backward(&self.tangent, 0);
        Self { value, tangent, context: self.context }
    }

    fn avg_pool(self) -> Self {
        self.map(avg_pool)
    }

    fn add(mut self, other: &Self) -> Self {
        self.value += &other.value;
        self.tangent += &other.tangent;
        self
    }

    fn global_avg_pool(&self) -> Self {
        self.map(global_avg_pool)
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        let (weight, bias) = (self.context.parameters.get(weight), bias.map(|bias| self.context.parameters.get(bias)));
        let (value, tangent) = (self.value.linear(weight, bias), self.tangent.linear(weight, None::<Tensor>));
        Self { value, tangent, context: self.context }
    }
}
