//! BatchNorm by the statistics of the whole batch, whichever ranks its shards are on.

use std::cell::RefCell;

use tandem_collective::{BatchNorm, Error, ProcessGroup};
use tch::Tensor;

use crate::progress;

/// How shards learn what they have in common, on whichever ranks they are.
pub struct SyncBatchNorm<'a> {
    group: &'a ProcessGroup,
    shards: u32,
    /// The first call between ranks that failed: the context goes on to its end, on numbers that nobody will see.
    failure: RefCell<Option<Error>>,
}

impl<'a> SyncBatchNorm<'a> {
    /// Of `shards` on all ranks together.
    pub fn new(group: &'a ProcessGroup, shards: u32) -> Self {
        Self { group, shards, failure: RefCell::new(None) }
    }

    /// `[own shards, ...]` to the mean over all shards, in every row, with derivatives of every order.
    fn mean(&self, rows: &Tensor) -> Tensor {
        let sum = self.group.shard_sum(rows).unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            rows.shallow_clone()
        });
        progress::waited();
        sum / f64::from(self.shards)
    }

    /// What went wrong between the ranks since the last call.
    pub fn check(&self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Normalises own shards, `[B, C, ...]` each, by mean and variance of all shards together, which are of equal size.
    ///
    /// Made of plain operations and [`ProcessGroup::shard_sum`], so that derivatives of every order are right. Each shard's
    /// running statistics move alike.
    pub fn normalise(&self, shards: &[Tensor], norms: &[BatchNorm<'_>]) -> Vec<Tensor> {
        let Some(first) = shards.first() else { return Vec::new() };
        let dims: Vec<i64> = (0..first.dim() as i64).filter(|&dim| dim != 1).collect();
        let mut wide = vec![1; first.dim()];
        wide[1] = -1;
        let each = |by_channel: Tensor| by_channel.view(wide.as_slice());
        let means = |tensors: &[Tensor]| {
            let rows: Vec<Tensor> = tensors.iter().map(|x| x.mean_dim(dims.as_slice(), false, None)).collect();
            self.mean(&Tensor::stack(&rows, 0))
        };
        let mean = means(shards);
        let centred: Vec<Tensor> = (0..).zip(shards).map(|(i, x)| x - each(mean.get(i))).collect();
        let variance = means(&centred.iter().map(Tensor::square).collect::<Vec<_>>());

        let count = f64::from(self.shards) * (first.numel() as f64 / first.size()[1] as f64);
        let normed = (0..).zip(centred.iter().zip(norms)).map(|(i, (centred, norm))| {
            let (mean, variance) = (mean.get(i), variance.get(i));
            tch::no_grad(|| {
                let move_to = |running: &Tensor, to: &Tensor| {
                    let _ = running.shallow_clone().lerp_(to, norm.momentum);
                };
                move_to(norm.running_mean, &mean);
                move_to(norm.running_variance, &(&variance * (count / (count - 1.0))));
            });
            let factor = norm.scale * (variance + norm.epsilon).rsqrt();
            centred * each(factor) + each(norm.shift.shallow_clone())
        });
        normed.collect()
    }
}
