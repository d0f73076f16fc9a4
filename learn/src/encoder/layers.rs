//! An encoder whose stages have projection heads of their own, for the layer-by-layer losses of eqs. (4) and (5).

use std::sync::Arc;

use tandem_domain::spec::{self, Isolate};
use tch::{Device, Tensor};

use super::coupled::{Coupled, Coupling};
use super::head::{Head, Projection};
use super::moving::Moving;
use super::resnet::{Blueprint, ResNet};
use super::signal::{Plain, Signal};
use super::{Model, init};
use crate::flat::FlatTensors;
use crate::shards::{Network, Shard};

/// A model and the heads of its earlier stages; its own head is that of the last one.
///
/// Without such heads it is the model of ordinary pretraining. With them, encoder and last head begin with the same
/// weights.
#[derive(Debug)]
pub struct Layers {
    pub model: Model,
    /// Each on the mean over space of its stage: MLP c - c - D with BatchNorm, under `heads.1.` and so on. The last
    /// one's place is the model's own head.
    early: Vec<Projection>,
}

impl Layers {
    /// `heads` is 1, or one for each stage. `None` for a net that this version cannot build.
    pub fn new(encoder: spec::Encoder, head: spec::Head, heads: usize, seed: u64, device: Device) -> Option<Self> {
        let mut plan = Blueprint::default();
        let resnet = ResNet::describe(encoder, &mut plan)?;
        let encoder_slots = plan.parameters.slots().len();
        let last = Head::describe(head.into(), resnet.features(), &mut plan);
        let early = resnet.stages().iter().take(heads.saturating_sub(1)).zip(1..);
        let early = early.map(|(stage, number)| {
            let head = spec::Head { hidden: 0, output: head.output };
            Projection::describe(&format!("heads.{number}"), head, stage.channels, &mut plan)
        });
        let early = early.collect();
        let parameters = FlatTensors::zeros(Arc::new(plan.parameters), device).with_gradients();
        let statistics = FlatTensors::zeros(Arc::new(plan.statistics), device);
        init::fill(&parameters, seed);
        init::fill(&statistics, seed);
        let head = Some(last);
        let model = Model::of(resnet, head, parameters, statistics, encoder_slots);
        Some(Self { model, early })
    }

    pub fn heads(&self) -> usize {
        self.early.len() + 1
    }

    /// Indexes of the parameters that the loss of head `k` moves; `None` is all.
    ///
    /// `Detach`: its own stage and head (greedy training; Greedy InfoMax, Löwe et al. 2019). `Overlap`: one stage more,
    /// so that neighbours share one (LoCo, Xiong et al. 2020).
    pub fn reach(&self, isolate: Isolate, k: usize) -> Option<Vec<usize>> {
        let lowest = match isolate {
            Isolate::None => return None,
            Isolate::Detach => k,
            Isolate::Overlap => k.saturating_sub(1),
        };
        let stages = self.model.resnet.stages();
        let first = if lowest == 0 { 0 } else { stages[lowest - 1].parameters };
        let head = if k == self.early.len() { "head.".into() } else { format!("heads.{}.", k + 1) };
        let slots = self.model.parameters.layout().slots();
        let heads = (0..slots.len()).filter(|&i| slots[i].name.starts_with(&head));
        Some((first..stages[k].parameters).chain(heads).collect())
    }

    /// `[B, 3, H, W]` to the mean over space of stage `k`, by the running statistics, without a graph.
    pub fn features(&self, images: &Tensor, k: usize) -> Tensor {
        let images = Plain::new(images, &self.model.evaluating());
        tch::no_grad(|| self.model.resnet.forward_stages(&images, k + 1)).swap_remove(k).value
    }

    /// Answers of the first `heads` heads.
    fn answers<S: Signal>(&self, images: &S, heads: usize) -> Vec<S> {
        let seen = self.model.resnet.forward_stages(images, heads);
        let answer = |(k, features): (usize, S)| match self.early.get(k) {
            Some(head) => head.forward(&features),
            None => self.model.under_head(features),
        };
        seen.into_iter().enumerate().map(answer).collect()
    }
}

impl Network for Layers {
    fn parameters(&self) -> &FlatTensors {
        &self.model.parameters
    }

    fn statistics(&self) -> &FlatTensors {
        &self.model.statistics
    }

    fn coupled(&self) -> bool {
        self.model.is_coupled()
    }

    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor> {
        if self.early.is_empty() {
            return vec![self.model.project_shard(shard)];
        }
        let answers = self.answers(&Plain::new(shard.images, &self.model.training(shard)), heads);
        answers.into_iter().map(|answer| answer.value).collect()
    }

    fn forward_coupled(&self, shards: &[Shard<'_>], over: &Coupling<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        if self.early.is_empty() {
            return self.model.project_coupled(shards, over).into_iter().map(|rows| vec![rows]).collect();
        }
        let images = shards.iter().map(|shard| Plain::new(shard.images, &self.model.training(shard))).collect();
        let answers = self.answers(&Coupled::new(images, over), heads);
        let of = |i: usize| answers.iter().map(|answer| answer.shards[i].value.shallow_clone()).collect();
        (0..shards.len()).map(of).collect()
    }

    fn moves(&self) -> bool {
        !self.coupled()
    }

    fn along(&self, shard: &Shard<'_>, direction: &Tensor, k: usize) -> Option<(Tensor, Tensor)> {
        if self.early.is_empty() {
            return Some(self.model.project_along(shard, direction));
        }
        let images = Moving::new(shard.images, direction, &self.model.training(shard));
        let seen = self.model.resnet.forward_stages(&images, k + 1).pop()?;
        let answer = match self.early.get(k) {
            Some(head) => head.forward(&seen),
            None => self.model.under_head(seen),
        };
        Some((answer.value, answer.rate))
    }
}
