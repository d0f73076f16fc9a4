//! The network: encoder, projection head, BatchNorm, precision, and recomputation of activations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Encoder {
    /// With a stem for images of 32x32: 11.2 million parameters, features of 512.
    #[serde(rename = "resnet18")]
    ResNet18,
    /// 21.3 million parameters, features of 512.
    #[serde(rename = "resnet34")]
    ResNet34,
    /// 23.5 million parameters, features of 2048.
    #[serde(rename = "resnet50")]
    ResNet50,
    /// Stem 16, one basic block each of 16/32/64/128 channels, strides 1/2/2/2: for CPUs.
    #[serde(rename = "resnet-tiny")]
    ResNetTiny,
    /// The thin ResNet that produced the paper's figures.
    #[serde(rename = "resnet-paper")]
    ResNetPaper,
}

/// Projection head: linear, BatchNorm, ReLU, linear. `hidden = 0` is the encoder's own width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Head {
    /// Width between its layers; 0 is the encoder's own.
    pub hidden: u32,
    /// Width of the embeddings that the loss compares.
    pub output: u32,
    /// Linear layers: 2, or 3 as in SimCLR v2 (Chen et al. 2020b).
    #[serde(skip_serializing_if = "is_two")]
    #[schemars(extend("default" = 2))]
    pub layers: u32,
    /// Where it has BatchNorm.
    #[serde(skip_serializing_if = "HeadNorm::is_default")]
    #[schemars(extend("default" = "hidden"))]
    pub norm: HeadNorm,
}

impl Default for Head {
    fn default() -> Self {
        Self { hidden: 0, output: 128, layers: 2, norm: HeadNorm::default() }
    }
}

/// Where a projection head has BatchNorm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeadNorm {
    /// After each layer but the last, which has a bias.
    #[default]
    Hidden,
    /// After the last one too, which then has no bias, as in SimCLR's code. (There the last BatchNorm scales only; here it
    /// shifts as well.)
    All,
}

impl HeadNorm {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a newer key has its default: it is left out then, so the content of earlier jobs is unchanged.
fn is_two(layers: &u32) -> bool {
    *layers == 2
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Statistics of each logical shard.
    #[default]
    Shard,
    /// Statistics of the whole batch.
    Global,
}

/// How the two views of a batch go through the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ViewPasses {
    /// In one pass, so that BatchNorm normalises both together, as in SimCLR.
    #[default]
    Together,
    /// In two passes, one after the other: BatchNorm normalises each view by its own statistics, and the running statistics
    /// move twice a step, as in the code behind the paper.
    Apart,
}

impl ViewPasses {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Number format of convolutions. Weights, loss, BatchNorm's statistics and the penalty's norm are always in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// On GPUs too, where libtorch's default is TF32.
    #[default]
    F32,
    /// CUDA rounds the factors of convolutions and matrix products to 10 bits of mantissa, in the whole job. GPUs
    /// before Ampere compute in f32; CPUs refuse it.
    Tf32,
    /// In training, on devices that have it; evaluation is in f32.
    Bf16,
}

/// Which activations are computed twice to save memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// None of them: the fastest.
    #[default]
    None,
    /// Only one shard's activations are kept at a time, and each shard's forward pass runs twice. With global BatchNorm
    /// all shards of a rank run together.
    Shards,
}
