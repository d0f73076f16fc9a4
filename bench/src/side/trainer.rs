//! `learn`'s training step followed by the optimiser's, as in the contrastive stage.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tandem_collective::ProcessGroup;
use tandem_domain::spec::{self, Encoder, Head, OptimizerName, Recompute, Tikhonov};
use tandem_learn::encoder::Model;
use tandem_learn::nt_xent::nt_xent;
use tandem_learn::objective::{Objective, Views};
use tandem_learn::optimizer::Optimizer;
use tandem_learn::shards::{self, Shards};
use tch::{Device, Kind, Tensor};

pub(crate) struct Trainer {
    pub(crate) model: Model,
    pub(crate) shards: Shards,
    group: ProcessGroup,
    optimizer: Optimizer,
    recipe: Recipe,
    batch: u32,
}

/// Hyperparameters of a step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(crate) temperature: f64,
    pub(crate) learning_rate: f64,
    pub(crate) momentum: f64,
    pub(crate) weight_decay: f64,
    pub(crate) tikhonov: Tikhonov,
    /// Whether a shard's graph is kept or recomputed for the backward pass.
    pub(crate) recompute: Recompute,
}

impl Trainer {
    pub(crate) fn new(
        encoder: Encoder,
        head: Head,
        recipe: Recipe,
        [shards, batch]: [u32; 2],
        group: ProcessGroup,
    ) -> Result<Self> {
        let model = Model::new(encoder, Some(head), 1, Device::Cpu).context("the encoder cannot be built")?;
        let sgd = spec::Optimizer {
            name: OptimizerName::Sgd,
            lr: recipe.learning_rate,
            momentum: recipe.momentum,
            weight_decay: recipe.weight_decay,
            ..spec::Optimizer::default()
        };
        let optimizer = Optimizer::new(&sgd, &model.parameters);
        Ok(Self { shards: Shards::new(shards, batch, &group)?, model, group, optimizer, recipe, batch })
    }

    /// One step on a batch whose `shard` has the images `views(shard)`, first views before second. Returns the loss and
    /// what the penalty adds to it.
    pub(crate) fn step(&mut self, views: impl FnMut(u32) -> Tensor) -> Result<(f64, f64)> {
        let loss = |projections: &Tensor| nt_xent(projections, self.recipe.temperature, false);
        let objective = Objective { recompute: self.recipe.recompute, ..Objective::new(Views::Two, &loss) };
        let objective = objective.tikhonov(&self.recipe.tikhonov, self.batch);
        let step = shards::step(&self.model, &self.group, &self.shards, views, &objective, false)?;
        // The stage checks this too.
        let finite = step.loss.is_finite() && step.gradient.sum(Kind::Float).double_value(&[]).is_finite();
        anyhow::ensure!(finite, "the loss ({}) or its gradient is not finite", step.loss);
        self.optimizer.step(&self.model.parameters, step.gradient, self.recipe.learning_rate, 0);
        self.model.statistics.assign(&step.statistics);
        Ok((step.loss, step.penalty))
    }

    /// Writes weights and BatchNorm statistics by torchvision's names, so that the peer starts from the same.
    pub(crate) fn write_weights(&self, path: &Path) -> Result<()> {
        let named = self.model.parameters.named().chain(self.model.statistics.named());
        let weights: Vec<(&str, Tensor)> =
            named.map(|(slot, view)| (slot.name.as_str(), view.detach().contiguous())).collect();
        Tensor::write_safetensors(&weights, path).context("writing the weights")
    }
}
