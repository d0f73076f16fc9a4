//! The sequence of batches in training and their views, as the training loop makes them.

use tandem_domain::spec::Augment;
use tandem_learn::augment::pairs;
use tandem_learn::data::{Images, epoch_order};
use tch::Tensor;

pub(super) const SEED: u64 = 1;

/// The batches of all epochs. Each epoch has an order of its own.
pub(super) struct Batches {
    images: Images,
    augment: Augment,
    order: Vec<i64>,
    size: usize,
    threads: u32,
    epoch: u32,
    /// Images of this epoch up to the end of the current batch.
    used: usize,
}

impl Batches {
    /// Starts before the first batch. There must be images for at least one.
    pub(super) fn new(images: Images, augment: &Augment, size: u32, threads: u32) -> Self {
        let order = epoch_order(images.labels.len(), SEED, 0);
        Self { images, augment: *augment, order, size: size as usize, threads, epoch: 0, used: 0 }
    }

    pub(super) fn advance(&mut self) {
        self.used += self.size;
        if self.used > self.order.len() {
            self.epoch += 1;
            self.used = self.size;
            self.order = epoch_order(self.order.len(), SEED, self.epoch);
        }
    }

    /// Samples of the current batch.
    pub(super) fn batch(&self) -> &[i64] {
        &self.order[self.used - self.size..self.used]
    }

    /// Both views of some samples in this epoch, first views before second.
    pub(super) fn views(&self, samples: &[i64]) -> Tensor {
        pairs(&self.images, samples, &self.augment, SEED, self.epoch, self.threads)
    }
}
