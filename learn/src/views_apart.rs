//! The two views of each image in passes of their own.

use tch::Tensor;

use crate::flat::FlatTensors;
use crate::network::{Network, Shard};
use crate::sync_batch_norm::SyncBatchNorm;

/// A network that takes a shard of two views, `[2n, ...]` with all first views before all second ones, as two shards of one
/// view, one after the other. BatchNorm normalises each view by statistics of its own, and the running statistics move
/// twice a step, as where a program calls `model(x_i)` and then `model(x_j)`.
pub struct ViewsApart<'a>(pub &'a dyn Network);

/// Of a tensor that holds both views.
fn halves(both: &Tensor) -> [Tensor; 2] {
    let each = both.size()[0] / 2;
    [0, 1].map(|view| both.narrow(0, view * each, each))
}

/// By head, the rows of both views.
fn joined([first, second]: [Vec<Tensor>; 2]) -> Vec<Tensor> {
    first.into_iter().zip(second).map(|(first, second)| Tensor::cat(&[first, second], 0)).collect()
}

/// The running statistics on their way through two passes. Each pass updates a copy, since autograd may hold on to what a
/// pass was given.
fn copied(statistics: &FlatTensors) -> FlatTensors {
    FlatTensors::over(statistics.layout().clone(), statistics.vector().copy())
}

fn write_back(statistics: &FlatTensors, moved: &FlatTensors) {
    tch::no_grad(|| statistics.vector().shallow_clone().copy_(moved.vector()));
}

impl Network for ViewsApart<'_> {
    fn parameters(&self) -> &FlatTensors {
        self.0.parameters()
    }

    fn statistics(&self) -> &FlatTensors {
        self.0.statistics()
    }

    fn syncs_batch_norm(&self) -> bool {
        self.0.syncs_batch_norm()
    }

    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor> {
        let mut statistics = copied(shard.statistics);
        let rows = halves(shard.images).map(|images| {
            statistics = copied(&statistics);
            self.0.forward(&Shard { images: &images, statistics: &statistics, ..*shard }, heads)
        });
        write_back(shard.statistics, &statistics);
        joined(rows)
    }

    fn forward_synced(&self, shards: &[Shard<'_>], sync: &SyncBatchNorm<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        let mut statistics: Vec<FlatTensors> = shards.iter().map(|shard| copied(shard.statistics)).collect();
        // By view, shard and head.
        let views = [0, 1].map(|view: usize| {
            statistics = statistics.iter().map(copied).collect();
            let images: Vec<Tensor> = shards.iter().map(|shard| halves(shard.images)[view].shallow_clone()).collect();
            let own = shards.iter().zip(&images).zip(&statistics);
            let own: Vec<Shard<'_>> =
                own.map(|((shard, images), statistics)| Shard { images, statistics, ..*shard }).collect();
            self.0.forward_synced(&own, sync, heads)
        });
        shards.iter().zip(&statistics).for_each(|(shard, moved)| write_back(shard.statistics, moved));
        let [first, second] = views;
        first.into_iter().zip(second).map(|(first, second)| joined([first, second])).collect()
    }

    fn has_jvp(&self) -> bool {
        self.0.has_jvp()
    }

    fn jvp(&self, shard: &Shard<'_>, tangent: &Tensor, head: usize) -> Option<(Tensor, Tensor)> {
        let mut statistics = copied(shard.statistics);
        let (images, tangents) = (halves(shard.images), halves(tangent));
        let mut duals = images.iter().zip(&tangents).map(|(images, tangent)| {
            statistics = copied(&statistics);
            self.0.jvp(&Shard { images, statistics: &statistics, ..*shard }, tangent, head)
        });
        let ((first, first_tangent), (second, second_tangent)) = (duals.next()??, duals.next()??);
        drop(duals);
        write_back(shard.statistics, &statistics);
        Some((Tensor::cat(&[first, second], 0), Tensor::cat(&[first_tangent, second_tangent], 0)))
    }
}
