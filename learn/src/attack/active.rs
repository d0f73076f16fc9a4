//! The images of a batch that an attack at a fixed radius has not broken yet.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::fixed_radius::RunResult;
use super::norm::length;
use super::target::misclassified;
use super::{Adversarials, Batch};

/// Broken images leave the batch, so that the next evaluation costs less.
pub(super) struct ActiveImages {
    /// Positions in the batch, i64 `[K]`.
    rows: Tensor,
    pub(super) clean: Tensor,
    pub(super) labels: Tensor,
    norm: Norm,
    result: RunResult,
}

impl ActiveImages {
    /// All images of the batch; `start` `[B, 3, H, W]` are the first iterates.
    pub(super) fn new(batch: &Batch<'_>, start: &Tensor, norm: Norm) -> Self {
        let device = batch.images.device();
        let size = batch.ids.len() as i64;
        let distance = Tensor::full([size], f64::INFINITY, (Kind::Float, device));
        Self {
            rows: Tensor::arange(size, (Kind::Int64, device)),
            clean: batch.images.shallow_clone(),
            labels: batch.labels.shallow_clone(),
            norm,
            result: RunResult { found: Adversarials { images: batch.images.copy(), distance }, iterate: start.copy() },
        }
    }

    /// Takes out the images whose iterates `x` are misclassified; `logits` are those of `x`. Returns the rows that remain,
    /// which the caller selects from its own tensors; `None` if all remain.
    pub(super) fn remove_broken(&mut self, x: &Tensor, logits: &Tensor) -> Option<Tensor> {
        self.remove(x, &misclassified(logits, &self.labels))
    }

    /// The same for the images that are known to be `broken`, bool `[K]`.
    pub(super) fn remove(&mut self, x: &Tensor, broken: &Tensor) -> Option<Tensor> {
        let leaving = broken.nonzero().flatten(0, -1);
        if leaving.size()[0] == 0 {
            return None;
        }
        let (rows, x) = (self.rows.index_select(0, &leaving), x.index_select(0, &leaving));
        let distance = length(&(&x - self.clean.index_select(0, &leaving)), self.norm);
        let found = &mut self.result.found;
        found.images = found.images.index_copy(0, &rows, &x);
        found.distance = found.distance.index_copy(0, &rows, &distance);
        self.result.iterate = self.result.iterate.index_copy(0, &rows, &x);

        let kept = broken.logical_not().nonzero().flatten(0, -1);
        for tensor in [&mut self.rows, &mut self.clean, &mut self.labels] {
            *tensor = tensor.index_select(0, &kept);
        }
        Some(kept)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.size()[0] == 0
    }

    /// The result of the run; `best` are the iterates of the images that were not broken.
    pub(super) fn finish(mut self, best: &Tensor) -> RunResult {
        self.result.iterate = self.result.iterate.index_copy(0, &self.rows, best);
        self.result
    }
}
