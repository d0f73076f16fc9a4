//! Our training step, as the training loop does it on one rank, on views made beforehand.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_collective::ProcessGroup;
use tandem_domain::spec::{Augment, Dataset, Encoder, Head, Recompute, Tikhonov};
use tandem_learn::augment::pairs;
use tandem_learn::data;
use tch::{Device, Tensor};

use super::trainer::{Recipe, Trainer};
use super::work::{Work, timed};
use crate::machine;

/// Batches of views that repeat in training: enough that none is memorised within the 20 steps of the check.
const BATCHES: u32 = 5;

/// The settings of both sides. Our side writes weights and views to `folder`: `weights.safetensors` with torchvision's
/// names, and `views.safetensors` with `views`, f32 `[BATCHES, 2 batch, 3, 32, 32]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepSetup {
    pub(crate) encoder: Encoder,
    pub(crate) head: Head,
    pub(crate) batch: u32,
    /// Shards that our side computes one after the other.
    pub(crate) shards: u32,
    pub(crate) threads: u32,
    /// Steps whose losses are reported.
    pub(crate) steps: u32,
    pub(crate) recipe: Recipe,
    pub(crate) augment: Augment,
    /// Memory format of the peer. If none is given, it takes the faster one.
    pub(crate) layout: Option<String>,
    /// The peer compiles its forward and backward pass.
    pub(crate) compiled: bool,
    pub(crate) folder: PathBuf,
}

impl StepSetup {
    /// The learning rate is small on purpose. At 0.03 rounding errors grow tenfold a step: within twenty steps PyTorch in
    /// float32 is 1e-2 away from PyTorch in float64, so two right implementations cannot agree. At this rate resnet-tiny
    /// stays within 1e-4, and the losses still change.
    pub(crate) fn new(encoder: Encoder, batch: u32, threads: u32, steps: u32, folder: &Path) -> Self {
        Self {
            encoder,
            head: Head { hidden: 128, output: 64, ..Head::default() },
            batch,
            shards: 1,
            threads,
            steps,
            recipe: Recipe {
                temperature: 0.5,
                learning_rate: 3e-4,
                momentum: 0.9,
                weight_decay: 5e-4,
                tikhonov: Tikhonov::default(),
                recompute: Recompute::default(),
            },
            augment: Augment::default(),
            layout: None,
            compiled: false,
            folder: folder.to_owned(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepReply {
    pub(crate) losses: Vec<f64>,
    /// What the penalty adds to each; zeros without one.
    pub(crate) penalties: Vec<f64>,
    /// "2.7.1+cu126"
    #[serde(default)]
    pub(crate) version: String,
    /// The memory format that the peer used.
    #[serde(default)]
    pub(crate) layout: String,
    /// Bytes of the process before the first step.
    pub(crate) resident_before: f64,
}

pub(crate) fn prepare(setup: StepSetup) -> Result<(Value, Work)> {
    tch::set_num_threads(i32::try_from(setup.threads)?);
    let sizes = [setup.shards, setup.batch];
    let mut trainer = Trainer::new(setup.encoder, setup.head, setup.recipe, sizes, ProcessGroup::alone())?;
    let batches = batches(&setup)?;
    trainer.write_weights(&setup.folder.join("weights.safetensors"))?;
    let views = Tensor::stack(&batches, 0).contiguous();
    Tensor::write_safetensors(&[("views", views)], setup.folder.join("views.safetensors"))
        .context("writing the views")?;

    let resident_before = machine::resident_bytes("self")?;

    let mut steps = 0;
    let mut step = move || {
        let views = &batches[steps % batches.len()];
        steps += 1;
        trainer.step(|shard| part(views, shard, setup.shards))
    };
    let steps = (0..setup.steps).map(|_| step()).collect::<Result<Vec<_>>>()?;
    let (losses, penalties) = steps.into_iter().unzip();
    let version = env!("CARGO_PKG_VERSION").into();
    let reply = StepReply { losses, penalties, version, layout: String::new(), resident_before };
    Ok((serde_json::to_value(reply)?, timed(move || step().map(drop))))
}

/// A shard's images of a batch, first views before second.
fn part(views: &Tensor, shard: u32, shards: u32) -> Tensor {
    if shards == 1 {
        return views.shallow_clone();
    }
    let size = views.size()[0] / 2 / i64::from(shards);
    let own = |view: &Tensor| view.narrow(0, i64::from(shard) * size, size);
    Tensor::cat(&views.chunk(2, 0).iter().map(own).collect::<Vec<_>>(), 0)
}

/// Views of images of `shapes`, in the memory format that training gets them in.
fn batches(setup: &StepSetup) -> Result<Vec<Tensor>> {
    // `shapes` are generated, so the folder is not read.
    let images = data::load(&Dataset::Shapes, Path::new("."), 1, Device::Cpu)?.train;
    let order = data::epoch_order(images.labels.len(), 1, 0);
    let batch = setup.batch as usize;
    anyhow::ensure!(order.len() >= batch * BATCHES as usize, "{} images do not fill {BATCHES} batches", order.len());
    let views = |samples| pairs(&images, samples, &setup.augment, 1, 0, setup.threads);
    Ok(order.chunks(batch).take(BATCHES as usize).map(views).collect())
}
