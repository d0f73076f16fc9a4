//! The images that an attack is given, and what it found of them.

use tandem_domain::spec::Norm;
use tch::{Device, Kind, Tensor};

use super::norm;
use super::target::{self, Target};

/// Images to attack.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// f32 `[B, 3, H, W]` in [0, 1].
    pub images: &'a Tensor,
    /// i64 `[B]`: their classes.
    pub labels: &'a Tensor,
    /// `B` positions in the data set: they key all random draws.
    pub ids: &'a [i64],
}

impl Batch<'_> {
    /// The images at `rows`, i64 `[K]`.
    pub fn select(&self, rows: &Tensor) -> OwnedBatch {
        let positions = Vec::<i64>::try_from(rows.to_device(Device::Cpu)).unwrap_or_default();
        OwnedBatch {
            images: self.images.index_select(0, rows),
            labels: self.labels.index_select(0, rows),
            ids: positions.iter().map(|&row| self.ids[row as usize]).collect(),
        }
    }
}

/// Some images of a batch, copied.
#[derive(Debug)]
pub struct OwnedBatch {
    images: Tensor,
    labels: Tensor,
    ids: Vec<i64>,
}

impl OwnedBatch {
    pub fn batch(&self) -> Batch<'_> {
        Batch { images: &self.images, labels: &self.labels, ids: &self.ids }
    }
}

/// What an attack found, image by image, in the batch's order.
#[derive(Debug)]
pub struct Adversarials {
    /// `[B, 3, H, W]`: misclassified images near the clean ones; the clean image where there is none.
    pub images: Tensor,
    /// f32 `[B]`, in the attack's norm: 0 where the clean image is misclassified, +inf where the attack failed.
    pub distance: Tensor,
}

impl Adversarials {
    /// Before any attack: clean errors at 0, everything else not found.
    pub fn clean(target: &dyn Target, batch: &Batch<'_>) -> Self {
        let wrong = target::misclassified(&target::logits(target, batch.images), batch.labels);
        let distance = Tensor::full([batch.ids.len() as i64], f64::INFINITY, (Kind::Float, batch.images.device()));
        Self { images: batch.images.copy(), distance: distance.masked_fill(&wrong, 0.0) }
    }

    /// What `attack` finds of the images that are classified rightly, which are all that it is given. Others stay at 0.
    pub(super) fn of_right(target: &dyn Target, batch: &Batch<'_>, attack: impl FnOnce(&Batch<'_>) -> Self) -> Self {
        let mut found = Self::clean(target, batch);
        let right = found.distance.isinf().nonzero().flatten(0, -1);
        if right.size()[0] > 0 {
            found.take(&right, &attack(&batch.select(&right).batch()));
        }
        found
    }

    /// Moves what was found to the boundary on the segments to the clean images, with a forward pass for each halving.
    pub(super) fn bisect(&mut self, net: &dyn Target, batch: &Batch<'_>, norm: Norm, halvings: u32) {
        let images = target::bisect(net, batch.images, &self.images, batch.labels, halvings);
        let wrong = target::misclassified(&target::logits(net, &images), batch.labels);
        self.improve(batch.images, &images, &wrong, norm);
    }

    /// Takes over each of `images` that is misclassified (`wrong`) and nearer to `clean` than the known one.
    pub fn improve(&mut self, clean: &Tensor, images: &Tensor, wrong: &Tensor, norm: Norm) {
        let distance = norm::length(&(images - clean), norm);
        let nearer = wrong.logical_and(&distance.lt_tensor(&self.distance));
        self.images = images.where_self(&norm::per_image(&nearer), &self.images);
        self.distance = distance.where_self(&nearer, &self.distance);
    }

    /// Takes over each image of `part` that is nearer than the known one; `part` is of the images at `rows`.
    pub fn take(&mut self, rows: &Tensor, part: &Self) {
        let nearer = part.distance.lt_tensor(&self.distance.index_select(0, rows)).nonzero().flatten(0, -1);
        let rows = rows.index_select(0, &nearer);
        self.images = self.images.index_copy(0, &rows, &part.images.index_select(0, &nearer));
        self.distance = self.distance.index_copy(0, &rows, &part.distance.index_select(0, &nearer));
    }

    /// Positions of the images that are not broken within `radius`, i64 `[K]`, in order.
    pub fn robust_at(&self, radius: f64) -> Tensor {
        self.distance.gt(radius).nonzero().flatten(0, -1)
    }
}
