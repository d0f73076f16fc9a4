//! What each stage needs. Defaults are SimCLR's (Chen et al. 2020, appendix B.9) unless a comment says otherwise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    attack::Attack,
    network::{BatchNorm, Encoder, Head, Precision, Recompute, ViewPasses},
    optimizer::{Optimizer, over_finetune, over_linear, over_supervised},
    penalty::{Layerwise, PenaltyMethod, Tikhonov},
};

/// The kind of a job, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum Stage {
    Contrastive(Contrastive),
    Supervised(Supervised),
    Linear(Linear),
    Finetune(Finetune),
    Attack(Attack),
}

impl Stage {
    /// The word after `stage =` in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Contrastive(_) => "contrastive",
            Self::Supervised(_) => "supervised",
            Self::Linear(_) => "linear",
            Self::Finetune(_) => "finetune",
            Self::Attack(_) => "attack",
        }
    }

    /// Number format of its convolutions.
    pub fn precision(&self) -> Precision {
        match self {
            Self::Contrastive(stage) => stage.precision,
            Self::Supervised(stage) => stage.precision,
            Self::Finetune(stage) => stage.precision,
            Self::Linear(_) | Self::Attack(_) => Precision::F32,
        }
    }

    /// Whether a penalty would be differentiated by a finite difference of passes in bf16, which is noise.
    pub fn differences_in_bf16(&self) -> bool {
        let (tikhonov, betas) = match self {
            Self::Contrastive(stage) => {
                let layerwise = stage.layerwise.as_ref().map(|layerwise| layerwise.betas(&stage.tikhonov));
                (&stage.tikhonov, layerwise.unwrap_or_default())
            }
            Self::Supervised(stage) => (&stage.tikhonov, Vec::new()),
            Self::Finetune(stage) => (&stage.tikhonov, Vec::new()),
            Self::Linear(_) | Self::Attack(_) => return false,
        };
        let penalised = tikhonov.lambda != 0.0 || betas.iter().any(|beta| *beta != 0.0);
        penalised && tikhonov.method == PenaltyMethod::FiniteDifference && self.precision() == Precision::Bf16
    }
}

/// Contrastive pretraining (paper, eq. 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contrastive {
    /// The network that is trained.
    pub encoder: Encoder,
    /// Passes over the training images.
    pub epochs: u32,
    /// Images per step, with two views of each.
    pub batch_size: u32,
    /// By which similarities are divided before the softmax (tau of eq. 1).
    #[serde(default = "half")]
    pub temperature: f64,
    /// Keep k = i in the denominator of eq. (1), as printed; SimCLR leaves it out.
    #[serde(default)]
    pub self_term: bool,
    /// Projection head on the encoder, thrown away after training.
    #[serde(default)]
    pub head: Head,
    /// How the weights move.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Random changes that make two views of an image.
    #[serde(default)]
    pub augment: Augment,
    /// Over which images BatchNorm normalises.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// How the two views go through the network.
    #[serde(default, skip_serializing_if = "ViewPasses::is_default")]
    #[schemars(extend("default" = "together"))]
    pub views: ViewPasses,
    /// Number format of convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Which activations are computed twice to save memory.
    #[serde(default)]
    pub recompute: Recompute,
    /// Input-gradient penalty (eq. 3); off by default.
    #[serde(default)]
    pub tikhonov: Tikhonov,
    /// Losses on each stage of the encoder (eqs. 4, 5); left out: on the last one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layerwise: Option<Layerwise>,
    /// kNN accuracy while it trains.
    #[serde(default)]
    pub monitor: Monitor,
    /// Fraction of the training images that is held out: the encoder whose contrastive loss on them is the lowest, at the end
    /// of an epoch, is kept. 0 holds nothing out and keeps the last.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = 0.0))]
    pub validation: f64,
    /// End the job when the embeddings collapse; otherwise a note is reported, and it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub stop_on_collapse: bool,
    /// Images in the exported pictures: their views, their nearest neighbours; with an embedding in two dimensions. 0: none.
    #[serde(default, skip_serializing_if = "is_none")]
    #[schemars(extend("default" = 0))]
    pub pictures: u32,
    /// Steps between checkpoints. Without this and minutes: at the end of each epoch, and every ten minutes.
    #[serde(default)]
    pub checkpoint_steps: u32,
    /// Minutes between checkpoints; 0 is off. With steps as well, whichever is due first.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = 0.0))]
    pub checkpoint_minutes: f64,
}

