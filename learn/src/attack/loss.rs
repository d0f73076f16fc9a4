//! The losses that attacks ascend: functions of logits f32 `[B, C]` and labels i64 `[B]`, one value an image. The larger, the
//! nearer to a misclassification.
//!
//! Cross-entropy uses `log_softmax`: the logarithm of a softmax is -inf as soon as f32 rounds a probability to 0, and an
//! image that the classifier is sure of would have no gradient.

use tandem_domain::spec::AttackLoss;
use tch::{Kind, Tensor};

/// Keeps ratios of logit differences finite where all logits are equal (as in AutoAttack's code).
const TINY: f64 = 1e-12;

/// Cross-entropy.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    -of_class(&logits.log_softmax(1, Kind::Float), labels)
}

/// `max_{c != y} z_c - z_y`: positive exactly where the image is misclassified (Carlini & Wagner 2017, f6).
pub fn margin(logits: &Tensor, labels: &Tensor) -> Tensor {
    best_other(logits, labels) - of_class(logits, labels)
}

/// Difference of logits ratio `(max_{c != y} z_c - z_y) / (z_(1) - z_(3))`, by descending rank: unchanged where logits are
/// shifted or scaled (Croce & Hein 2020, eq. 6). Needs three classes.
pub fn dlr(logits: &Tensor, labels: &Tensor) -> Tensor {
    let (ranked, _) = logits.sort(1, true);
    margin(logits, labels) / (ranked.select(1, 0) - ranked.select(1, 2) + TINY)
}

/// Targeted DLR `(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2)` (Croce & Hein 2020, eq. 7). Needs four classes; with fewer it
/// is the plain difference `z_t - z_y`.
pub fn dlr_targeted(logits: &Tensor, labels: &Tensor, targets: &Tensor) -> Tensor {
    let difference = of_class(logits, targets) - of_class(logits, labels);
    if logits.size()[1] < 4 {
        return difference;
    }
    let (ranked, _) = logits.sort(1, true);
    let spread = ranked.select(1, 0) - (ranked.select(1, 2) + ranked.select(1, 3)) * 0.5;
    difference / (spread + TINY)
}

/// Wrong classes by descending logit, i64 `[B, C - 1]`: the order in which targeted attacks try them.
pub fn ranked_targets(logits: &Tensor, labels: &Tensor) -> Tensor {
    let (_, classes) = without(logits, labels).sort(1, true);
    classes.narrow(1, 0, logits.size()[1] - 1)
}

fn of_class(values: &Tensor, classes: &Tensor) -> Tensor {
    values.gather(1, &classes.unsqueeze(1), false).squeeze_dim(1)
}

fn without(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.scatter_value(1, &labels.unsqueeze(1), f64::NEG_INFINITY)
}

fn best_other(logits: &Tensor, labels: &Tensor) -> Tensor {
    without(logits, labels).max_dim(1, false).0
}

/// A loss, with what it needs to know of each image.
#[derive(Debug)]
pub enum AscentLoss {
    CrossEntropy,
    Margin,
    /// With the class to reach, i64 `[B]`.
    DlrTargeted(Tensor),
}

impl AscentLoss {
    pub fn value(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        match self {
            Self::CrossEntropy => cross_entropy(logits, labels),
            Self::Margin => margin(logits, labels),
            Self::DlrTargeted(targets) => dlr_targeted(logits, labels, targets),
        }
    }

    /// The same for these rows of the batch.
    pub fn keep(&self, rows: &Tensor) -> Self {
        match self {
            Self::CrossEntropy => Self::CrossEntropy,
            Self::Margin => Self::Margin,
            Self::DlrTargeted(targets) => Self::DlrTargeted(targets.index_select(0, rows)),
        }
    }
}

impl From<AttackLoss> for AscentLoss {
    fn from(loss: AttackLoss) -> Self {
        match loss {
            AttackLoss::CrossEntropy => Self::CrossEntropy,
            AttackLoss::Margin => Self::Margin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of two images of class 1 and 0, the first right, the second wrong.
    fn example() -> (Tensor, Tensor) {
        let logits = Tensor::from_slice(&[1.0f32, 4.0, 2.0, 0.5, -1.0, 0.0, 3.0, 2.5]).view([2, 4]);
        (logits, Tensor::from_slice(&[1i64, 0]))
    }

    fn near(found: &Tensor, expected: &[f32]) {
        let found = Vec::<f32>::try_from(found).unwrap();
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?} {expected:?}");
    }

    #[test]
    fn values_are_those_of_the_formulas() {
        let (logits, labels) = example();
        near(&margin(&logits, &labels), &[-2.0, 4.0]);
        near(&dlr(&logits, &labels), &[-2.0 / 3.0, 4.0 / 3.0]);
        let targets = Tensor::from_slice(&[2i64, 3]);
        near(&dlr_targeted(&logits, &labels, &targets), &[-2.0 / (4.0 - 0.75), 3.5 / (3.0 + 0.5)]);
        let sum = |z: [f32; 4]| z.iter().map(|z| z.exp()).sum::<f32>().ln();
        near(&cross_entropy(&logits, &labels), &[sum([1.0, 4.0, 2.0, 0.5]) - 4.0, sum([-1.0, 0.0, 3.0, 2.5]) + 1.0]);
        assert!(
            ranked_targets(&logits, &labels).equal(&Tensor::from_slice(&[2i64, 0, 3, 2, 3, 1]).view([2, 3])),
            "wrong classes, the likeliest first"
        );
    }

    /// log(softmax) is -inf here, and its gradient NaN.
    #[test]
    fn cross_entropy_has_a_gradient_where_f32_rounds_probabilities_to_zero() {
        let logits = Tensor::from_slice(&[300.0f32, 0.0, -10.0]).view([1, 3]).set_requires_grad(true);
        let labels = Tensor::from_slice(&[1i64]);
        let loss = cross_entropy(&logits, &labels);
        near(&loss, &[300.0]);
        let gradient = Tensor::run_backward(&[loss], &[&logits], false, false).swap_remove(0);
        near(&gradient.view(-1), &[1.0, -1.0, 0.0]);
    }

    #[test]
    fn dlr_ignores_shift_and_scale_of_the_logits() {
        let (logits, labels) = example();
        let moved = &logits * 1000.0 + 7.0;
        assert!(dlr(&logits, &labels).allclose(&dlr(&moved, &labels), 1e-5, 0.0, false));
        let targets = Tensor::from_slice(&[0i64, 1]);
        let [a, b] = [&logits, &moved].map(|z| dlr_targeted(z, &labels, &targets));
        assert!(a.allclose(&b, 1e-5, 0.0, false));
    }
}
