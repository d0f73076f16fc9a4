//! The network: encoder, projection head, BatchNorm, precision, and recomputation of activations.

use serde::{Deserialize, Serialize};

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
    /// The thin ResNet that produced the paper's figures.
    #[serde(rename = "resnet-paper")]
    ResNetPaper,
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Statistics of each logical shard.
    #[default]
    Shard,
    /// Statistics of the whole batch.
    Global,
}

/// Number format of convolutions. Weights, loss, BatchNorm's statistics and the penalty's norm are always in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    #[default]
    None,
    /// Only one shard's activations are kept at a time, and each shard's forward pass runs twice. With global BatchNorm
    /// all shards of a rank run together.
    Shards,
}
