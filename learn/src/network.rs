//! What a step needs to know of a network.

use tch::Tensor;

use crate::flat::FlatTensors;
use crate::sync_batch_norm::SyncBatchNorm;

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
    /// one graph, made by [`forward_synced`](Self::forward_synced).
    fn syncs_batch_norm(&self) -> bool {
        false
    }

    /// The first `heads` outputs, `[B, D]` each, of a shard's images, with a graph to them and to the parameters.
    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor>;

    /// As `forward` of each own shard, where all shards of all ranks see each other: a call that every rank makes.
    fn forward_synced(&self, shards: &[Shard<'_>], sync: &SyncBatchNorm<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        let _ = sync;
        shards.iter().map(|shard| self.forward(shard, heads)).collect()
    }

    /// Whether there is [`jvp`](Self::jvp); else autograd goes backward twice.
    fn has_jvp(&self) -> bool {
        false
    }

    /// Output `head` of `forward`, and its derivative along `tangent`, shaped as the images; both with a graph to the
    /// parameters.
    fn jvp(&self, shard: &Shard<'_>, tangent: &Tensor, head: usize) -> Option<(Tensor, Tensor)> {
        let _ = (shard, tangent, head);
        None
    }
}
