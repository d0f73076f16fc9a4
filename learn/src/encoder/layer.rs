//! Layers as slots of a network's parameters and statistics.

/// torch's defaults: a new batch's weight in the running statistics, and what is added to the variance.
pub(super) const MOMENTUM: f64 = 0.1;
pub(super) const EPSILON: f64 = 1e-5;

/// A convolution without bias; `weight` is a slot of the parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvLayer {
    pub weight: usize,
    pub stride: i64,
    pub padding: i64,
}

/// BatchNorm by channel: slots of its parameters and of its running statistics.
#[derive(Clone, Copy, Debug)]
pub(super) struct NormLayer {
    pub weight: usize,
    pub bias: usize,
    pub mean: usize,
    pub variance: usize,
}
