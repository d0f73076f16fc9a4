//! The optimizer. Each stage has its own defaults; keys in a file replace them one by one.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// With momentum.
    Sgd,
    /// SGD with a rate for each layer (You et al. 2017), for large batches.
    Lars,
    /// Adam (Kingma & Ba 2015); weight decay is added to the gradient.
    Adam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    Constant,
    /// Falls to 0 along half a cosine.
    Cosine,
    /// Multiplied by `factor` at each of `milestones`.
    Step,
}

/// `lr` is the peak value itself; it is not rescaled by the batch size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// Which optimizer.
    pub name: OptimizerName,
    /// Peak learning rate, not rescaled by the batch size.
    pub lr: f64,
    /// Momentum of sgd and lars, Adam's beta1; its beta2 is 0.999.
    pub momentum: f64,
    /// Nesterov's momentum, of sgd.
    pub nesterov: bool,
    /// Added to the gradient, as a multiple of the weights.
    pub weight_decay: f64,
    /// LARS trust coefficient (eta); ignored by the others.
    pub trust: f64,
    /// Length of the linear warm-up from 0, in epochs; fractions are allowed.
    pub warmup_epochs: f64,
    /// Schedule after the warm-up, by step; cosine reaches 0 just after the last step.
    pub schedule: Schedule,
    /// Fractions of the whole training after which `schedule = "step"` lowers the rate.
    pub milestones: Vec<f64>,
    /// By which `schedule = "step"` lowers the rate.
    pub factor: f64,
}

impl Default for Optimizer {
    /// Contrastive pretraining: LARS, ten epochs of warm-up.
    fn default() -> Self {
        Self {
            name: OptimizerName::Lars,
            lr: 1.0,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 1e-6,
            trust: 1e-3,
            warmup_epochs: 10.0,
            schedule: Schedule::Cosine,
            milestones: vec![0.3, 0.6, 0.8],
            factor: 0.2,
        }
    }
}

impl Optimizer {
    /// For a classifier from scratch: rate and decay of the paper's baseline (and of Finlay & Oberman 2019).
    pub fn supervised() -> Self {
        Self {
            name: OptimizerName::Sgd,
            lr: 0.1,
            nesterov: true,
            weight_decay: 5e-4,
            warmup_epochs: 0.0,
            ..Self::default()
        }
    }

    /// For a pretrained encoder together with a new head.
    pub fn finetune() -> Self {
        Self { lr: 0.03, ..Self::supervised() }
    }

    /// For one layer on a frozen encoder: 0.1 for each 256 images of the default batch, without decay (SimCLR, B.9).
    pub fn linear() -> Self {
        Self { lr: 0.2, weight_decay: 0.0, ..Self::supervised() }
    }
}

/// An `optimizer` table as written; missing keys take the stage's defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overrides {
    name: Option<OptimizerName>,
    lr: Option<f64>,
    momentum: Option<f64>,
    nesterov: Option<bool>,
    weight_decay: Option<f64>,
    trust: Option<f64>,
    warmup_epochs: Option<f64>,
    schedule: Option<Schedule>,
    milestones: Option<Vec<f64>>,
    factor: Option<f64>,
}

impl Overrides {
    fn over(self, base: Optimizer) -> Optimizer {
        Optimizer {
            name: self.name.unwrap_or(base.name),
            lr: self.lr.unwrap_or(base.lr),
            momentum: self.momentum.unwrap_or(base.momentum),
            nesterov: self.nesterov.unwrap_or(base.nesterov),
            weight_decay: self.weight_decay.unwrap_or(base.weight_decay),
            trust: self.trust.unwrap_or(base.trust),
            warmup_epochs: self.warmup_epochs.unwrap_or(base.warmup_epochs),
            schedule: self.schedule.unwrap_or(base.schedule),
            milestones: self.milestones.unwrap_or(base.milestones),
            factor: self.factor.unwrap_or(base.factor),
        }
    }
}

pub(super) fn over_supervised<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Optimizer, D::Error> {
    Overrides::deserialize(deserializer).map(|overrides| overrides.over(Optimizer::supervised()))
}

pub(super) fn over_finetune<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Optimizer, D::Error> {
    Overrides::deserialize(deserializer).map(|overrides| overrides.over(Optimizer::finetune()))
}

pub(super) fn over_linear<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Optimizer, D::Error> {
    Overrides::deserialize(deserializer).map(|overrides| overrides.over(Optimizer::linear()))
}

#[cfg(test)]
mod tests {
    use super::super::{Finetune, Supervised};
    use super::*;

    #[test]
    fn what_a_stage_leaves_out_is_its_own() {
        let written = r#"{"encoder": "resnet18", "optimizer": {"lr": 0.5}}"#;
        let supervised: Supervised = serde_json::from_str(written).unwrap();
        assert_eq!(supervised.optimizer, Optimizer { lr: 0.5, ..Optimizer::supervised() });
        let finetune: Finetune = serde_json::from_str("{}").unwrap();
        assert_eq!(finetune.optimizer, Optimizer::finetune());
        let again: Supervised = serde_json::from_str(&serde_json::to_string(&supervised).unwrap()).unwrap();
        assert_eq!(again, supervised);
    }
}
