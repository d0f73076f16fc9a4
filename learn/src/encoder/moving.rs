//! Forward-mode differentiation: a value, and how fast it changes as the images move along a direction.

use tandem_collective::Error;
use tch::Tensor;

use super::Pass;
use super::signal::{Convolution, Norm, Signal, halve, mean_over_space};

/// A tensor and its derivative along a direction, both with a graph to the parameters.
///
/// BatchNorm is a function of its own ([`tandem_collective::BatchNorm::jvp`]): autograd's double backward pass of it
/// is slow, and wrong when it is differentiated once more.
pub(super) struct Moving<'a> {
    pub value: Tensor,
    pub rate: Tensor,
    pass: Pass<'a>,
}

impl<'a> Moving<'a> {
    /// The images and their direction, of equal shape.
    pub(super) fn new(images: &Tensor, direction: &Tensor, pass: &Pass<'a>) -> Self {
        Self { value: images.shallow_clone(), rate: direction.shallow_clone(), pass: *pass }
    }

    fn map(&self, layer: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { value: layer(&self.value), rate: layer(&self.rate), pass: self.pass }
    }
}

impl Signal for Moving<'_> {
    fn convolution(&self, layer: &Convolution) -> Self {
        self.map(|x| self.pass.convolution(x, layer))
    }

    fn norm(self, layer: &Norm) -> Self {
        let norm = self.pass.norm(layer);
        let (value, rate) = match self.pass.training {
            true => norm.jvp(&self.value, &self.rate).unwrap_or_else(|error| refused(&error)),
            false => {
                let factor = norm.scale * (norm.running_variance + norm.epsilon).rsqrt();
                let each = |tensor: &Tensor| {
                    let mut wide = vec![1; self.value.dim()];
                    wide[1] = -1;
                    tensor.view(wide.as_slice())
                };
                let centred = &self.value - each(norm.running_mean);
                (centred * each(&factor) + each(norm.shift), &self.rate * each(&factor))
            }
        };
        Self { value, rate, pass: self.pass }
    }

    fn relu(self) -> Self {
        let mut value = self.value;
        let value = value.relu_();
        // Where ReLU is flat nothing moves; at zero it is flat, as autograd has it.
        let rate = value.detach().threshold_backward(&self.rate, 0);
        Self { value, rate, pass: self.pass }
    }

    fn halve(self) -> Self {
        self.map(halve)
    }

    fn add(mut self, other: &Self) -> Self {
        self.value += &other.value;
        self.rate += &other.rate;
        self
    }

    fn mean_over_space(&self) -> Self {
        self.map(mean_over_space)
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        let (weight, bias) = (self.pass.parameters.get(weight), bias.map(|bias| self.pass.parameters.get(bias)));
        let (value, rate) = (self.value.linear(weight, bias), self.rate.linear(weight, None::<Tensor>));
        Self { value, rate, pass: self.pass }
    }
}

/// As tch ends where libtorch refuses: the layers of a network fit each other, so that it is memory that is missing.
fn refused(error: &Error) -> ! {
    panic!("{error}")
}
