//! An encoder with a projection head on each stage, for the layer-by-layer losses of eqs. (4) and (5).

use tandem_domain::spec::{self, Isolate, Layerwise, Tikhonov};
use tch::{Device, Tensor};

use super::activation::{Activation, Plain};
use super::dual::Dual;
use super::head::Projection;
use super::model::Model;
use super::synced::Synced;
use crate::flat::FlatTensors;
use crate::network::{Network, Shard};
use crate::objective::LossTerm;
use crate::penalty;
use crate::sync_batch_norm::SyncBatchNorm;

/// A model, whose head stands on the last stage, and the heads of the earlier stages.
///
/// With a single head it is the model of ordinary pretraining. Encoder and last head have the same first weights either
/// way.
#[derive(Debug)]
pub struct LayerwiseModel {
    pub model: Model,
    /// Each on the pooled output of its stage: MLP c - c - D with BatchNorm (more as the head has), named `heads.1.` and so on.
    early_heads: Vec<Projection>,
}

impl LayerwiseModel {
    /// `heads` is 1 or the number of stages. `None` for a network that this version cannot build.
    pub fn new(encoder: spec::Encoder, head: spec::Head, heads: usize, seed: u64, device: Device) -> Option<Self> {
        let (model, early_heads) = Model::build_with(encoder, Some(head.into()), device, |resnet, plan| {
            let early = resnet.stages().iter().take(heads.saturating_sub(1)).zip(1..);
            let early = early.map(|(stage, number)| {
                let head = spec::Head { hidden: 0, ..head };
                Projection::describe(&format!("heads.{number}"), head, stage.channels, plan)
            });
            early.collect()
        })?;
        Some(Self { model: model.seeded(seed), early_heads })
    }

    pub fn heads(&self) -> usize {
        self.early_heads.len() + 1
    }

    /// One term for each stage: α_k L_k + β_k R_k, with R_k = S_k / 2 as in eqs. (3) and (5), on batches of `images`.
    ///
    /// `isolate` keeps the gradients of a stage's loss *and* penalty from the weights of the stages below. The penalty
    /// itself is still that of eq. (5), by the images.
    pub fn terms(&self, spec: &Layerwise, tikhonov: &Tikhonov, images: u32) -> Vec<LossTerm> {
        let tikhonov = Tikhonov { lambda: penalty::lambda(tikhonov, images), ..*tikhonov };
        let (alphas, betas) = (spec.alphas(), spec.betas(&tikhonov));
        let term = |(k, &weight): (usize, &f64)| LossTerm {
            weight,
            penalty: betas.get(k).map_or(0.0, |beta| beta / 2.0),
            reach: self.reach(spec.isolate, k),
        };
        alphas.iter().enumerate().map(term).collect()
    }

    /// Slots of the parameters that the loss of head `k` trains; `None` means all.
    ///
    /// `Detach`: its own stage and head (greedy training; Greedy InfoMax, Löwe et al. 2019). `Overlap`: also the stage
    /// below, so that neighbours share one (LoCo, Xiong et al. 2020).
    pub fn reach(&self, isolate: Isolate, k: usize) -> Option<Vec<usize>> {
        let lowest = match isolate {
            Isolate::None => return None,
            Isolate::Detach => k,
            Isolate::Overlap => k.saturating_sub(1),
        };
        let stages = self.model.resnet.stages();
        let first = if lowest == 0 { 0 } else { stages[lowest - 1].parameters };
        let head = if k == self.early_heads.len() { "head.".into() } else { format!("heads.{}.", k + 1) };
        let slots = self.model.parameters.layout().slots();
        let heads = (0..slots.len()).filter(|&i| slots[i].name.starts_with(&head));
        Some((first..stages[k].parameters).chain(heads).collect())
    }

    /// `[B, 3, H, W]` to the pooled output of stage `k`, by the running statistics, without a graph.
    pub fn features(&self, images: &Tensor, k: usize) -> Tensor {
        let images = Plain::new(images, &self.model.evaluation_context());
        tch::no_grad(|| self.model.resnet.forward_stages(&images, k + 1)).swap_remove(k).value
    }

    /// `[B, 3, H, W]` to the rows of all heads side by side, `[B, heads · D]`, by the running statistics, without a graph.
    pub fn evaluate(&self, images: &Tensor) -> Tensor {
        tch::no_grad(|| {
            if self.early_heads.is_empty() {
                return self.model.evaluate(images);
            }
            let rows = self.outputs(&Plain::new(images, &self.model.evaluation_context()), self.heads());
            Tensor::cat(&rows.into_iter().map(|row| row.value).collect::<Vec<_>>(), 1)
        })
    }

    /// Outputs of the first `heads` heads.
    fn outputs<S: Activation>(&self, images: &S, heads: usize) -> Vec<S> {
        let stages = self.model.resnet.forward_stages(images, heads);
        stages.into_iter().enumerate().map(|(k, features)| self.apply_head(k, features)).collect()
    }

    fn apply_head<S: Activation>(&self, k: usize, features: S) -> S {
        match self.early_heads.get(k) {
            Some(head) => head.forward(&features),
            None => self.model.apply_head(features),
        }
    }
}

impl Network for LayerwiseModel {
    fn parameters(&self) -> &FlatTensors {
        &self.model.parameters
    }

    fn statistics(&self) -> &FlatTensors {
        &self.model.statistics
    }

    fn syncs_batch_norm(&self) -> bool {
        self.model.syncs_batch_norm()
    }

    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor> {
        if self.early_heads.is_empty() {
            return self.model.forward(shard, heads);
        }
        let outputs = self.outputs(&Plain::new(shard.images, &self.model.training_context(shard)), heads);
        outputs.into_iter().map(|output| output.value).collect()
    }

    fn forward_synced(&self, shards: &[Shard<'_>], sync: &SyncBatchNorm<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        if self.early_heads.is_empty() {
            return self.model.forward_synced(shards, sync, heads);
        }
        let images = shards.iter().map(|shard| Plain::new(shard.images, &self.model.training_context(shard))).collect();
        let outputs = self.outputs(&Synced::new(images, sync), heads);
        let of = |i: usize| outputs.iter().map(|output| output.shards[i].value.shallow_clone()).collect();
        (0..shards.len()).map(of).collect()
    }

    fn has_jvp(&self) -> bool {
        !self.syncs_batch_norm()
    }

    fn jvp(&self, shard: &Shard<'_>, tangent: &Tensor, k: usize) -> Option<(Tensor, Tensor)> {
        if self.early_heads.is_empty() {
            return self.model.jvp(shard, tangent, k);
        }
        let images = Dual::new(shard.images, tangent, &self.model.training_context(shard));
        let features = self.model.resnet.forward_stages(&images, k + 1).pop()?;
        let output = self.apply_head(k, features);
        Some((output.value, output.tangent))
    }
}
