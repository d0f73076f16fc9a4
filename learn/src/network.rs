//! What a training step needs of a network.

use tch::Tensor;

use crate::flat::FlatTensors;
use crate::sync_batch_norm::SyncBatchNorm;

/// One shard as a network sees it.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    /// `[B, ...]`
    pub images: &'a Tensor,
    /// Leaves that this shard's gradients flow to.
    pub parameters: &'a FlatTensors,
    /// A copy of the network's running statistics, which the pass updates.
    pub statistics: &'a FlatTensors,
}

/// A differentiable function of a shard of images, with one output or, layer by layer, one for each head.
///
/// It computes in the kind of its parameters: in double precision if they are.
pub trait Network {
    /// Leaves that gradients flow to.
    fn parameters(&self) -> &FlatTensors;

    /// BatchNorm's running statistics, as they are between two steps.
    fn statistics(&self) -> &FlatTensors;

    /// Whether BatchNorm goes over all shards, so that a shard's outputs depend on the others. A rank's shards then
    /// share one graph, made by [`forward_synced`](Self::forward_synced).
    fn syncs_batch_norm(&self) -> bool {
        false
    }

    /// The first `heads` outputs, `[B, D]` each, of a shard's images, with a graph to them and to the parameters.
    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor>;

    /// `forward` of each of this rank's shards, by the BatchNorm statistics of all shards: every rank must call it.
    fn forward_synced(&self, shards: &[Shard<'_>], sync: &SyncBatchNorm<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        let _ = sync;
        shards.iter().map(|shard| self.forward(shard, heads)).collect()
    }

    /// Whether [`jvp`](Self::jvp) is there; otherwise the penalty takes autograd's double backward pass.
    fn has_jvp(&self) -> bool {
        false
    }

    /// The Jacobian-vector product: output `head` of `forward`, and its derivative along `tangent`, which is shaped as
    /// the images. Both are `[B, D]` and have a graph to the parameters.
    fn jvp(&self, shard: &Shard<'_>, tangent: &Tensor, head: usize) -> Option<(Tensor, Tensor)> {
        let _ = (shard, tangent, head);
        None
    }
}
