//! What an encoder costs, counted layer by layer.
//!
//! ResNet (He et al. 2015) on 32x32 images with a 3x3 stem of stride 1 and no max-pool, as `learn` builds it. The
//! figures agree with published ones (see the test).

use crate::spec::{Encoder, Head};

/// Side of the images that every data set is brought to.
const SIDE: u64 = 32;

/// Cost of one network; sums over its layers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub parameters: u64,
    /// Multiply-accumulates of one forward pass of one image.
    pub macs: u64,
    /// Numbers kept for the backward pass of one image: the outputs of convolutions and of BatchNorms with their ReLU.
    pub saved: u64,
    /// Width of the output.
    features: u64,
}

impl Cost {
    /// Convolution without bias, then BatchNorm, on a map of `side` x `side`; returns the side of the output.
    fn unit(&mut self, inputs: u64, outputs: u64, kernel: u64, stride: u64, side: u64) -> u64 {
        let side = side.div_ceil(stride);
        let weights = inputs * outputs * kernel * kernel;
        self.parameters += weights + 2 * outputs;
        self.macs += weights * side * side;
        self.saved += 2 * outputs * side * side;
        self.features = outputs;
        side
    }

    /// Adds linear, BatchNorm, ReLU, linear.
    pub(super) fn with_head(mut self, head: Head) -> Self {
        let hidden = if head.hidden == 0 { self.features } else { u64::from(head.hidden) };
        let output = u64::from(head.output);
        let weights = self.features * hidden + hidden * output;
        self.parameters += weights + 2 * hidden + output;
        self.macs += weights;
        self.saved += 2 * hidden + output;
        self.features = output;
        self
    }
}

pub(super) fn cost(encoder: Encoder) -> Option<Cost> {
    const WIDE: [u64; 5] = [64, 64, 128, 256, 512];
    match encoder {
        Encoder::ResNet18 => Some(resnet(WIDE, [2, 2, 2, 2], false)),
        Encoder::ResNet34 => Some(resnet(WIDE, [3, 4, 6, 3], false)),
        Encoder::ResNet50 => Some(resnet(WIDE, [3, 4, 6, 3], true)),
        Encoder::ResNetTiny => Some(resnet([16, 16, 32, 64, 128], [1, 1, 1, 1], false)),
        Encoder::ResNetPaper => Some(thin(WIDE, [3, 4, 6, 3])),
    }
}

/// The net behind the paper's figures: bottlenecks within a stage, and between stages a 1x1 convolution on the larger
/// map, then the mean of each 2x2 pixels.
fn thin([stem, stages @ ..]: [u64; 5], blocks: [u64; 4]) -> Cost {
    let mut cost = Cost::default();
    let mut side = cost.unit(3, stem, 3, 1, SIDE);
    let mut inputs = stem;
    for (stage, (channels, count)) in stages.into_iter().zip(blocks).enumerate() {
        if stage > 0 {
            cost.unit(inputs, channels, 1, 1, side);
            side /= 2;
        }
        for _ in 0..count {
            cost.unit(channels, channels / 4, 1, 1, side);
            cost.unit(channels / 4, channels / 4, 3, 1, side);
            cost.unit(channels / 4, channels, 1, 1, side);
        }
        inputs = channels;
    }
    cost
}

fn resnet([stem, stages @ ..]: [u64; 5], blocks: [u64; 4], bottleneck: bool) -> Cost {
    let mut cost = Cost::default();
    let mut side = cost.unit(3, stem, 3, 1, SIDE);
    let mut inputs = stem;
    for (stage, (channels, count)) in stages.into_iter().zip(blocks).enumerate() {
        let outputs = if bottleneck { 4 * channels } else { channels };
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            if stride != 1 || inputs != outputs {
                cost.unit(inputs, outputs, 1, stride, side);
            }
            side = if bottleneck {
                cost.unit(inputs, channels, 1, 1, side);
                let side = cost.unit(channels, channels, 3, stride, side);
                cost.unit(channels, outputs, 1, 1, side)
            } else {
                let side = cost.unit(inputs, channels, 3, stride, side);
                cost.unit(channels, channels, 3, 1, side)
            };
            inputs = outputs;
        }
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(ours: u64, published: f64) -> bool {
        (ours as f64 / published - 1.0).abs() < 0.03
    }

    #[test]
    fn agrees_with_published_figures() {
        let head = Head::default();
        let small = cost(Encoder::ResNet18).unwrap();
        assert!(near(small.macs, 0.555e9), "{small:?}");
        assert!(near(small.with_head(head).parameters, 11.5e6), "{:?}", small.with_head(head));
        // SimCLR's CIFAR ResNet-50: 1.30 G multiply-accumulates, 23.5 M weights, 28.0 M with the head.
        let large = cost(Encoder::ResNet50).unwrap();
        assert!(near(large.macs, 1.298e9) && near(large.parameters, 23.5e6), "{large:?}");
        assert!(near(large.with_head(head).parameters, 28.0e6), "{:?}", large.with_head(head));
    }

    #[test]
    fn agrees_with_hand_counts() {
        let tiny = cost(Encoder::ResNetTiny).unwrap();
        let convolutions = 3 * 16 * 9
            + (16 * 16 + 16 * 16) * 9
            + (16 * 32 + 32 * 32) * 9
            + 16 * 32
            + (32 * 64 + 64 * 64) * 9
            + 32 * 64
            + (64 * 128 + 128 * 128) * 9
            + 64 * 128;
        let norms = 2 * (16 + 2 * 16 + 3 * (32 + 64 + 128));
        assert_eq!(tiny.parameters, convolutions + norms);
        assert_eq!(tiny.features, 128);
    }

    /// The paper's net has 1.51 M convolution weights and takes 98 M multiply-accumulates.
    #[test]
    fn the_papers_net_is_thin() {
        let cost = cost(Encoder::ResNetPaper).unwrap();
        let norms = 64 + 3 * (2 * 16 + 64) + 4 * (2 * 32 + 128) + 6 * (2 * 64 + 256) + 3 * (2 * 128 + 512);
        let transitions = 128 + 256 + 512;
        assert_eq!(cost.parameters, 1_509_824 + 2 * (norms + transitions));
        assert!(near(cost.macs, 98.2e6), "{cost:?}");
        assert_eq!(cost.features, 512);
    }

    #[test]
    fn saved_activations_of_one_image() {
        // 4.9 MB and 27.5 MB in f32 (conv outputs and BatchNorm/ReLU outputs).
        assert!(near(4 * cost(Encoder::ResNet18).unwrap().saved, 4.9e6), "{:?}", cost(Encoder::ResNet18));
        assert!(near(4 * cost(Encoder::ResNet50).unwrap().saved, 27.5e6), "{:?}", cost(Encoder::ResNet50));
    }
}
