//! Our training as in a job: augmentation and step, batch after batch.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_collective::ProcessGroup;
use tandem_domain::spec::Dataset;
use tandem_learn::data;
use tch::{Device, Kind, Tensor};

use super::batches::{Batches, SEED};
use super::step::StepSetup;
use super::trainer::Trainer;
use super::work::{Work, timed};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrainingReply {
    pub(crate) losses: Vec<f64>,
    /// Moments of all pixels of each step's views.
    pub(crate) means: Vec<f64>,
    pub(crate) variances: Vec<f64>,
    pub(crate) version: String,
}

/// Writes the initial weights, `weights.safetensors`, and all images, `images.safetensors` with `pixels`, u8
/// `[N, 3, 32, 32]`, to the set-up's folder.
pub(crate) fn prepare(setup: StepSetup) -> Result<(Value, Work)> {
    tch::set_num_threads(i32::try_from(setup.threads)?);
    let mut trainer = Trainer::new(setup.encoder, setup.head, setup.recipe, [1, setup.batch], ProcessGroup::alone())?;
    trainer.write_weights(&setup.folder.join("weights.safetensors"))?;
    // `shapes` are generated, so the folder is not read.
    let images = data::load(&Dataset::Shapes, Path::new("."), SEED, Device::Cpu)?.train;
    Tensor::write_safetensors(&[("pixels", &images.pixels)], setup.folder.join("images.safetensors"))
        .context("writing the images")?;
    let mut batches = Batches::new(images, &setup.augment, setup.batch, setup.threads);

    let mut step = move || {
        batches.advance();
        let views = batches.views(batches.batch());
        Ok((trainer.step(|_| views.shallow_clone())?.0, views))
    };
    let steps = (0..setup.steps).map(|_| step()).collect::<Result<Vec<(f64, Tensor)>>>()?;
    let moments =
        |moment: fn(&Tensor) -> Tensor| steps.iter().map(|(_, views)| moment(views).double_value(&[])).collect();
    let reply = TrainingReply {
        losses: steps.iter().map(|(loss, _)| *loss).collect(),
        means: moments(|views| views.mean(Kind::Float)),
        variances: moments(|views| views.var(true)),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    Ok((serde_json::to_value(reply)?, timed(move || step().map(drop))))
}
