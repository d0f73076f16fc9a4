//! An encoder whose stages have projection heads of their own, for the layer-by-layer losses of eqs. (4) and (5).

use std::sync::Arc;

use tandem_domain::spec::{self, Isolate};
use tch::{Device, Tensor};

use super::head::{Head, Projection};
use super::resnet::{Blueprint, ResNet};
use super::{Model, Pass, init};
use crate::flat::Flat;
use crate::shards::Network;

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
        let parameters = Flat::zeros(Arc::new(plan.parameters), device).with_gradients();
        let statistics = Flat::zeros(Arc::new(plan.statistics), device);
        init::fill(&parameters, seed);
        init::fill(&statistics, seed);
        let head = Some(last);
        let model = Model { resnet, head, parameters, statistics, encoder_frozen: false, encoder_slots };
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
        let pass = Pass { parameters: &self.model.parameters, statistics: &self.model.statistics, training: false };
        tch::no_grad(|| self.model.resnet.forward_stages(images, &pass, k + 1)).swap_remove(k)
    }
}

impl Network for Layers {
    fn parameters(&self) -> &Flat {
        &self.model.parameters
    }

    fn statistics(&self) -> &Flat {
        &self.model.statistics
    }

    fn forward(&self, images: &Tensor, statistics: &Flat, heads: usize) -> Vec<Tensor> {
        if self.early.is_empty() {
            return vec![self.model.project(images, statistics)];
        }
        let pass = Pass { parameters: &self.model.parameters, statistics, training: true };
        let seen = self.model.resnet.forward_stages(images, &pass, heads);
        let last = |features| self.model.under_head(features, &pass);
        let answer = |(k, features): (usize, Tensor)| match self.early.get(k) {
            Some(head) => head.forward(&features, &pass),
            None => last(features),
        };
        seen.into_iter().enumerate().map(answer).collect()
    }
}