/// Random crop and resize, flip, colour jitter, grayscale: the set T of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Smallest fraction of the image's area that a crop keeps; the largest is 1.
    pub crop_area_min: f64,
    /// Probability of a mirror image.
    pub flip: f64,
    /// Probability that the colours are jittered at all.
    pub jitter: f64,
    /// Largest change of brightness, as a fraction.
    pub brightness: f64,
    /// Largest change of contrast, as a fraction.
    pub contrast: f64,
    /// Largest change of saturation, as a fraction.
    pub saturation: f64,
    /// Largest shift of hue; 0.5 is half the circle.
    pub hue: f64,
    /// Probability that the colours are replaced by gray.
    pub gray: f64,
    /// How much of each channel that gray has.
    #[serde(skip_serializing_if = "GrayWeights::is_default")]
    #[schemars(extend("default" = "luma"))]
    pub gray_weights: GrayWeights,
}

/// The channels' shares in the gray that replaces the colours of an image. Contrast and saturation always go by luma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrayWeights {
    /// 0.2989, 0.587, 0.114, as in torchvision.
    #[default]
    Luma,
    /// A third each, as in the code behind the paper's Table 2.
    Mean,
}

impl GrayWeights {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            crop_area_min: 0.08,
            flip: 0.5,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
            gray: 0.2,
            gray_weights: GrayWeights::default(),
        }
    }
}

/// kNN accuracy on training images, without the test set: some random images are the bank, others are classified.
/// Pretraining sees all of them, without labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Epochs between measurements; 0 is never.
    pub every_epochs: u32,
    /// Neighbours that vote.
    pub neighbours: u32,
    /// Images in the bank; a quarter as many are classified.
    pub bank: u32,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { every_epochs: 1, neighbours: 20, bank: 4096 }
    }
}

/// Augmentation of a classifier's training images: a shift by up to `pad` pixels over black, and a flip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PadCrop {
    /// Largest shift in pixels.
    pub pad: u32,
    /// Probability of a mirror image.
    pub flip: f64,
}

impl Default for PadCrop {
    fn default() -> Self {
        Self { pad: 4, flip: 0.5 }
    }
}

/// A classifier from scratch on a fraction of the labels (the paper's baseline).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Supervised {
    /// The network that is trained.
    pub encoder: Encoder,
    /// Passes over the labelled images that are not held out.
    #[serde(default = "number::<200>")]
    pub epochs: u32,
    /// A budget in steps in place of epochs, so that few labels get as many updates as all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Images per step.
    #[serde(default = "number::<128>")]
    pub batch_size: u32,
    /// Share of the labels that it sees, equal in each class; the other images are left out.
    #[serde(default = "one")]
    pub label_fraction: f64,
    /// How the weights move.
    #[serde(default = "Optimizer::supervised", deserialize_with = "over_supervised")]
    pub optimizer: Optimizer,
    /// Random changes of the training images.
    #[serde(default)]
    pub augment: PadCrop,
    /// Input-gradient penalty (eq. 2); off by default.
    #[serde(default)]
    pub tikhonov: Tikhonov,
    /// Over which images BatchNorm normalises.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// Number format of convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Fraction of the labelled images that is held out to choose between the best epoch and the last. The last is kept
    /// unless the held-out images show a difference; 0 always keeps the last.
    #[serde(default = "tenth")]
    pub validation: f64,
    /// Steps between checkpoints. Without this and minutes: at the end of each epoch, and every ten minutes; with a budget in
    /// `steps`, at most 50 ends of epochs count.
    #[serde(default)]
    pub checkpoint_steps: u32,
    /// Minutes between checkpoints; 0 is off. With steps as well, whichever is due first.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = 0.0))]
    pub checkpoint_minutes: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinearSolver {
    /// L-BFGS on features that are computed once and standardised by the labelled subset.
    #[default]
    Lbfgs,
    /// SimCLR's protocol: random crop and flip, Nesterov SGD.
    Sgd,
}

