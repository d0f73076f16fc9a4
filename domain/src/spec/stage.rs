//! What each stage needs. Defaults are SimCLR's (Chen et al. 2020, appendix B.9) unless a comment says otherwise.

use serde::{Deserialize, Serialize};

/// What kind of work a job is, with exactly that kind's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum Stage {
    Contrastive(Contrastive),
    Supervised(Supervised),
    Linear(Linear),
    Finetune(Finetune),
    Attack(Attack),
}

impl Stage {
    /// The word a person writes after `stage =`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Contrastive(_) => "contrastive",
            Self::Supervised(_) => "supervised",
            Self::Linear(_) => "linear",
            Self::Finetune(_) => "finetune",
            Self::Attack(_) => "attack",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoder {
    #[serde(rename = "resnet18")]
    ResNet18,
    #[serde(rename = "resnet34")]
    ResNet34,
    #[serde(rename = "resnet50")]
    ResNet50,
    /// Stem 16, one basic block each of 16/32/64/128 channels, strides 1/2/2/2: for CPUs.
    #[serde(rename = "resnet-tiny")]
    ResNetTiny,
    /// The thin net that produced the paper's figures.
    #[serde(rename = "resnet-paper")]
    ResNetPaper,
}

/// Contrastive pretraining (paper, eq. 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrastive {
    pub encoder: Encoder,
    pub epochs: u32,
    /// Images a step; two views of each.
    pub batch_size: u32,
    #[serde(default = "half")]
    pub temperature: f64,
    /// Keep k = i in the denominator of eq. (1), as printed; SimCLR leaves it out.
    #[serde(default)]
    pub self_term: bool,
    #[serde(default)]
    pub head: Head,
    #[serde(default)]
    pub optimizer: Optimizer,
    #[serde(default)]
    pub augment: Augment,
    #[serde(default)]
    pub batch_norm: BatchNorm,
    #[serde(default)]
    pub tikhonov: Tikhonov,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layerwise: Option<Layerwise>,
    #[serde(default)]
    pub monitor: Monitor,
    /// Steps between checkpoints; 0 is one at the end of each epoch.
    #[serde(default)]
    pub checkpoint_steps: u32,
}

/// Projection head: linear, BatchNorm, ReLU, linear. `hidden = 0` is the encoder's own width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Head {
    pub hidden: u32,
    pub output: u32,
}

impl Default for Head {
    fn default() -> Self {
        Self { hidden: 0, output: 128 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    Sgd,
    Lars,
    Adam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    Constant,
    Cosine,
}

/// `lr` is the peak value itself; nothing is rescaled by the batch size behind the user's back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    pub name: OptimizerName,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    /// LARS trust coefficient (eta); ignored by the others.
    pub trust: f64,
    /// Linear from 0, in epochs; fractions are allowed.
    pub warmup_epochs: f64,
    /// After the warm-up, counted in steps; cosine reaches 0 just after the last one.
    pub schedule: Schedule,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            name: OptimizerName::Lars,
            lr: 1.0,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-6,
            trust: 1e-3,
            warmup_epochs: 10.0,
            schedule: Schedule::Cosine,
        }
    }
}

/// Random crop and resize, flip, colour jitter, grayscale: the set T of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Smallest share of the image's area that a crop keeps; the largest is 1.
    pub crop_area_min: f64,
    pub flip: f64,
    /// Probability that the colours are jittered at all.
    pub jitter: f64,
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    /// Largest turn of the hue circle, 0.5 being half of it.
    pub hue: f64,
    pub gray: f64,
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
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Statistics of each logical shard.
    #[default]
    Shard,
    /// Statistics of the whole batch.
    Global,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PenaltyMethod {
    Exact,
    FiniteDifference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyScaling {
    /// Eq. (2).
    PerSample,
    /// Eq. (3).
    BatchSum,
    /// What the code behind the paper's Table 2 computed: lambda / N².
    PaperCode,
}

/// Input-gradient penalty (eqs. 2 and 3); lambda 0 is off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tikhonov {
    pub lambda: f64,
    pub method: PenaltyMethod,
    pub scaling: PenaltyScaling,
    /// Step of the finite difference, in pixel units of [0, 1].
    pub h: f64,
}

impl Default for Tikhonov {
    fn default() -> Self {
        Self { lambda: 0.0, method: PenaltyMethod::Exact, scaling: PenaltyScaling::BatchSum, h: 1e-2 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolate {
    #[default]
    None,
    Detach,
    Overlap,
}

/// Layer-by-layer losses (eqs. 4 and 5): `alpha` weighs the losses, `beta` their penalties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layerwise {
    pub alpha: Vec<f64>,
    #[serde(default)]
    pub beta: Vec<f64>,
    #[serde(default)]
    pub isolate: Isolate,
    /// Accept weights that do not grow with depth (an ablation).
    #[serde(default)]
    pub force: bool,
}

/// kNN, alignment, uniformity and collapse, on a held-out part of the training set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Epochs between looks; 0 is never.
    pub every_epochs: u32,
    pub neighbours: u32,
    /// Images in the bank; a quarter as many are asked about.
    pub bank: u32,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { every_epochs: 1, neighbours: 20, bank: 4096 }
    }
}

/// A classifier from scratch on a share of the labels (the paper's baseline).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervised {
    pub encoder: Encoder,
    pub epochs: u32,
    #[serde(default = "b128")]
    pub batch_size: u32,
    #[serde(default = "one")]
    pub label_fraction: f64,
    #[serde(default)]
    pub optimizer: Optimizer,
    #[serde(default)]
    pub tikhonov: Tikhonov,
    #[serde(default)]
    pub batch_norm: BatchNorm,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinearSolver {
    /// L-BFGS on features computed once, standardised by the labelled subset.
    #[default]
    Lbfgs,
    /// SimCLR's protocol: crop and flip, Nesterov SGD.
    Sgd,
}

/// Logistic regression on the frozen encoder (the paper's stage 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Passes over the labelled subset; for L-BFGS the most iterations.
    #[serde(default = "hundred")]
    pub epochs: u32,
    #[serde(default = "one")]
    pub label_fraction: f64,
    #[serde(default)]
    pub solver: LinearSolver,
    /// Coefficient of half the squared weights, beside the mean cross-entropy. Without one it is chosen on held-out
    /// parts of the labelled subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ridge: Option<f64>,
}

/// The whole network on a share of the labels, starting from a pretrained encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    #[serde(default = "hundred")]
    pub epochs: u32,
    #[serde(default = "b128")]
    pub batch_size: u32,
    #[serde(default = "one")]
    pub label_fraction: f64,
    /// Fully connected layers of the classifier: 1 or 2 (the paper's has 2, with ReLU).
    #[serde(default = "two")]
    pub head_layers: u32,
    #[serde(default)]
    pub optimizer: Optimizer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttackMethod {
    Plb,
    Pgd,
    Apgd,
    Square,
    Fab,
    BestOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    L0,
    L1,
    L2,
    Linf,
}

/// Adversarial examples against the classifier of a linear, supervised or fine-tuned job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    pub attack: AttackMethod,
    pub norm: Norm,
    /// Test images attacked; 0 is all of them.
    #[serde(default)]
    pub images: u32,
}

fn half() -> f64 {
    0.5
}
fn one() -> f64 {
    1.0
}
fn two() -> u32 {
    2
}
fn hundred() -> u32 {
    100
}
fn b128() -> u32 {
    128
}
