//! All shards of a rank at once, with BatchNorm by the statistics of the whole batch.

use tandem_collective::{BatchNorm, Then};
use tch::{Kind, Tensor};

use super::activation::{Activation, ForwardContext, Plain};
use super::layer::{ConvLayer, NormLayer};
use crate::sync_batch_norm::SyncBatchNorm;

/// One tensor for each shard of this rank.
pub(super) struct Synced<'a> {
    pub shards: Vec<Plain<'a>>,
    sync: &'a SyncBatchNorm<'a>,
}

impl<'a> Synced<'a> {
    pub(super) fn new(shards: Vec<Plain<'a>>, sync: &'a SyncBatchNorm<'a>) -> Self {
        Self { shards, sync }
    }

    fn map(self, layer: impl Fn(Plain<'a>) -> Plain<'a>) -> Self {
        Self { shards: self.shards.into_iter().map(layer).collect(), sync: self.sync }
    }

    fn each(&self, layer: impl Fn(&Plain<'a>) -> Plain<'a>) -> Self {
        Self { shards: self.shards.iter().map(layer).collect(), sync: self.sync }
    }
}

impl Activation for Synced<'_> {
    fn convolution(&self, layer: &ConvLayer) -> Self {
        self.each(|shard| shard.convolution(layer))
    }

    fn norm(self, layer: &NormLayer, then: Then<&Self>) -> Self {
        let contexts: Vec<ForwardContext<'_>> = self.shards.iter().map(|shard| shard.context).collect();
        let norms: Vec<BatchNorm<'_>> = contexts.iter().map(|context| context.norm(layer)).collect();
        // Statistics are never computed in bf16.
        let widened = |x: &Tensor| if x.kind() == Kind::BFloat16 { x.to_kind(Kind::Float) } else { x.shallow_clone() };
        let values: Vec<Tensor> = self.shards.iter().map(|shard| widened(&shard.value)).collect();
        let normalised = self.sync.normalise(&values, &norms);
        let shards = normalised.into_iter().zip(contexts).map(|(value, context)| Plain { value, context });
        Self { shards: shards.collect(), sync: self.sync }.then(then)
    }

    fn relu(self) -> Self {
        self.map(Activation::relu)
    }

    fn avg_pool(self) -> Self {
        self.map(Activation::avg_pool)
    }

    fn add(self, other: &Self) -> Self {
        let shards = self.shards.into_iter().zip(&other.shards).map(|(shard, other)| shard.add(other));
        Self { shards: shards.collect(), sync: self.sync }
    }

    fn global_avg_pool(&self) -> Self {
        self.each(Activation::global_avg_pool)
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Self {
        self.each(|shard| shard.linear(weight, bias))
    }
}
