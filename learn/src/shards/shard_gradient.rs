//! What is summed over shards: one flat vector `[gradient | statistics | stop]` for each.

use std::ops::Range;

use tch::{Kind, Tensor};

use crate::flat::FlatTensors;
use crate::network::Network;

/// One shard's vector. Its gradient grows term by term.
pub(super) struct ShardGradient {
    pub flat: Tensor,
    /// Views of each parameter's gradient in `flat`.
    views: Vec<Tensor>,
}

impl ShardGradient {
    /// A gradient of zero, the statistics after the pass, and whether this rank was asked to stop.
    pub(super) fn new(network: &dyn Network, statistics: &FlatTensors, stop: bool) -> Self {
        let (parameters, statistics_len) = (network.parameters().layout().len(), statistics.layout().len());
        let own = Self::blank(network, statistics_len + 1);
        own.flat.narrow(0, parameters, statistics_len).copy_(statistics.vector());
        let _ = own.flat.narrow(0, parameters + statistics_len, 1).fill_(f64::from(u8::from(stop)));
        own
    }

    /// Zeros: a gradient and `extra` more elements.
    pub(super) fn blank(network: &dyn Network, extra: i64) -> Self {
        let (vector, layout) = (network.parameters().vector(), network.parameters().layout());
        let flat = Tensor::zeros([layout.len() + extra], (vector.kind(), vector.device()));
        let views = layout.slots().iter().map(|slot| slot.view(&flat)).collect();
        Self { flat, views }
    }

    /// Adds the gradients by the parameters that `reach` names. One that autograd left undefined is zero.
    pub(super) fn add(&self, reach: Option<&[usize]>, gradients: &[Tensor]) {
        let add = |view: &Tensor, gradient: &Tensor| {
            if gradient.defined() {
                let _ = view.shallow_clone().g_add_(gradient);
            }
        };
        match reach {
            None => self.views.iter().zip(gradients).for_each(|(view, gradient)| add(view, gradient)),
            Some(reach) => reach.iter().zip(gradients).for_each(|(&i, gradient)| add(&self.views[i], gradient)),
        }
    }

    /// Adds `factor` times the gradient of `other`.
    pub(super) fn add_scaled(&self, other: &Self, factor: f64) {
        let gradient = self.flat.narrow(0, 0, other.flat.size()[0]);
        let _ = gradient.shallow_clone().g_add_(&(&other.flat * factor));
    }
}

/// Adds the gradients of one backward pass to a block's shards; `gradients` has each shard's in turn.
pub(super) fn add_block(grads: &[ShardGradient], block: &Range<usize>, reach: Option<&[usize]>, gradients: &[Tensor]) {
    let each = gradients.len() / block.len();
    for (own, gradients) in grads[block.clone()].iter().zip(gradients.chunks(each.max(1))) {
        own.add(reach, gradients);
    }
}

/// The sum over all shards, with the statistics' mean.
pub(super) struct Reduced {
    pub gradient: Tensor,
    pub statistics: Tensor,
    pub stop: bool,
}

impl Reduced {
    pub(super) fn unpack(network: &dyn Network, sum: &Tensor, shards: u32) -> Self {
        let (parameters, statistics_len) = (network.parameters().layout().len(), network.statistics().layout().len());
        Self {
            gradient: sum.narrow(0, 0, parameters),
            statistics: sum.narrow(0, parameters, statistics_len) / f64::from(shards),
            stop: sum.narrow(0, parameters + statistics_len, 1).sum(Kind::Double).double_value(&[]) > 0.0,
        }
    }
}
