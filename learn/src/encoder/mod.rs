//! The network f of the paper, in reading order: `activation` is what flows through the `layer`s, `resnet` and `head` the
//! layers, `init` its first weights; `model` is an encoder with a head, `layerwise` one with a head on each stage.
//! `dual` and `synced` are the other activations: with a tangent, and across shards. `fused` is BatchNorm in evaluation.

mod activation;
mod dual;
mod fused;
mod head;
mod init;
mod layer;
mod layerwise;
mod model;
mod resnet;
mod synced;

pub use fused::FusedBatchNorm;
pub use head::{FullyConnected, Head, HeadShape, Projection};
pub use layerwise::LayerwiseModel;
pub use model::Model;
pub use resnet::ResNet;

#[cfg(test)]
mod tests;
