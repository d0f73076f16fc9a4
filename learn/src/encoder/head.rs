//! The projection head g: linear, BatchNorm, ReLU, linear. The first layer has no bias, as BatchNorm would remove it.

use tandem_domain::spec::Head;
use tch::Tensor;

use super::Pass;
use super::resnet::{Blueprint, Norm};
use crate::flat::Role;

/// Keys as of `nn.Sequential(Linear(bias=False), BatchNorm1d, ReLU, Linear)` under `head.`.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    hidden: usize,
    norm: Norm,
    weight: usize,
    bias: usize,
}

impl Projection {
    pub(super) fn describe(head: Head, features: i64, plan: &mut Blueprint) -> Self {
        let hidden = if head.hidden == 0 { features } else { i64::from(head.hidden) };
        let output = i64::from(head.output);
        Self {
            hidden: plan.parameters.add("head.0.weight".into(), &[hidden, features], Role::Linear),
            norm: plan.norm("head.1", hidden),
            weight: plan.parameters.add("head.3.weight".into(), &[output, hidden], Role::Linear),
            bias: plan.parameters.add("head.3.bias".into(), &[output], Role::Bias { inputs: hidden }),
        }
    }

    /// `[B, features]` to `[B, output]`.
    pub(super) fn forward(&self, features: &Tensor, pass: &Pass<'_>) -> Tensor {
        let hidden = features.linear(pass.parameters.get(self.hidden), None::<Tensor>);
        let hidden = self.norm.forward(&hidden, pass).relu_();
        hidden.linear(pass.parameters.get(self.weight), Some(pass.parameters.get(self.bias)))
    }
}
