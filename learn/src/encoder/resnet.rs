//! ResNet (He et al. 2015) for 32x32 images: a 3x3 stem of stride 1 and no max-pool, as in SimCLR's appendix B.9.
//!
//! `resnet-paper` is the network that produced the paper's figures (its text says a modified ResNet-50): bottlenecks
//! whose *outer* width is 64 to 512, with 1x1 convolution and average pool between the stages; 1.51 M convolution
//! weights. The paper's BatchNorms had a shift and no scale; ours have both.
//!
//! Only structure is here: layers hold indexes into the `FlatTensors` that they run with. Tensors have torchvision's
//! names, so that exported weights load there; those of a transition are `layer2.0.transition.0` and `.1`.

use tandem_collective::Then;
use tandem_domain::spec::Encoder;

use super::activation::Activation;
use super::layer::{ConvLayer, NormLayer};
use crate::flat::{Layout, Role};

/// Stem, four stages of residual blocks, mean over space.
#[derive(Clone, Debug)]
pub struct ResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
    /// First to last; the stem belongs to the first.
    stages: Vec<Stage>,
}

/// Where a stage ends, and how many channels it outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// Number of blocks up to its end.
    blocks: usize,
    /// Number of parameters up to its end, those of earlier stages included.
    pub parameters: usize,
    pub channels: i64,
}

/// A convolution, then BatchNorm.
#[derive(Clone, Copy, Debug)]
struct ConvNorm {
    convolution: ConvLayer,
    norm: NormLayer,
}

/// `body` with ReLU between its layers, added to the input (or its projection), then ReLU.
#[derive(Clone, Debug)]
struct Block {
    /// Comes first: convolution, BatchNorm, ReLU, and the mean of each 2x2 pixels.
    transition: Option<ConvNorm>,
    body: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

/// What distinguishes the networks: channels of the stem and of each stage, blocks in each stage, and their kind.
struct Shape {
    stem: i64,
    channels: [i64; 4],
    blocks: [usize; 4],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Basic,
    /// 1x1 to `channels`, 3x3, 1x1 to four times as many.
    Bottleneck,
    /// 1x1 to a quarter of `channels`, 3x3, 1x1 back. Stages begin with a transition; no block projects its input.
    Thin,
}

impl Shape {
    fn of(encoder: Encoder) -> Self {
        let wide = |blocks, kind| Self { stem: 64, channels: [64, 128, 256, 512], blocks, kind };
        match encoder {
            Encoder::ResNet18 => wide([2, 2, 2, 2], Kind::Basic),
            Encoder::ResNet34 => wide([3, 4, 6, 3], Kind::Basic),
            Encoder::ResNet50 => wide([3, 4, 6, 3], Kind::Bottleneck),
            Encoder::ResNetPaper => wide([3, 4, 6, 3], Kind::Thin),
            Encoder::ResNetTiny => {
                Self { stem: 16, channels: [16, 32, 64, 128], blocks: [1, 1, 1, 1], kind: Kind::Basic }
            }
        }
    }

    fn outputs(&self, channels: i64) -> i64 {
        if self.kind == Kind::Bottleneck { 4 * channels } else { channels }
    }
}

/// The layouts of a network that is being described.
#[derive(Default)]
pub(super) struct Blueprint {
    pub parameters: Layout,
    pub statistics: Layout,
}

impl Blueprint {
    pub(super) fn norm(&mut self, name: &str, channels: i64) -> NormLayer {
        NormLayer {
            weight: self.parameters.add(format!("{name}.weight"), &[channels], Role::NormWeight),
            bias: self.parameters.add(format!("{name}.bias"), &[channels], Role::NormBias),
            mean: self.statistics.add(format!("{name}.running_mean"), &[channels], Role::RunningMean),
            variance: self.statistics.add(format!("{name}.running_var"), &[channels], Role::RunningVariance),
        }
    }

    fn layer(&mut self, conv: &str, norm: &str, [inputs, outputs]: [i64; 2], kernel: i64, stride: i64) -> ConvNorm {
        let shape = [outputs, inputs, kernel, kernel];
        let weight = self.parameters.add(format!("{conv}.weight"), &shape, Role::Convolution);
        let convolution = ConvLayer { weight, stride, padding: kernel / 2 };
        ConvNorm { convolution, norm: self.norm(norm, outputs) }
    }