/// Logistic regression on the frozen encoder (the paper's stage 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Passes over the labelled subset; for L-BFGS the most iterations, 500 where a file says nothing.
    #[serde(default = "number::<100>")]
    pub epochs: u32,
    /// Share of the labels that it sees, equal in each class; the other images are left out.
    #[serde(default = "one")]
    pub label_fraction: f64,
    /// How the regression is solved.
    #[serde(default)]
    pub solver: LinearSolver,
    /// Coefficient of half the squared weights, added to the mean cross-entropy. Left out: chosen on held-out parts of
    /// the labelled subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ridge: Option<f64>,
    /// Images per step; only for `solver = "sgd"`.
    #[serde(default = "number::<512>")]
    pub batch_size: u32,
    /// How the weights move; only for `solver = "sgd"`.
    #[serde(default = "Optimizer::linear", deserialize_with = "over_linear")]
    pub optimizer: Optimizer,
    /// Smallest share of the image's area that a crop keeps; only for `solver = "sgd"`.
    #[serde(default = "eight_hundredths")]
    pub crop_area_min: f64,
}

/// The whole network on a fraction of the labels, from a pretrained encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// Passes over the labelled images that are not held out.
    #[serde(default = "number::<100>")]
    pub epochs: u32,
    /// A budget in steps in place of epochs, so that few labels get as many updates as all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Images per step.
    #[serde(default = "number::<128>")]
    pub batch_size: u32,
    /// Share of the labels that it sees, equal in each class; the other images are left out.
    #[serde(default = "one")]
    pub label_fraction: f64,
    /// Fully connected layers of the classifier: 1 or 2 (the paper's has 2, with ReLU).
    #[serde(default = "number::<2>")]
    pub head_layers: u32,
    /// Epochs at the start that train only the head.
    #[serde(default)]
    pub head_epochs: f64,
    /// The head learns at the full rate, each stage of the encoder at this fraction of the rate of the one above it.
    #[serde(default = "one")]
    pub rate_decay: f64,
    /// How the weights move.
    #[serde(default = "Optimizer::finetune", deserialize_with = "over_finetune")]
    pub optimizer: Optimizer,
    /// Random changes of the training images.
    #[serde(default)]
    pub augment: PadCrop,
    /// Input-gradient penalty (eq. 2); off by default.
    #[serde(default)]
    pub tikhonov: Tikhonov,
    /// Over which images BatchNorm normalises.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// Number format of convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Fraction of the labelled images that is held out to choose between the best epoch and the last; 0 keeps the last.
    #[serde(default = "tenth")]
    pub validation: f64,
    /// Steps between checkpoints, as of a supervised job.
    #[serde(default)]
    pub checkpoint_steps: u32,
    /// Minutes between checkpoints; 0 is off. With steps as well, whichever is due first.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = 0.0))]
    pub checkpoint_minutes: f64,
}

/// Whether a newer key has its default: it is left out then, so the content of earlier jobs is unchanged.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// As [`is_zero`].
fn is_none(value: &u32) -> bool {
    *value == 0
}

fn number<const N: u32>() -> u32 {
    N
}
fn half() -> f64 {
    0.5
}
fn one() -> f64 {
    1.0
}
fn tenth() -> f64 {
    0.1
}
fn eight_hundredths() -> f64 {
    0.08
}

#[cfg(test)]
mod tests;
