//! What stands on the encoder: the projection head g of pretraining, or a classifier's fully connected layers.

use serde::{Deserialize, Serialize};
use tandem_collective::Then;
use tandem_domain::spec::{self, HeadNorm};

use super::activation::Activation;
use super::layer::NormLayer;
use super::resnet::Blueprint;
use crate::flat::Role;

/// The head to build, as an artifact's card records it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HeadShape {
    Projection(spec::Head),
    /// ReLU between layers; hidden layers are as wide as the features.
    FullyConnected {
        layers: u32,
        classes: u32,
    },
}

impl From<spec::Head> for HeadShape {
    fn from(head: spec::Head) -> Self {
        Self::Projection(head)
    }
}

/// A head's layers, as slots of the parameters.
#[derive(Clone, Debug)]
pub enum Head {
    Projection(Projection),
    FullyConnected(FullyConnected),
}

impl Head {
    pub(super) fn describe(shape: HeadShape, features: i64, plan: &mut Blueprint) -> Self {
        match shape {
            HeadShape::Projection(head) => Self::Projection(Projection::describe("head", head, features, plan)),
            HeadShape::FullyConnected { layers, classes } => {
                Self::FullyConnected(FullyConnected::describe(layers, classes.into(), features, plan))
            }
        }
    }

    /// `[B, features]` to projections or logits, `[B, D]`.
    pub(super) fn forward<S: Activation>(&self, features: &S) -> S {
        match self {
            Self::Projection(head) => head.forward(features),
            Self::FullyConnected(head) => head.forward(features),
        }
    }
}

/// Linear, BatchNorm, ReLU, once or twice, then linear, with BatchNorm if the spec says so. A layer before BatchNorm has no
/// bias, since BatchNorm would remove it. Tensors are named as in `nn.Sequential(Linear(bias=False), BatchNorm1d, ReLU,
/// Linear)`, after a prefix such as `head`.
#[derive(Clone, Debug)]
pub struct Projection {
    first: NormedLinear,
    second: Option<NormedLinear>,
    last: Last,
}

/// A linear layer without bias, and the BatchNorm after it.
#[derive(Clone, Copy, Debug)]
struct NormedLinear {
    weight: usize,
    norm: NormLayer,
}

#[derive(Clone, Copy, Debug)]
enum Last {
    Plain { weight: usize, bias: usize },
    Normed(NormedLinear),
}

impl NormedLinear {
    /// Layer number `place` of an `nn.Sequential`.
    fn describe(name: &str, place: u32, [inputs, outputs]: [i64; 2], plan: &mut Blueprint) -> Self {
        let weight = plan.parameters.add(format!("{name}.{place}.weight"), &[outputs, inputs], Role::Linear);
        Self { weight, norm: plan.norm(&format!("{name}.{}", place + 1), outputs) }
    }

    fn forward<S: Activation>(&self, x: &S, then: Then<&S>) -> S {
        x.linear(self.weight, None).norm(&self.norm, then)
    }
}

impl Projection {
    pub(super) fn describe(name: &str, head: spec::Head, features: i64, plan: &mut Blueprint) -> Self {
        let hidden = if head.hidden == 0 { features } else { i64::from(head.hidden) };
        let output = i64::from(head.output);
        let first = NormedLinear::describe(name, 0, [features, hidden], plan);
        let second = (head.layers > 2).then(|| NormedLinear::describe(name, 3, [hidden, hidden], plan));
        let place = if second.is_some() { 6 } else { 3 };
        let last = match head.norm {
            HeadNorm::All => Last::Normed(NormedLinear::describe(name, place, [hidden, output], plan)),
            HeadNorm::Hidden => Last::Plain {
                weight: plan.parameters.add(format!("{name}.{place}.weight"), &[output, hidden], Role::Linear),
                bias: plan.parameters.add(format!("{name}.{place}.bias"), &[output], Role::Bias { inputs: hidden }),
            },
        };
        Self { first, second, last }
    }

    /// `[B, features]` to `[B, output]`.
    pub(super) fn forward<S: Activation>(&self, features: &S) -> S {
        let mut hidden = self.first.forward(features, Then::Relu);
        if let Some(second) = &self.second {
            hidden = second.forward(&hidden, Then::Relu);
        }
        match &self.last {
            Last::Plain { weight, bias } => hidden.linear(*weight, Some(*bias)),
            Last::Normed(layer) => layer.forward(&hidden, Then::Nothing),
        }
    }
}

/// One layer named `fc.` as in torchvision, or several named as in `fc = nn.Sequential(Linear, ReLU, Linear)`.
#[derive(Clone, Debug)]
pub struct FullyConnected {
    /// (weight, bias) of the first layer; `rest` has those of the others.
    first: (usize, usize),
    rest: Vec<(usize, usize)>,
    classes: i64,
}

impl FullyConnected {
    fn describe(layers: u32, classes: i64, features: i64, plan: &mut Blueprint) -> Self {
        let last = layers.max(1) - 1;
        let mut layer = |layer: u32| {
            let name = if last == 0 { "fc".into() } else { format!("fc.{}", 2 * layer) };
            let outputs = if layer == last { classes } else { features };
            let weight = plan.parameters.add(format!("{name}.weight"), &[outputs, features], Role::Linear);
            (weight, plan.parameters.add(format!("{name}.bias"), &[outputs], Role::Bias { inputs: features }))
        };
        Self { first: layer(0), rest: (1..=last).map(layer).collect(), classes }
    }

    pub fn classes(&self) -> i64 {
        self.classes
    }

    /// `[B, features]` to logits `[B, classes]`.
    fn forward<S: Activation>(&self, features: &S) -> S {
        let ((weight, bias), rest) = (self.first, &self.rest);
        rest.iter().fold(features.linear(weight, Some(bias)), |x, &(weight, bias)| x.relu().linear(weight, Some(bias)))
    }
}