    fn block(&mut self, name: &str, inputs: i64, channels: i64, stride: i64, kind: Kind) -> Block {
        // ([channels in, channels out], kernel, stride) of each layer; as in torchvision, a bottleneck's 3x3 strides.
        let (outputs, layers) = match kind {
            Kind::Basic => (channels, vec![([inputs, channels], 3, stride), ([channels, channels], 3, 1)]),
            Kind::Bottleneck => {
                let (inner, outputs) = (channels, 4 * channels);
                (outputs, vec![([inputs, inner], 1, 1), ([inner, inner], 3, stride), ([inner, outputs], 1, 1)])
            }
            Kind::Thin => {
                let inner = channels / 4;
                (channels, vec![([channels, inner], 1, 1), ([inner, inner], 3, 1), ([inner, channels], 1, 1)])
            }
        };
        let transition = (kind == Kind::Thin && stride != 1).then(|| {
            self.layer(&format!("{name}.transition.0"), &format!("{name}.transition.1"), [inputs, channels], 1, 1)
        });
        let body = (1..)
            .zip(layers)
            .map(|(i, (io, kernel, stride))| {
                self.layer(&format!("{name}.conv{i}"), &format!("{name}.bn{i}"), io, kernel, stride)
            })
            .collect();
        let downsample = (transition.is_none() && (stride != 1 || inputs != outputs)).then(|| {
            self.layer(&format!("{name}.downsample.0"), &format!("{name}.downsample.1"), [inputs, outputs], 1, stride)
        });
        Block { transition, body, downsample }
    }
}

impl ResNet {
    pub(super) fn describe(encoder: Encoder, plan: &mut Blueprint) -> Option<Self> {
        let shape = Shape::of(encoder);
        let stem = plan.layer("conv1", "bn1", [3, shape.stem], 3, 1);
        let (mut blocks, mut stages) = (Vec::new(), Vec::new());
        let mut inputs = shape.stem;
        for (stage, (&channels, &count)) in shape.channels.iter().zip(&shape.blocks).enumerate() {
            for i in 0..count {
                let stride = if stage > 0 && i == 0 { 2 } else { 1 };
                let name = format!("layer{}.{i}", stage + 1);
                blocks.push(plan.block(&name, inputs, channels, stride, shape.kind));
                inputs = shape.outputs(channels);
            }
            let parameters = plan.parameters.slots().len();
            stages.push(Stage { blocks: blocks.len(), parameters, channels: inputs });
        }
        Some(Self { stem, blocks, stages })
    }

    /// Width of what `forward` returns.
    pub fn features(&self) -> i64 {
        self.stages.last().map_or(0, |stage| stage.channels)
    }

    pub(super) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// All convolutions, each with the BatchNorm after it.
    pub(super) fn conv_norms(&self) -> impl Iterator<Item = (&ConvLayer, &NormLayer)> {
        let all = std::iter::once(&self.stem).chain(self.blocks.iter().flat_map(Block::conv_norms));
        all.map(|layer| (&layer.convolution, &layer.norm))
    }

    /// `[B, 3, H, W]` to `[B, features]`.
    pub(super) fn forward<S: Activation>(&self, images: &S) -> S {
        let mut x = self.stem.forward(images, Then::Relu);
        for block in &self.blocks {
            x = block.forward(x);
        }
        x.global_avg_pool()
    }

    /// `[B, 3, H, W]` to the pooled output of each of the first `count` stages, `[B, channels]`.
    pub(super) fn forward_stages<S: Activation>(&self, images: &S, count: usize) -> Vec<S> {
        let mut x = self.stem.forward(images, Then::Relu);
        let (mut done, mut pooled) = (0, Vec::new());
        for stage in self.stages.iter().take(count) {
            for block in &self.blocks[done..stage.blocks] {
                x = block.forward(x);
            }
            done = stage.blocks;
            pooled.push(x.global_avg_pool());
        }
        pooled
    }
}

impl ConvNorm {
    fn forward<S: Activation>(&self, x: &S, then: Then<&S>) -> S {
        x.conv_norm(&self.convolution, &self.norm, then)
    }
}

impl Block {
    fn conv_norms(&self) -> impl Iterator<Item = &ConvNorm> {
        self.transition.iter().chain(&self.body).chain(&self.downsample)
    }

    fn forward<S: Activation>(&self, x: S) -> S {
        let [body @ .., last] = self.body.as_slice() else { return x };
        let x = match &self.transition {
            Some(unit) => unit.forward(&x, Then::Relu).avg_pool(),
            None => x,
        };
        let y = body.iter().fold(None, |y: Option<S>, unit| Some(unit.forward(y.as_ref().unwrap_or(&x), Then::Relu)));
        let side = self.downsample.as_ref().map(|unit| unit.forward(&x, Then::Nothing));
        last.forward(y.as_ref().unwrap_or(&x), Then::AddRelu(side.as_ref().unwrap_or(&x)))
    }
}
