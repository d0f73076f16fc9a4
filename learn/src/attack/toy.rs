//! Small classifiers and images for tests.

use tch::{Device, Kind, Tensor};

use super::{Batch, Target};
use crate::random::{Purpose, Stream};

/// `x w + b`, over images of 3 x 4 x 4 pixels.
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

const PIXELS: i64 = 48;

impl Target for Linear {
    fn logits(&self, images: &Tensor) -> Tensor {
        images.flatten(1, -1).matmul(&self.weight) + &self.bias
    }

    fn classes(&self) -> i64 {
        self.weight.size()[1]
    }
}

/// A net with a hidden layer, whose loss is not concave in the images.
pub(super) struct Hidden {
    first: Linear,
    second: Linear,
}

impl Target for Hidden {
    fn logits(&self, images: &Tensor) -> Tensor {
        self.second.logits(&self.first.logits(images).tanh().view([-1, PIXELS, 1, 1]))
    }

    fn classes(&self) -> i64 {
        self.second.classes()
    }
}

/// Not by libtorch's generator, which all threads share: tests run in parallel.
fn random(seed: u64, shape: &[i64], draw: impl Fn(&mut Stream) -> f64) -> Tensor {
    let mut stream = Stream::new(seed, Purpose::Shapes, 0, 0, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw(&mut stream) as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

pub(super) fn linear(seed: u64, classes: i64, scale: f64) -> Linear {
    let weight = random(seed, &[PIXELS, classes], Stream::normal) * scale;
    // Grey lies on the boundary of all classes, so that every class has its images.
    let bias = -(weight.sum_dim_intlist([0i64].as_slice(), false, Kind::Float) * 0.5);
    Linear { weight, bias }
}

pub(super) fn hidden() -> Hidden {
    let bias = Tensor::zeros([4], (Kind::Float, Device::Cpu));
    Hidden { first: linear(11, PIXELS, 0.3), second: Linear { bias, ..linear(12, 4, 0.5) } }
}

/// Images far from 0 and 1, so that nothing is clipped at small radii, with the labels that `target` predicts.
pub(super) struct Sample {
    pub(super) images: Tensor,
    pub(super) labels: Tensor,
    pub(super) ids: Vec<i64>,
}

impl Sample {
    pub(super) fn of(target: &dyn Target, size: i64) -> Self {
        let images = random(13, &[size, 3, 4, 4], |stream| stream.between(0.3, 0.7));
        let labels = target.logits(&images).argmax(1, false);
        Self { images, labels, ids: (100..100 + size).collect() }
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { images: &self.images, labels: &self.labels, ids: &self.ids }
    }
}
