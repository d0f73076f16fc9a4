//! The images under attack.

use anyhow::{Context, Result};
use tandem_learn::attack::{Batch, Found};
use tandem_learn::augment::plain;
use tch::Tensor;

use crate::environment::Environment;

/// Images that our attacks take at once.
const BATCH: usize = 250;

pub(super) struct Sample {
    pub(super) images: Tensor,
    pub(super) labels: Tensor,
    pub(super) ids: Vec<i64>,
}

impl Sample {
    pub(super) fn first(env: &Environment, count: usize) -> Result<Self> {
        let data = env.load()?;
        let ids: Vec<i64> = (0..count.min(data.test.len()) as i64).collect();
        let labels = Tensor::from_slice(data.test.labels.get(..ids.len()).context("every image has a label")?);
        Ok(Self { images: plain(&data.test, &ids), labels, ids })
    }

    /// Attacks batch by batch. Distances `[B]`, infinite where the attack failed.
    pub(super) fn attack(&self, mut attack: impl FnMut(&Batch<'_>) -> Found) -> Tensor {
        let distances = (0..).step_by(BATCH).zip(self.ids.chunks(BATCH)).map(|(first, ids)| {
            let (first, count) = (first as i64, ids.len() as i64);
            let (images, labels) = (self.images.narrow(0, first, count), self.labels.narrow(0, first, count));
            attack(&Batch { images: &images, labels: &labels, ids }).distance
        });
        Tensor::cat(&distances.collect::<Vec<_>>(), 0)
    }
}
