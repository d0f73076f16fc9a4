//! What a step needs to know of a network.

use tch::Tensor;

use crate::encoder::{Coupling, Model};
use crate::flat::FlatTensors;

/// One shard on its way through a network.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    /// `[B, ...]`
    pub images: &'a Tensor,
    /// Leaves that this shard's gradients flow to.
    pub parameters: &'a FlatTensors,
    /// A copy of the network's own, overwritten by what they are after the pass.
    pub statistics: &'a FlatTensors,
}

/// A differentiable function of a shard of images, with one output or, layer by layer, one for each head.
///
/// Its numbers are of the kind of its parameters: a function in double precision takes a step in double precision.
pub trait Network {
    /// Leaves that gradients flow to.
    fn parameters(&self) -> &FlatTensors;

    /// Running statistics as they are between two steps.
    fn statistics(&self) -> &FlatTensors;

    /// Whether a shard's outputs depend on the other shards of its batch (BatchNorm over all of them). They then share
    /// one graph, made by [`forward_coupled`](Self::forward_coupled).
    fn coupled(&self) -> bool {
        false
    }

    /// The first `heads` outputs, `[B, D]` each, of a shard's images, with a graph to them and to the parameters.
    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor>;

    /// As `forward` of each own shard, where all shards of all ranks see each other: a call that every rank makes.
    fn forward_coupled(&self, shards: &[Shard<'_>], over: &Coupling<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        let _ = over;
        shards.iter().map(|shard| self.forward(shard, heads)).collect()
    }

    /// Whether there is [`along`](Self::along); else autograd goes backward twice.
    fn moves(&self) -> bool {
        false
    }

    /// Output `head` of `forward`, and its derivative along `direction`, shaped as the images; both with a graph to the
    /// parameters.
    fn along(&self, shard: &Shard<'_>, direction: &Tensor, head: usize) -> Option<(Tensor, Tensor)> {
        let _ = (shard, direction, head);
        None
    }
}

impl Network for Model {
    fn parameters(&self) -> &FlatTensors {
        &self.parameters
    }

    fn statistics(&self) -> &FlatTensors {
        &self.statistics
    }

    fn coupled(&self) -> bool {
        self.is_coupled()
    }

    fn forward(&self, shard: &Shard<'_>, _: usize) -> Vec<Tensor> {
        vec![self.project_shard(shard)]
    }

    fn forward_coupled(&self, shards: &[Shard<'_>], over: &Coupling<'_>, _: usize) -> Vec<Vec<Tensor>> {
        self.project_coupled(shards, over).into_iter().map(|rows| vec![rows]).collect()
    }

    fn moves(&self) -> bool {
        !self.is_coupled()
    }

    fn along(&self, shard: &Shard<'_>, direction: &Tensor, _: usize) -> Option<(Tensor, Tensor)> {
        Some(self.project_along(shard, direction))
    }
}
