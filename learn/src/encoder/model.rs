//! An encoder with a head: its weights, and its passes in training and evaluation.

use std::ops::Range;
use std::sync::Arc;

use tandem_domain::spec::{self, BatchNorm, Precision};
use tch::{Device, Kind, Tensor};

use super::activation::{Activation, ForwardContext, Plain};
use super::dual::Dual;
use super::fused::FusedBatchNorm;
use super::head::{Head, HeadShape};
use super::init;
use super::resnet::{Blueprint, ResNet};
use super::synced::Synced;
use crate::flat::FlatTensors;
use crate::network::{Network, Shard};
use crate::sync_batch_norm::SyncBatchNorm;

/// Structure and weights of an encoder and its head: a projection in pretraining, fully connected layers in a
/// classifier.
///
/// The encoder's tensors come first in `parameters` and `statistics`, at the same slots whatever the head.
#[derive(Debug)]
pub struct Model {
    pub resnet: ResNet,
    pub head: Option<Head>,
    pub parameters: FlatTensors,
    pub statistics: FlatTensors,
    /// Only the head trains. The encoder's BatchNorms then go by their running statistics, which do not change.
    pub encoder_frozen: bool,
    /// Whether BatchNorm's statistics in training are those of a shard or of the batch.
    pub batch_norm: BatchNorm,
    /// Precision of convolutions in training; evaluation is in f32.
    pub precision: Precision,
    pub(super) encoder_slots: usize,
}

impl Model {
    /// Initialised: the weights are a function of the arguments alone. `None` for a network that this version cannot
    /// build.
    pub fn new(encoder: spec::Encoder, head: Option<spec::Head>, seed: u64, device: Device) -> Option<Self> {
        Some(Self::build(encoder, head.map(HeadShape::Projection), device)?.seeded(seed))
    }

    /// As `new`, with fully connected `layers` on the encoder.
    pub fn classifier(encoder: spec::Encoder, layers: u32, classes: u32, seed: u64, device: Device) -> Option<Self> {
        let head = HeadShape::FullyConnected { layers, classes };
        Some(Self::build(encoder, Some(head), device)?.seeded(seed))
    }

    /// All zeros, for weights to be loaded.
    pub fn build(encoder: spec::Encoder, head: Option<HeadShape>, device: Device) -> Option<Self> {
        Self::build_with(encoder, head, device, |_, _| ()).map(|(model, ())| model)
    }

    /// As `build`, with the further layers that `more` describes after encoder and head.
    pub(super) fn build_with<T>(
        encoder: spec::Encoder,
        head: Option<HeadShape>,
        device: Device,
        more: impl FnOnce(&ResNet, &mut Blueprint) -> T,
    ) -> Option<(Self, T)> {
        let mut plan = Blueprint::default();
        let resnet = ResNet::describe(encoder, &mut plan)?;
        let encoder_slots = plan.parameters.slots().len();
        let head = head.map(|head| Head::describe(head, resnet.features(), &mut plan));
        let more = more(&resnet, &mut plan);
        let model = Self {
            resnet,
            head,
            parameters: FlatTensors::zeros(Arc::new(plan.parameters), device).with_gradients(),
            statistics: FlatTensors::zeros(Arc::new(plan.statistics), device),
            encoder_frozen: false,
            batch_norm: BatchNorm::default(),
            precision: Precision::default(),
            encoder_slots,
        };
        Some((model, more))
    }

