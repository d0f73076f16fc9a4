//! The cost of an encoder, counted layer by layer.
//!
//! ResNet (He et al. 2015) on 32x32 images with a 3x3 stem of stride 1 and no max-pool, as `learn` builds it. The
//! figures agree with published ones (see the test).

use crate::spec::{Encoder, Head, HeadNorm};

/// Side of the images: all data sets are resized to it.
const SIDE: u64 = 32;

/// Cost of one network, summed over its layers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub parameters: u64,
    /// Multiply-accumulates of one forward pass of one image.
    pub macs: u64,
    /// Numbers kept for the backward pass of one image: the outputs of convolutions and of BatchNorms with their ReLU.
    pub saved: u64,
    /// Numbers in the largest feature map of one image.
    pub largest: u64,
    pub stages: [StageEnd; 4],
    features: u64,
}

/// The network up to the end of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StageEnd {
    pub macs: u64,
    pub saved: u64,
    channels: u64,
}

impl Cost {
    /// Convolution without bias, then BatchNorm, on a map of `side` x `side`; returns the side of the output.
    fn unit(&mut self, inputs: u64, outputs: u64, kernel: u64, stride: u64, side: u64) -> u64 {
        let side = side.div_ceil(stride);
        let weights = inputs * outputs * kernel * kernel;
        self.parameters += weights + 2 * outputs;
        self.macs += weights * side * side;
        self.saved += 2 * outputs * side * side;
        self.largest = self.largest.max(outputs * side * side);
        self.features = outputs;
        side
    }

    /// Records the cost so far as that of the network up to the end of `stage`, 0 to 3.
    fn end_stage(&mut self, stage: usize) {
        self.stages[stage] = StageEnd { macs: self.macs, saved: self.saved, channels: self.features };
    }

    /// Adds linear, BatchNorm, ReLU for each hidden layer, then linear and, if it says so, BatchNorm.
    pub(super) fn with_head(mut self, head: Head) -> Self {
        self.add_head(head, self.features);
        self.features = head.output.into();
        self
    }

    /// As [`Self::with_head`], with a head on the mean of each earlier stage's map too (eq. 4).
    pub(super) fn with_layer_heads(mut self, head: Head) -> Self {
        for stage in 0..self.stages.len() - 1 {
            self.add_head(head, self.stages[stage].channels);
        }
        self.with_head(head)
    }

    fn add_head(&mut self, head: Head, features: u64) {
        let hidden = if head.hidden == 0 { features } else { u64::from(head.hidden) };
        let (output, layers) = (u64::from(head.output), u64::from(head.layers) - 1);
        let weights = features * hidden + (layers - 1) * hidden * hidden + hidden * output;
        // A bias, or BatchNorm's two vectors.
        let last = if head.norm == HeadNorm::All { 2 * output } else { output };
        self.parameters += weights + 2 * layers * hidden + last;
        self.macs += weights;
        self.saved += 2 * layers * hidden + last;
    }

    /// Adds the fully connected layers of a classifier; two have a hidden layer of the encoder's width and ReLU.
    pub(super) fn with_classifier(mut self, layers: u32, classes: u64) -> Self {
        if layers > 1 {
            self.add_linear(self.features);
        }
        self.add_linear(classes);
        self
    }

    fn add_linear(&mut self, outputs: u64) {
        self.parameters += (self.features + 1) * outputs;
        self.macs += self.features * outputs;
        self.saved += outputs;
        self.features = outputs;
    }

    pub(super) fn features(&self) -> u64 {
        self.features
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

/// The net behind the paper's figures: bottlenecks; between stages a 1x1 convolution, then the mean of 2x2 pixels.
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
        cost.end_stage(stage);
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
        cost.end_stage(stage);
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
    fn stages_end_where_the_map_shrinks() {
        let tiny = cost(Encoder::ResNetTiny).unwrap();
        // Stem and two convolutions of 16 channels on 32x32.
        assert_eq!(tiny.stages[0].macs, (3 * 16 * 9 + 2 * 16 * 16 * 9) * 1024);
        assert_eq!(tiny.stages[0].saved, 2 * 3 * 16 * 1024);
        assert_eq!((tiny.stages[3].macs, tiny.stages[3].saved), (tiny.macs, tiny.saved));
        assert_eq!(tiny.stages.map(|stage| stage.channels), [16, 32, 64, 128]);
        assert_eq!(tiny.largest, 16 * 1024);
        let thin = cost(Encoder::ResNetPaper).unwrap();
        assert_eq!(thin.stages.map(|stage| stage.channels), [64, 128, 256, 512]);
        assert_eq!(thin.stages[3].macs, thin.macs);
    }

    #[test]
    fn heads_on_each_stage_and_classifiers() {
        let tiny = cost(Encoder::ResNetTiny).unwrap();
        let head = Head { output: 10, ..Head::default() };
        let weights = |width: u64| width * width + 2 * width + width * 10 + 10;
        let added = tiny.with_layer_heads(head).parameters - tiny.parameters;
        assert_eq!(added, [16, 32, 64, 128].map(weights).iter().sum::<u64>());
        assert_eq!(tiny.with_head(head).parameters - tiny.parameters, weights(128));
        // Linear, BatchNorm, linear, BatchNorm, linear without bias, BatchNorm.
        let deep = tiny.with_head(Head { hidden: 40, output: 10, layers: 3, norm: HeadNorm::All });
        let products = 128 * 40 + 40 * 40 + 40 * 10;
        assert_eq!(deep.parameters - tiny.parameters, products + 2 * 40 + 2 * 40 + 2 * 10);
        assert_eq!(deep.macs - tiny.macs, products);
        assert_eq!(deep.saved - tiny.saved, 2 * (40 + 40 + 10));
        assert_eq!(tiny.with_classifier(1, 10).parameters - tiny.parameters, 129 * 10);
        assert_eq!(tiny.with_classifier(2, 10).parameters - tiny.parameters, 129 * 128 + 129 * 10);
    }

    #[test]
    fn saved_activations_of_one_image() {
        // 4.9 MB and 27.5 MB in f32 (conv outputs and BatchNorm/ReLU outputs).
        assert!(near(4 * cost(Encoder::ResNet18).unwrap().saved, 4.9e6), "{:?}", cost(Encoder::ResNet18));
        assert!(near(4 * cost(Encoder::ResNet50).unwrap().saved, 27.5e6), "{:?}", cost(Encoder::ResNet50));
    }
}
