//! What is summed over shards: `[gradient | statistics | stop]`, flat.

use std::ops::Range;

use tch::{Kind, Tensor};

use crate::flat::FlatTensors;
use crate::network::Network;

/// One shard's summand, its gradient filled term by term.
pub(super) struct ShardGradient {
    pub flat: Tensor,
    /// The gradient's part of `flat`, one view for each parameter.
    views: Vec<Tensor>,
}

impl ShardGradient {
    /// A gradient of zero beside the statistics after the pass and this rank's wish to stop.
    pub(super) fn new(network: &dyn Network, statistics: &FlatTensors, stop: bool) -> Self {
        let (parameters, normed) = (network.parameters().layout().len(), statistics.layout().len());
        let part = Self::blank(network, normed + 1);
        part.flat.narrow(0, parameters, normed).copy_(statistics.vector());
        let _ = part.flat.narrow(0, parameters + normed, 1).fill_(f64::from(u8::from(stop)));
        part
    }

    /// Zeros: a gradient, and `beside` elements more.
    pub(super) fn blank(network: &dyn Network, beside: i64) -> Self {
        let (vector, layout) = (network.parameters().vector(), network.parameters().layout());
        let flat = Tensor::zeros([layout.len() + beside], (vector.kind(), vector.device()));
        let views = layout.slots().iter().map(|slot| slot.view(&flat)).collect();
        Self { flat, views }
    }

    /// Adds gradients by the parameters of a reach. One that autograd left undefined is zero.
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

/// Adds what one backward pass found by the parameters of each shard of a block, shard after shard.
pub(super) fn add_block(parts: &[ShardGradient], block: &Range<usize>, reach: Option<&[usize]>, gradients: &[Tensor]) {
    let each = gradients.len() / block.len();
    for (part, gradients) in parts[block.clone()].iter().zip(gradients.chunks(each.max(1))) {
        part.add(reach, gradients);
    }
}

/// What `tree_sum` made of all shards' parts.
pub(super) struct Reduced {
    pub gradient: Tensor,
    pub statistics: Tensor,
    pub stop: bool,
}

impl Reduced {
    pub(super) fn unpack(network: &dyn Network, sum: &Tensor, shards: u32) -> Self {
        let (parameters, normed) = (network.parameters().layout().len(), network.statistics().layout().len());
        Self {
            gradient: sum.narrow(0, 0, parameters),
            statistics: sum.narrow(0, parameters, normed) / f64::from(shards),
            stop: sum.narrow(0, parameters + normed, 1).sum(Kind::Double).double_value(&[]) > 0.0,
        }
    }
}
