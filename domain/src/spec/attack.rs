//! Adversarial examples: which attack, its effort, and the radii of the curve.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttackMethod {
    /// ProxLogBarrier (Pooladian et al. 2020).
    Plb,
    /// Projected gradient descent (Madry et al. 2018), at each radius.
    Pgd,
    /// Auto-PGD on the cross-entropy (Croce & Hein 2020).
    Apgd,
    /// Auto-PGD on the targeted DLR loss.
    ApgdT,
    /// Random squares, without gradients (Andriushchenko et al. 2020).
    Square,
    /// Targeted FAB (Croce & Hein 2020, minimally distorted).
    Fab,
    /// Fast minimum norm (Pintor et al. 2021).
    Fmn,
    /// Decoupled direction and norm (Rony et al. 2019).
    Ddn,
    /// All attacks of the norm; the smallest distance of each image counts.
    BestOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Number of elements that differ: three of each pixel.
    L0,
    /// Sum of the differences.
    L1,
    /// Euclidean.
    L2,
    /// Largest difference.
    Linf,
}

/// The loss that the fixed-radius attacks maximise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttackLoss {
    /// Of the right class.
    #[default]
    CrossEntropy,
    /// Largest wrong logit minus the right one (Carlini & Wagner 2017).
    Margin,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The published algorithm; ProxLogBarrier with the steps that `plb.steps` names.
    #[default]
    Reference,
    /// As the paper's code ran it: PGD with 20 steps of radius/10, from the image itself at each radius; PLB with all
    /// of the published steps, from noise of 0.1.
    Paper,
}

/// Which test images are attacked, where it is not all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Draw {
    /// The first ones, as RobustBench takes those of CIFAR-10. An image folder's are sorted by class.
    First,
    /// As many of each class as there are, drawn at random.
    Balanced,
}

/// The step lengths of ProxLogBarrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlbSteps {
    /// In l2 and linf fractions of the iterate's own distance, after a few Newton steps: smaller distances with fewer gradients
    /// than the published ones. In l1 and l0 steps of few elements, after a short FMN. Only `early_stop` of the constants is used.
    #[default]
    Relative,
    /// The published algorithm with the constants beside it.
    Published,
}

/// ProxLogBarrier (Pooladian et al. 2020); the constants are its reference code's. `preset = "paper"` always runs the
/// published steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plb {
    /// How long its steps are.
    pub steps: PlbSteps,
    /// Barrier weights tried, of the published steps.
    pub outer: u32,
    /// Proximal steps at each barrier weight.
    pub inner: u32,
    /// Step of the barrier's gradient.
    pub dt: f64,
    /// Weight of the proximal operator (mu).
    pub mu: f64,
    /// First barrier weight.
    pub alpha: f64,
    /// Factor from one barrier weight to the next.
    pub beta: f64,
    /// The fraction of the failed point that a backtracking step keeps.
    pub gamma: f64,
    /// Stop with an image whose distance no longer falls.
    pub early_stop: bool,
}

impl Default for Plb {
    fn default() -> Self {
        Self {
            steps: PlbSteps::Relative,
            outer: 30,
            inner: 30,
            dt: 0.1,
            mu: 1.0,
            alpha: 0.1,
            beta: 0.75,
            gamma: 0.05,
            early_stop: true,
        }
    }
}

/// Adversarial examples against the classifier of a linear, supervised or fine-tuned job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Which attack.
    pub attack: AttackMethod,
    /// The norm in which it looks for near adversarial images.
    pub norm: Norm,
    /// Test images attacked; 0 is all of them.
    #[serde(default)]
    pub images: u32,
    /// Which ones, if `images` is not all of them; a balanced draw where the file says nothing.
    // A stored spec that says nothing, as those of earlier versions, means the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Draw>,
    /// Seed of a balanced draw; where the file says nothing the experiment's, so that all its attacks have the same images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_seed: Option<u64>,
    /// Images in one pass; changes speed and memory, not the result.
    #[serde(default = "number::<250>")]
    pub batch_size: u32,
    /// Radii of the curve, ascending; the fixed-radius attacks search at each. Empty: the norm's own grid.
    #[serde(default)]
    pub radii: Vec<f64>,
    /// The published algorithm, or what the paper's code ran.
    #[serde(default)]
    pub preset: Preset,
    /// Iterations (Square: queries); left out: the method's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Attempts from different random points; the nearest success of each image counts.
    #[serde(default = "number::<1>")]
    pub restarts: u32,
    /// The loss that PGD maximises.
    #[serde(default)]
    pub loss: AttackLoss,
    /// Constants of `attack = "plb"`.
    #[serde(default)]
    pub plb: Plb,
    /// Images in the exported picture: clean, perturbed, difference.
    #[serde(default = "number::<8>")]
    pub pictures: u32,
}

impl Attack {
    /// Radii of the curve: as written, or 20 equal steps up to where an undefended net classifies nothing right.
    pub fn grid(&self) -> Vec<f64> {
        if !self.radii.is_empty() {
            return self.radii.clone();
        }
        let last = match self.norm {
            Norm::L0 => 100.0,
            Norm::L1 => 20.0,
            Norm::L2 => 1.0,
            Norm::Linf => 20.0 / 255.0,
        };
        (1..=20).map(|step| last * f64::from(step) / 20.0).collect()
    }
}

fn number<const N: u32>() -> u32 {
    N
}
