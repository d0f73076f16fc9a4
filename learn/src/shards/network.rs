//! What a step needs to know of a network.

use tch::Tensor;

use crate::encoder::Model;
use crate::flat::Flat;

/// A differentiable function of a shard of images, with one output or, layer by layer, one for each head.
///
/// Its numbers are of the kind of its parameters: a function in double precision takes a step in double precision.
pub trait Network {
    /// Leaves that gradients flow to.
    fn parameters(&self) -> &Flat;

    /// Running statistics as they are between two steps.
    fn statistics(&self) -> &Flat;

    /// The first `heads` outputs, `[B, D]` each, of the images `[B, ...]`, with a graph to them and to the parameters.
    /// Overwrites `statistics`, a copy of the network's own, by what they are after this pass.
    fn forward(&self, images: &Tensor, statistics: &Flat, heads: usize) -> Vec<Tensor>;
}

impl Network for Model {
    fn parameters(&self) -> &Flat {
        &self.parameters
    }

    fn statistics(&self) -> &Flat {
        &self.statistics
    }

    fn forward(&self, images: &Tensor, statistics: &Flat, _: usize) -> Vec<Tensor> {
        vec![self.project(images, statistics)]
    }
}
