//! The paper's regularisers (eqs. 2, 3) and its layer-by-layer losses (eqs. 4, 5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PenaltyMethod {
    /// By differentiating the gradient.
    Exact,
    /// By a second pass at a distance of `h` (Finlay & Oberman 2019).
    FiniteDifference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyScaling {
    /// Eq. (2): the mean over images of each one's own squared gradient norm.
    PerSample,
    /// Eq. (3): the sum over images of the squared gradient norm of the batch's mean loss.
    BatchSum,
    /// As the code behind the paper's Table 2 computed it: classifiers eq. (2) over N², contrastive jobs eq. (3).
    PaperCode,
}

/// Direction of the finite difference, named by the norm of the gradient that it measures (Finlay & Oberman 2019).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// g / ‖g‖₂.
    #[default]
    L2,
    /// sign(g) / √d: against l∞ attacks.
    L1,
    /// The sign of the gradient's largest element, 0 elsewhere: against l1 attacks.
    Linf,
}

/// Input-gradient penalty (eqs. 2 and 3); lambda 0 is off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tikhonov {
    /// Weight of the penalty; 0 is off.
    pub lambda: f64,
    /// How it is differentiated.
    pub method: PenaltyMethod,
    /// Which penalty. Left out: eq. (3) for contrastive jobs, eq. (2) for classifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<PenaltyScaling>,
    /// Step of `method = "finite-difference"`, in pixel units of [0, 1]; 0.1 where a file says nothing. On nets with ReLU a smaller one is
    /// not a better one.
    pub h: f64,
    /// Direction of `method = "finite-difference"`.
    pub direction: Direction,
    /// Multiply lambda by N/128. Eq. (3) falls as 1/N, so a lambda for the paper's batch of 128 means the same at N.
    pub rescale: bool,
}

impl Default for Tikhonov {
    fn default() -> Self {
        Self {
            lambda: 0.0,
            method: PenaltyMethod::Exact,
            scaling: None,
            h: 1e-2,
            direction: Direction::L2,
            rescale: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolate {
    /// Each loss reaches all stages below it.
    #[default]
    None,
    /// Each stage learns from its own loss alone.
    Detach,
    /// Each stage learns from its own loss and from that of the stage above it.
    Overlap,
}

/// Layer-by-layer losses (eqs. 4, 5): `alpha` weighs the losses of the encoder's four stages, `beta` their penalties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layerwise {
    /// One weight for each stage; empty with `ratio`.
    #[serde(default)]
    pub alpha: Vec<f64>,
    /// Factor from each weight to the next; the last weight is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// One weight for each stage's penalty; empty with `beta_ratio`, or without penalty.
    #[serde(default)]
    pub beta: Vec<f64>,
    /// Factor from each weight to the next; the last is half of `tikhonov.lambda`, as in eq. (3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_ratio: Option<f64>,
    /// How far down each loss reaches.
    #[serde(default)]
    pub isolate: Isolate,
    /// Accept weights that do not grow with depth (an ablation).
    #[serde(default)]
    pub force: bool,
}

impl Layerwise {
    /// Stages of an encoder, each with a loss of its own.
    pub const STAGES: usize = 4;

    /// alpha of eq. (4), first stage to last.
    pub fn alphas(&self) -> Vec<f64> {
        weights(&self.alpha, self.ratio, 1.0)
    }

    /// beta of eq. (5), first stage to last; empty without penalty.
    pub fn betas(&self, tikhonov: &Tikhonov) -> Vec<f64> {
        weights(&self.beta, self.beta_ratio, tikhonov.lambda / 2.0)
    }
}

fn weights(list: &[f64], ratio: Option<f64>, last: f64) -> Vec<f64> {
    match ratio {
        Some(ratio) => (0..Layerwise::STAGES).rev().map(|up| last / ratio.powi(up as i32)).collect(),
        None => list.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_list_that_ends_at_the_weight_of_the_whole() {
        let written: Layerwise = serde_json::from_str(r#"{"ratio": 10.0, "beta_ratio": 2.0}"#).unwrap();
        assert_eq!(written.alphas(), [0.001, 0.01, 0.1, 1.0]);
        let tikhonov = Tikhonov { lambda: 4.0, ..Tikhonov::default() };
        assert_eq!(written.betas(&tikhonov), [0.25, 0.5, 1.0, 2.0]);
        let listed: Layerwise = serde_json::from_str(r#"{"alpha": [1.0, 2.0, 3.0, 4.0]}"#).unwrap();
        assert_eq!((listed.alphas().len(), listed.betas(&tikhonov).len()), (4, 0));
    }
}
