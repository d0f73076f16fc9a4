//! The network f of the paper: encoder (`resnet`), projection head (`head`), and how their weights begin (`init`).

mod head;
mod init;
mod resnet;

use std::sync::Arc;

use tandem_domain::spec;
use tch::{Device, Tensor};

pub use head::Projection;
pub use resnet::ResNet;

use crate::flat::Flat;
use resnet::Blueprint;

/// What a forward pass reads, and the running statistics that it updates if it is a training pass.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub parameters: &'a Flat,
    pub statistics: &'a Flat,
    /// BatchNorm by the batch's own statistics; else by the running ones.
    pub training: bool,
}

/// Structure and weights of an encoder with, during pretraining, its projection head.
#[derive(Debug)]
pub struct Model {
    pub resnet: ResNet,
    pub head: Option<Projection>,
    pub parameters: Flat,
    pub statistics: Flat,
}

impl Model {
    /// With first weights that are a function of the arguments alone. `None` for a net that this version cannot build.
    pub fn new(encoder: spec::Encoder, head: Option<spec::Head>, seed: u64, device: Device) -> Option<Self> {
        let model = Self::blank(encoder, head, device)?;
        init::fill(&model.parameters, seed);
        init::fill(&model.statistics, seed);
        Some(model)
    }

    /// All zeros, to be loaded into.
    pub fn blank(encoder: spec::Encoder, head: Option<spec::Head>, device: Device) -> Option<Self> {
        let mut plan = Blueprint::default();
        let resnet = ResNet::describe(encoder, &mut plan)?;
        let head = head.map(|head| Projection::describe(head, resnet.features(), &mut plan));
        let parameters = Flat::zeros(Arc::new(plan.parameters), device).with_gradients();
        let statistics = Flat::zeros(Arc::new(plan.statistics), device);
        Some(Self { resnet, head, parameters, statistics })
    }

    /// `[B, 3, H, W]` in [0, 1] to features `[B, F]` by the running statistics, without a graph.
    pub fn features(&self, images: &Tensor) -> Tensor {
        let pass = Pass { parameters: &self.parameters, statistics: &self.statistics, training: false };
        tch::no_grad(|| self.resnet.forward(images, &pass))
    }

    /// `[B, 3, H, W]` to what the objective sees, `[B, D]`, with a graph; updates `statistics`, not the model's own.
    pub fn project(&self, images: &Tensor, statistics: &Flat) -> Tensor {
        let pass = Pass { parameters: &self.parameters, statistics, training: true };
        let features = self.resnet.forward(images, &pass);
        match &self.head {
            Some(head) => head.forward(&features, &pass),
            None => features,
        }
    }
}

#[cfg(test)]
mod tests;
