//! Our augmentation: two views of one batch of `shapes`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_domain::spec::{Augment, Dataset};
use tandem_learn::augment::pairs;
use tandem_learn::data;
use tch::{Device, Kind, Tensor};

use super::work::{Work, timed};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AugmentSetup {
    pub(crate) recipe: Augment,
    pub(crate) images: u32,
    /// Batches whose moments are reported.
    pub(crate) batches: u32,
    pub(crate) threads: u32,
    /// Where the images are written for the peer: `images.safetensors` with `pixels`, u8 `[images, 3, 32, 32]`.
    pub(crate) folder: PathBuf,
}

/// Moments of all pixels of both views.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AugmentReply {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) version: String,
}

pub(crate) fn prepare(setup: AugmentSetup) -> Result<(Value, Work)> {
    let AugmentSetup { recipe, images: count, batches, threads, folder } = setup;
    tch::set_num_threads(i32::try_from(threads)?);
    // `shapes` are generated, so the folder is not read.
    let images = data::load(&Dataset::Shapes, Path::new("."), 1, Device::Cpu)?.train;
    let samples: Vec<i64> = (0..i64::from(count)).collect();
    let pixels = images.pixels.narrow(0, 0, i64::from(count)).contiguous();
    Tensor::write_safetensors(&[("pixels", pixels)], folder.join("images.safetensors"))
        .context("writing the images")?;

    // Each batch is of another epoch, so that no views repeat.
    let mut epoch = 0;
    let mut batch = move || {
        epoch += 1;
        pairs(&images, &samples, &recipe, 1, epoch, threads)
    };
    let (mut mean, mut variance) = (0.0, 0.0);
    for _ in 0..batches {
        let views = batch();
        mean += views.mean(Kind::Float).double_value(&[]) / f64::from(batches);
        variance += views.var(true).double_value(&[]) / f64::from(batches);
    }
    let reply = AugmentReply { mean, variance, version: env!("CARGO_PKG_VERSION").into() };
    let work = timed(move || {
        drop(std::hint::black_box(batch()));
        Ok(())
    });
    Ok((serde_json::to_value(reply)?, work))
}
