//! The network f of the paper: encoder (`resnet`), what stands on it (`head`), and how their weights begin (`init`).

mod coupled;
mod folded;
mod head;
mod init;
mod layers;
mod moving;
mod resnet;
mod signal;

use std::ops::Range;
use std::sync::Arc;

use tandem_domain::spec::{self, BatchNorm, Precision};
use tch::{Device, Kind, Tensor};

pub use coupled::Coupling;
pub use folded::Folding;
pub use head::{FullyConnected, Head, HeadShape, Projection};
pub use layers::Layers;
pub use resnet::ResNet;

use crate::flat::FlatTensors;
use crate::shards::Shard;
use coupled::Coupled;
use folded::Folded;
use moving::Moving;
use resnet::Blueprint;
use signal::{Plain, Signal};

/// What a forward pass reads, and the running statistics that it updates if it is a training pass.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub parameters: &'a FlatTensors,
    pub statistics: &'a FlatTensors,
    /// BatchNorm by the batch's own statistics; else by the running ones.
    pub training: bool,
    /// Of convolutions.
    pub precision: Precision,
}

/// Structure and weights of an encoder and its head: projecting during pretraining, fully connected in a classifier.
///
/// The encoder's tensors come first in both vectors, in the same places whatever the head.
#[derive(Debug)]
pub struct Model {
    pub resnet: ResNet,
    pub head: Option<Head>,
    pub parameters: FlatTensors,
    pub statistics: FlatTensors,
    /// The head trains on the encoder as it is: BatchNorm there goes by its running statistics, which stay.
    pub encoder_frozen: bool,
    /// Whose statistics BatchNorm goes by in training.
    pub batch_norm: BatchNorm,
    /// Of convolutions in training; evaluation is of f32.
    pub precision: Precision,
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
        let parameters = FlatTensors::zeros(Arc::new(plan.parameters), device).with_gradients();
        let statistics = FlatTensors::zeros(Arc::new(plan.statistics), device);
        Some(Self::of(resnet, head, parameters, statistics, encoder_slots))
    }

    fn of(
        resnet: ResNet,
        head: Option<Head>,
        parameters: FlatTensors,
        statistics: FlatTensors,
        encoder_slots: usize,
    ) -> Self {
        let (batch_norm, precision) = (BatchNorm::default(), Precision::default());
        Self { resnet, head, parameters, statistics, encoder_frozen: false, batch_norm, precision, encoder_slots }
    }

    /// Says how it is to be trained. The error tells why its device cannot.
    pub fn trained(&mut self, batch_norm: BatchNorm, precision: Precision) -> Result<(), String> {
        let device = self.parameters.vector().device();
        if precision == Precision::Bf16 && !multiplies_bf16(device) {
            return Err(format!(
                "precision = \"bf16\": {device:?} has no convolution of bf16 (NVIDIA GPUs have it since Ampere, compute \
                 capability 8.0); use \"f32\""
            ));
        }
        // tch does not tell a GPU's generation: before Ampere it computes in f32, which only takes longer.
        if precision == Precision::Tf32 && !device.is_cuda() {
            return Err(format!(
                "precision = \"tf32\": {device:?} has no TF32 (NVIDIA GPUs have it since Ampere, compute capability 8.0); \
                 use \"f32\""
            ));
        }
        (self.batch_norm, self.precision) = (batch_norm, precision);
        Ok(())
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
        tch::no_grad(|| self.resnet.forward(&Plain::new(images, &self.evaluating())).value)
    }

    /// `[B, 3, H, W]` to the head's answers, `[B, D]`, by the running statistics, with a graph.
    pub fn evaluate(&self, images: &Tensor) -> Tensor {
        self.under_head(self.resnet.forward(&Plain::new(images, &self.evaluating()))).value
    }

    /// For [`evaluate_folded`](Self::evaluate_folded), as long as neither weights nor statistics change.
    pub fn fold(&self) -> Folding {
        Folding::new(&self.evaluating(), self.resnet.units())
    }

    /// As `evaluate`, up to rounding, and faster.
    pub fn evaluate_folded(&self, images: &Tensor, folding: &Folding) -> Tensor {
        self.under_head(self.resnet.forward(&Folded::new(images, &self.evaluating(), folding))).plain.value
    }

    /// `[B, 3, H, W]` to what the objective sees, `[B, D]`, with a graph; updates `statistics`, not the model's own.
    pub fn project(&self, images: &Tensor, statistics: &FlatTensors) -> Tensor {
        self.project_shard(&Shard { images, parameters: &self.parameters, statistics })
    }

    pub(crate) fn project_shard(&self, shard: &Shard<'_>) -> Tensor {
        let pass = self.training(shard);
        let features = match (self.encoder_frozen, shard.images.requires_grad()) {
            (false, _) => self.resnet.forward(&Plain::new(shard.images, &pass)),
            (true, false) => Plain::new(&self.features(shard.images), &pass),
            (true, true) => Plain { pass, ..self.resnet.forward(&Plain::new(shard.images, &self.evaluating())) },
        };
        self.under_head(features).value
    }

    /// As `project_shard`, and the derivative of its result along `direction`, shaped as the images: both with a graph
    /// to the parameters.
    pub(crate) fn project_along(&self, shard: &Shard<'_>, direction: &Tensor) -> (Tensor, Tensor) {
        // On a frozen encoder stand fully connected layers, to which the two kinds of pass are one.
        let pass = if self.encoder_frozen { self.evaluating() } else { self.training(shard) };
        let moving = self.under_head(self.resnet.forward(&Moving::new(shard.images, direction, &pass)));
        (moving.value, moving.rate)
    }

    /// Own shards' results, BatchNorm going by the statistics of all shards.
    pub(crate) fn project_coupled(&self, shards: &[Shard<'_>], over: &Coupling<'_>) -> Vec<Tensor> {
        let images = shards.iter().map(|shard| Plain::new(shard.images, &self.training(shard))).collect();
        let results = self.under_head(self.resnet.forward(&Coupled::new(images, over)));
        results.shards.into_iter().map(|shard| shard.value).collect()
    }

    /// Whether shards of one batch see each other.
    pub(crate) fn is_coupled(&self) -> bool {
        self.batch_norm == BatchNorm::Global && !self.encoder_frozen
    }

    fn training<'a>(&self, shard: &Shard<'a>) -> Pass<'a> {
        let Shard { parameters, statistics, .. } = *shard;
        Pass { parameters, statistics, training: true, precision: self.precision }
    }

    fn evaluating(&self) -> Pass<'_> {
        let (parameters, statistics) = (&self.parameters, &self.statistics);
        Pass { parameters, statistics, training: false, precision: Precision::F32 }
    }

    fn under_head<S: Signal>(&self, features: S) -> S {
        match &self.head {
            Some(head) => head.forward(&features),
            None => features,
        }
    }
}

/// Found out by trying: what a library emulates is good enough, what it refuses is not.
fn multiplies_bf16(device: Device) -> bool {
    let ones = || Tensor::f_ones([1, 1, 3, 3], (Kind::BFloat16, device));
    let tried = ones().and_then(|x| x.f_conv2d(&ones()?, None::<Tensor>, [1; 2], [1; 2], [1; 2], 1));
    tried.and_then(|y| y.f_sum(Kind::Float)).is_ok_and(|sum| sum.double_value(&[]) == 49.0)
}

#[cfg(test)]
mod tests;
