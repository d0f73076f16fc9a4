//! BatchNorm by the statistics of the whole batch, whichever ranks its shards are on.

use std::cell::RefCell;

use tandem_collective::{BatchNorm, Error, ProcessGroup};
use tch::Tensor;

use crate::progress;

/// The mean over all shards of all ranks, and BatchNorm by it.
pub struct SyncBatchNorm<'a> {
    group: &'a ProcessGroup,
    shards: u32,
    /// The first failed call between ranks. The pass continues on numbers that are thrown away.
    failure: RefCell<Option<Error>>,
}

impl<'a> SyncBatchNorm<'a> {
    /// `shards` counts those of all ranks.
    pub fn new(group: &'a ProcessGroup, shards: u32) -> Self {
        Self { group, shards, failure: RefCell::new(None) }
    }

    /// `[own shards, ...]` to the same shape, each row the mean over all shards, with derivatives of every order.
    fn mean(&self, rows: &Tensor) -> Tensor {
        let sum = self.group.shard_sum(rows).unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            rows.shallow_clone()
        });
        progress::wait_done();
        sum / f64::from(self.shards)
    }

    /// Fails if a call between ranks has failed since the last check.
    pub fn check(&self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Normalises this rank's shards, `[B, C, ...]` each, by mean and variance over all shards, which have equal size.
    ///
    /// It consists of plain operations and [`ProcessGroup::shard_sum`], so that derivatives of every order are right.
    /// The running statistics of all shards get the same update.
    pub fn normalise(&self, shards: &[Tensor], norms: &[BatchNorm<'_>]) -> Vec<Tensor> {
        let Some(first) = shards.first() else { return Vec::new() };
        let dims: Vec<i64> = (0..first.dim() as i64).filter(|&dim| dim != 1).collect();
        let each = |values: Tensor| by_channel(&values, first.dim());
        let means = |tensors: &[Tensor]| {
            let rows: Vec<Tensor> = tensors.iter().map(|x| x.mean_dim(dims.as_slice(), false, None)).collect();
            self.mean(&Tensor::stack(&rows, 0))
        };
        let mean = means(shards);
        let centred: Vec<Tensor> = (0..).zip(shards).map(|(i, x)| x - each(mean.get(i))).collect();
        let variance = means(&centred.iter().map(Tensor::square).collect::<Vec<_>>());

        let count = f64::from(self.shards) * (first.numel() as f64 / first.size()[1] as f64);
        let normalised = (0..).zip(centred.iter().zip(norms)).map(|(i, (centred, norm))| {
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
        normalised.collect()
    }
}

/// `[C]` to `[1, C, 1, ...]` of `dims` dimensions.
pub(crate) fn by_channel(values: &Tensor, dims: usize) -> Tensor {
    let mut wide = vec![1; dims];
    wide[1] = -1;
    values.view(wide.as_slice())
}
