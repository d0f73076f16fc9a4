//! The network f of the paper: encoder (`resnet`), what stands on it (`head`), and how their weights begin (`init`).

mod activation;
mod dual;
mod fused;
mod head;
mod init;
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
