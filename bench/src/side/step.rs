//! Our training step, as the training loop itself does it on one rank with one shard, on views made beforehand.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_collective::Group;
use tandem_domain::spec::{Augment, Dataset, Encoder, Head};
use tandem_learn::augment::views;
use tandem_learn::data;
use tandem_learn::encoder::Model;
use tch::{Device, Tensor};

use super::Work;
use super::trainer::{Recipe, Trainer};

/// Batches of views that training goes round: enough that none is learnt by heart within the 20 steps of the check.
const BATCHES: u32 = 5;

/// What both sides must agree on. Weights and views are in `folder`, written by ours: `weights.safetensors` with
/// torchvision's names, and `views.safetensors` with `views`, f32 `[BATCHES, 2 batch, 3, 32, 32]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepSetup {
    pub(crate) encoder: Encoder,
    pub(crate) hidden: u32,
    pub(crate) output: u32,
    pub(crate) batch: u32,
    pub(crate) threads: u32,
    /// Steps whose losses are reported.
    pub(crate) steps: u32,
    pub(crate) temperature: f64,
    pub(crate) learning_rate: f64,
    pub(crate) momentum: f64,
    pub(crate) weight_decay: f64,
    pub(crate) folder: PathBuf,
}

impl StepSetup {
    /// The rate is small on purpose. At 0.03 rounding grows tenfold a step: PyTorch in float32 is itself 1e-2 away from
    /// PyTorch in float64 within twenty steps, and two right implementations cannot agree. At this rate it stays within
    /// 1e-4, while the losses still move.
    pub(crate) fn new(encoder: Encoder, batch: u32, threads: u32, steps: u32, folder: &Path) -> Self {
        Self {
            encoder,
            hidden: 128,
            output: 64,
            batch,
            threads,
            steps,
            temperature: 0.5,
            learning_rate: 3e-4,
            momentum: 0.9,
            weight_decay: 5e-4,
            folder: folder.to_owned(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepReply {
    pub(crate) losses: Vec<f64>,
    /// "2.7.1+cu126"
    #[serde(default)]
    pub(crate) version: String,
    /// Memory format that the peer found faster.
    #[serde(default)]
    pub(crate) layout: String,
}

pub(crate) fn prepare(setup: StepSetup) -> Result<(Value, Work)> {
    tch::set_num_threads(i32::try_from(setup.threads)?);
    let head = Head { hidden: setup.hidden, output: setup.output };
    let recipe = Recipe {
        temperature: setup.temperature,
        learning_rate: setup.learning_rate,
        momentum: setup.momentum,
        weight_decay: setup.weight_decay,
    };
    let mut trainer = Trainer::new(setup.encoder, head, recipe, [1, setup.batch], Group::alone())?;
    let batches = batches(&setup)?;
    write(&setup.folder, &trainer.model, &batches)?;

    let mut steps = 0;
    let mut step = move || {
        let views = &batches[steps % batches.len()];
        steps += 1;
        trainer.step(|_| views.shallow_clone())
    };
    let losses = (0..setup.steps).map(|_| step()).collect::<Result<Vec<f64>>>()?;
    let reply = StepReply { losses, version: env!("CARGO_PKG_VERSION").into(), layout: String::new() };
    let work = move |count| (0..count).try_for_each(|_| step().map(drop));
    Ok((serde_json::to_value(reply)?, Box::new(work)))
}

/// Views of images of `shapes`, in the memory format that training gets them in.
fn batches(setup: &StepSetup) -> Result<Vec<Tensor>> {
    // Made, not read: no folder is looked at.
    let images = data::load(&Dataset::Shapes, Path::new("."), 1, Device::Cpu)?.train;
    let order = data::epoch_order(images.labels.len(), 1, 0);
    let batch = setup.batch as usize;
    anyhow::ensure!(order.len() >= batch * BATCHES as usize, "{} images do not fill {BATCHES} batches", order.len());
    let view = |samples, view| views(&images, samples, view, &Augment::default(), 1, 0, setup.threads);
    Ok(order.chunks(batch).take(BATCHES as usize).map(|part| Tensor::cat(&[view(part, 0), view(part, 1)], 0)).collect())
}

/// Weights by name and batches, for the peer to begin from.
fn write(folder: &Path, model: &Model, batches: &[Tensor]) -> Result<()> {
    let named = model.parameters.named().chain(model.statistics.named());
    let weights: Vec<(&str, Tensor)> =
        named.map(|(slot, view)| (slot.name.as_str(), view.detach().contiguous())).collect();
    Tensor::write_safetensors(&weights, folder.join("weights.safetensors")).context("writing the weights")?;
    let views = Tensor::stack(batches, 0).contiguous();
    Tensor::write_safetensors(&[("views", views)], folder.join("views.safetensors")).context("writing the views")
}
