//! What stands on the encoder: the projection head g of pretraining, or a classifier's fully connected layers.

use serde::{Deserialize, Serialize};
use tandem_domain::spec;

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

/// Linear, BatchNorm, ReLU, linear; the first layer has no bias, since BatchNorm would remove it. Tensors are named as
/// in `nn.Sequential(Linear(bias=False), BatchNorm1d, ReLU, Linear)`, after a prefix such as `head`.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    hidden: usize,
    norm: NormLayer,
    weight: usize,
    bias: usize,
}

impl Projection {
    pub(super) fn describe(name: &str, head: spec::Head, features: i64, plan: &mut Blueprint) -> Self {
        let hidden = if head.hidden == 0 { features } else { i64::from(head.hidden) };
        let output = i64::from(head.output);
        Self {
            hidden: plan.parameters.add(format!("{name}.0.weight"), &[hidden, features], Role::Linear),
            norm: plan.norm(&format!("{name}.1"), hidden),
            weight: plan.parameters.add(format!("{name}.3.weight"), &[output, hidden], Role::Linear),
            bias: plan.parameters.add(format!("{name}.3.bias"), &[output], Role::Bias { inputs: hidden }),
        }
    }

    /// `[B, features]` to `[B, output]`.
    pub(super) fn forward<S: Activation>(&self, features: &S) -> S {
        let hidden = features.linear(self.hidden, None).norm(&self.norm).relu();
        hidden.linear(self.weight, Some(self.bias))
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
