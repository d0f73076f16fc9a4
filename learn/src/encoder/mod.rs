//! The network f of the paper: encoder (`resnet`), what stands on it (`head`), and how their weights begin (`init`).

mod head;
mod init;
mod layers;
mod resnet;

use std::ops::Range;
use std::sync::Arc;

use tandem_domain::spec;
use tch::{Device, Tensor};

pub use head::{FullyConnected, Head, HeadShape, Projection};
pub use layers::Layers;
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

/// Structure and weights of an encoder and its head: projecting during pretraining, fully connected in a classifier.
///
/// The encoder's tensors come first in both vectors, in the same places whatever the head.
#[derive(Debug)]
pub struct Model {
    pub resnet: ResNet,
    pub head: Option<Head>,
    pub parameters: Flat,
    pub statistics: Flat,
    /// The head trains on the encoder as it is: BatchNorm there goes by its running statistics, which stay.
    pub encoder_frozen: bool,
    encoder_slots: usize,
}

impl Model {
    /// With first weights that are a function of the arguments alone. `None` for a net that this version cannot build.
    pub fn new(encoder: spec::Encoder, head: Option<spec::Head>, seed: u64, device: Device) -> Option<Self> {
        Some(Self::build(encoder, head.map(HeadShape::Projection), device)?.seeded(seed))
    }

    /// As `new`, with fully connected layers for so many classes on the encoder.
    pub fn classifier(encoder: spec::Encoder, layers: u32, classes: u32, seed: u64, device: Device) -> Option<Self> {
        let head = HeadShape::FullyConnected { layers, classes };
        Some(Self::build(encoder, Some(head), device)?.seeded(seed))
    }

    /// All zeros, to be loaded into.
    pub fn blank(encoder: spec::Encoder, head: Option<spec::Head>, device: Device) -> Option<Self> {
        Self::build(encoder, head.map(HeadShape::Projection), device)
    }

    /// As `blank`, with any head.
    pub fn build(encoder: spec::Encoder, head: Option<HeadShape>, device: Device) -> Option<Self> {
        let mut plan = Blueprint::default();
        let resnet = ResNet::describe(encoder, &mut plan)?;
        let encoder_slots = plan.parameters.slots().len();
        let head = head.map(|head| Head::describe(head, resnet.features(), &mut plan));
        let parameters = Flat::zeros(Arc::new(plan.parameters), device).with_gradients();
        let statistics = Flat::zeros(Arc::new(plan.statistics), device);
        Some(Self { resnet, head, parameters, statistics, encoder_frozen: false, encoder_slots })
    }

    /// The same weights, without gradients.
    pub fn frozen(self) -> Self {
        Self { parameters: self.parameters.frozen(), ..self }
    }

    /// Indexes of the head's parameters; the encoder's are those before.
    pub fn head_slots(&self) -> Range<usize> {
        self.encoder_slots..self.parameters.layout().slots().len()
    }

    /// Takes over weights and statistics of an `encoder` of the same architecture that has no head.
    pub fn adopt(&mut self, encoder: &Self) {
        tch::no_grad(|| {
            for (own, other) in [(&self.parameters, &encoder.parameters), (&self.statistics, &encoder.statistics)] {
                for (own, other) in own.views().iter().zip(other.views()) {
                    own.shallow_clone().copy_(other);
                }
            }
        });
    }

    fn seeded(self, seed: u64) -> Self {
        init::fill(&self.parameters, seed);
        init::fill(&self.statistics, seed);
        self
    }

    /// `[B, 3, H, W]` in [0, 1] to features `[B, F]` by the running statistics, without a graph.
    pub fn features(&self, images: &Tensor) -> Tensor {
        tch::no_grad(|| self.resnet.forward(images, &self.evaluating()))
    }

    /// `[B, 3, H, W]` to what the objective sees, `[B, D]`, with a graph; updates `statistics`, not the model's own.
    pub fn project(&self, images: &Tensor, statistics: &Flat) -> Tensor {
        let pass = Pass { parameters: &self.parameters, statistics, training: true };
        let features = match (self.encoder_frozen, images.requires_grad()) {
            (false, _) => self.resnet.forward(images, &pass),
            (true, false) => self.features(images),
            (true, true) => self.resnet.forward(images, &self.evaluating()),
        };
        self.under_head(features, &pass)
    }

    /// `[B, 3, H, W]` to the head's answers, `[B, D]`, by the running statistics, with a graph.
    pub fn evaluate(&self, images: &Tensor) -> Tensor {
        let pass = self.evaluating();
        self.under_head(self.resnet.forward(images, &pass), &pass)
    }

    fn evaluating(&self) -> Pass<'_> {
        Pass { parameters: &self.parameters, statistics: &self.statistics, training: false }
    }

    fn under_head(&self, features: Tensor, pass: &Pass<'_>) -> Tensor {
        match &self.head {
            Some(head) => head.forward(&features, pass),
            None => features,
        }
    }
}

#[cfg(test)]
mod tests;