    /// Sets how it is trained. The error says why its device cannot do it.
    pub fn set_training(&mut self, batch_norm: BatchNorm, precision: Precision) -> Result<(), String> {
        let device = self.parameters.vector().device();
        if precision == Precision::Bf16 && !multiplies_bf16(device) {
            return Err(format!(
                "precision = \"bf16\": {device:?} has no convolution of bf16 (NVIDIA GPUs have it since Ampere, compute \
                 capability 8.0); use \"f32\""
            ));
        }
        // tch does not report a GPU's generation. Before Ampere it computes in f32, which only takes longer.
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

    /// Slots of the head's parameters; those before are the encoder's.
    pub fn head_slots(&self) -> Range<usize> {
        self.encoder_slots..self.parameters.layout().slots().len()
    }

    /// Copies weights and statistics of an `encoder` of the same architecture that has no head.
    pub fn copy_encoder(&mut self, encoder: &Self) {
        tch::no_grad(|| {
            for (own, other) in [(&self.parameters, &encoder.parameters), (&self.statistics, &encoder.statistics)] {
                for (own, other) in own.views().iter().zip(other.views()) {
                    own.shallow_clone().copy_(other);
                }
            }
        });
    }

    pub(super) fn seeded(self, seed: u64) -> Self {
        init::fill(&self.parameters, seed);
        init::fill(&self.statistics, seed);
        self
    }

    /// `[B, 3, H, W]` in [0, 1] to features `[B, F]` by the running statistics, without a graph.
    pub fn features(&self, images: &Tensor) -> Tensor {
        tch::no_grad(|| self.resnet.forward(&Plain::new(images, &self.evaluation_context())).value)
    }

    /// `[B, 3, H, W]` to the head's outputs, `[B, D]`, by the running statistics, with a graph.
    pub fn evaluate(&self, images: &Tensor) -> Tensor {
        self.apply_head(self.resnet.forward(&Plain::new(images, &self.evaluation_context()))).value
    }

    /// For [`evaluate_fused`](Self::evaluate_fused); valid as long as neither weights nor statistics change.
    pub fn fuse(&self) -> FusedBatchNorm {
        FusedBatchNorm::new(&self.parameters, &self.statistics, self.resnet.conv_norms())
    }

    /// As `evaluate`, faster, and equal up to rounding.
    pub fn evaluate_fused(&self, images: &Tensor, fused: &FusedBatchNorm) -> Tensor {
        // Channels-last is the faster memory format on CPUs.
        let images = images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let context = ForwardContext { fused: Some(fused), ..self.evaluation_context() };
        self.apply_head(self.resnet.forward(&Plain::new(&images, &context))).value
    }

    /// A training pass: `[B, 3, H, W]` to the head's outputs, `[B, D]`, with a graph. It updates `statistics`, not the
    /// model's own.
    pub fn project(&self, images: &Tensor, statistics: &FlatTensors) -> Tensor {
        self.forward(&Shard { images, parameters: &self.parameters, statistics }, 1).remove(0)
    }

    pub(super) fn training_context<'a>(&self, shard: &Shard<'a>) -> ForwardContext<'a> {
        let Shard { parameters, statistics, .. } = *shard;
        ForwardContext { parameters, statistics, training: true, precision: self.precision, fused: None }
    }

    pub(super) fn evaluation_context(&self) -> ForwardContext<'_> {
        let (parameters, statistics) = (&self.parameters, &self.statistics);
        ForwardContext { parameters, statistics, training: false, precision: Precision::F32, fused: None }
    }

    pub(super) fn apply_head<S: Activation>(&self, features: S) -> S {
        match &self.head {
            Some(head) => head.forward(&features),
            None => features,
        }
    }
}

impl Network for Model {
    fn parameters(&self) -> &FlatTensors {
        &self.parameters
    }

    fn statistics(&self) -> &FlatTensors {
        &self.statistics
    }

    fn syncs_batch_norm(&self) -> bool {
        self.batch_norm == BatchNorm::Global && !self.encoder_frozen
    }

    fn forward(&self, shard: &Shard<'_>, _: usize) -> Vec<Tensor> {
        let context = self.training_context(shard);
        let features = match (self.encoder_frozen, shard.images.requires_grad()) {
            (false, _) => self.resnet.forward(&Plain::new(shard.images, &context)),
            (true, false) => Plain::new(&self.features(shard.images), &context),
            (true, true) => {
                Plain { context, ..self.resnet.forward(&Plain::new(shard.images, &self.evaluation_context())) }
            }
        };
        vec![self.apply_head(features).value]
    }

    fn forward_synced(&self, shards: &[Shard<'_>], sync: &SyncBatchNorm<'_>, _: usize) -> Vec<Vec<Tensor>> {
        let images = shards.iter().map(|shard| Plain::new(shard.images, &self.training_context(shard))).collect();
        let outputs = self.apply_head(self.resnet.forward(&Synced::new(images, sync)));
        outputs.shards.into_iter().map(|shard| vec![shard.value]).collect()
    }

    fn has_jvp(&self) -> bool {
        !self.syncs_batch_norm()
    }

    fn jvp(&self, shard: &Shard<'_>, tangent: &Tensor, _: usize) -> Option<(Tensor, Tensor)> {
        // The head on a frozen encoder has no BatchNorm, so that evaluation and training are the same to it.
        let context = if self.encoder_frozen { self.evaluation_context() } else { self.training_context(shard) };
        let dual = self.apply_head(self.resnet.forward(&Dual::new(shard.images, tangent, &context)));
        Some((dual.value, dual.tangent))
    }
}

/// Whether the device computes a convolution in bf16, emulated or not. tch cannot tell; this tries one.
fn multiplies_bf16(device: Device) -> bool {
    let ones = || Tensor::f_ones([1, 1, 3, 3], (Kind::BFloat16, device));
    let product = ones().and_then(|x| x.f_conv2d(&ones()?, None::<Tensor>, [1; 2], [1; 2], [1; 2], 1));
    product.and_then(|y| y.f_sum(Kind::Float)).is_ok_and(|sum| sum.double_value(&[]) == 49.0)
}
