//! FMN (Pintor et al. 2021, "Fast minimum-norm adversarial attacks through adaptive norm constraints"): the smallest
//! perturbation in l0, l1, l2 or linf.
//!
//! Each step climbs the margin and returns to a ball around the clean image. The ball shrinks while the iterate is
//! misclassified and grows while it is not, less and less, so that the iterate circles the boundary where it is nearest. Until
//! an image was misclassified once, its ball reaches to where the linear model puts the boundary, and grows with each step.

use std::ops::Range;

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::ball::{longest, project};
use super::noise::{self, NoiseKey};
use super::{Adversarials, Batch, Target, loss, norm, target};

/// The published constants are the default, but for the length of a step in l1.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub steps: u32,
    /// Length of the first step in l2, in l1 [`L1_STEP`] times as long; the last is a hundredth of it.
    pub step: f64,
    /// By what share the ball first changes; at last by [`LAST_GAMMA`].
    pub gamma: f64,
    /// The first run begins at the clean image, others at random points near it.
    pub restarts: u32,
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { steps: 200, step: 1.0, gamma: 0.05, restarts: 1, seed: 0 }
    }
}

/// In l0, the share of the elements that a restart begins with: a random point has moved them all.
const RESTART_SHARE: f64 = 0.01;
/// The projection on a ball of l1 takes most of a step back: with the published length it takes four times as many.
const L1_STEP: f64 = 3.0;
const LAST_STEP: f64 = 0.01;
const LAST_GAMMA: f64 = 0.001;
/// Halvings of the final segment.
const HALVINGS: u32 = 8;

/// Nearest misclassified images in any of the four norms.
pub fn run(net: &dyn Target, batch: &Batch<'_>, norm: Norm, settings: &Settings) -> Adversarials {
    runs(net, batch, norm, settings, 0..settings.restarts.max(1))
}

/// The run of one restart alone.
pub(super) fn run_one(
    net: &dyn Target,
    batch: &Batch<'_>,
    norm: Norm,
    settings: &Settings,
    restart: u32,
) -> Adversarials {
    runs(net, batch, norm, settings, restart..restart + 1)
}

fn runs(net: &dyn Target, batch: &Batch<'_>, norm: Norm, settings: &Settings, restarts: Range<u32>) -> Adversarials {
    Adversarials::of_right(net, batch, |right| {
        let mut found = Adversarials::clean(net, right);
        for restart in restarts {
            let one = attack(net, right, norm, settings, restart);
            found.improve(right.images, &one.images, &one.distance.isfinite(), norm);
        }
        found
    })
}

/// Attacks images that are all classified rightly.
fn attack(net: &dyn Target, batch: &Batch<'_>, norm: Norm, settings: &Settings, restart: u32) -> Adversarials {
    let (clean, labels) = (batch.images, batch.labels);
    let mut found = Adversarials::clean(net, batch);
    let farthest = longest(clean, norm);
    let first = settings.step * if norm == Norm::L1 { L1_STEP } else { 1.0 };
    let mut current = start(batch, settings, restart, first);
    let mut radius = match norm {
        Norm::L0 if restart > 0 => (&farthest * RESTART_SHARE).ceil(),
        Norm::L0 => farthest.ones_like(),
        _ => farthest.full_like(f64::INFINITY),
    };
    for step in 0..settings.steps {
        let left = (1.0 + (std::f64::consts::PI * f64::from(step) / f64::from(settings.steps)).cos()) / 2.0;
        let length = first * (LAST_STEP + (1.0 - LAST_STEP) * left);
        let gamma = LAST_GAMMA + (settings.gamma - LAST_GAMMA) * left;

        let evaluated = target::value_and_grad(net, &current, |logits| loss::margin(logits, labels));
        let wrong = target::misclassified(&evaluated.logits, labels);
        found.improve(clean, &current, &wrong, norm);
        let grown = grown(&evaluated, clean, &current, norm, &radius, &found, gamma);
        let shrunk = shrunk(norm, &radius, gamma).minimum(&found.distance);
        radius = shrunk.where_self(&wrong, &grown).minimum(&farthest);

        let moved = &current - clean + norm::unit(&evaluated.gradient) * length;
        current = norm::clip(&(clean + project(&moved, norm, &radius)));
    }
    let wrong = target::misclassified(&target::logits(net, &current), labels);
    found.improve(clean, &current, &wrong, norm);
    if norm != Norm::L0 {
        found.bisect(net, batch, norm, HALVINGS);
    }
    found
}

/// The radius of a misclassified iterate; in l0 by at least one element smaller.
fn shrunk(norm: Norm, radius: &Tensor, gamma: f64) -> Tensor {
    match norm {
        Norm::L0 => (radius * (1.0 - gamma)).floor().minimum(&(radius - 1.0)).clamp_min(1.0),
        _ => radius * (1.0 - gamma),
    }
}

/// The radius of an iterate that is classified rightly.
fn grown(
    evaluated: &target::ValueAndGrad,
    clean: &Tensor,
    current: &Tensor,
    norm: Norm,
    radius: &Tensor,
    found: &Adversarials,
    gamma: f64,
) -> Tensor {
    let dual = match norm {
        Norm::L0 => {
            let grown = (radius * (1.0 + gamma)).floor().maximum(&(radius + 1.0));
            if found.distance.isfinite().all().int64_value(&[]) != 0 {
                return grown;
            }
            let to_boundary = norm::length(&(current - clean), norm) + elements_to_boundary(evaluated, current);
            return grown.where_self(&found.distance.isfinite(), &grown.maximum(&to_boundary));
        }
        Norm::L1 => Norm::Linf,
        Norm::L2 => Norm::L2,
        Norm::Linf => Norm::L1,
    };
    let slope = norm::length(&evaluated.gradient, dual).clamp_min(f64::from(f32::MIN_POSITIVE));
    let to_boundary = norm::length(&(current - clean), norm) + evaluated.loss.abs() / slope;
    let grown = radius * (1.0 + gamma);
    // Larger each time, or iterates that turn with the gradient could stay inside for ever.
    let first = grown.where_self(&radius.isfinite(), &to_boundary).maximum(&to_boundary);
    grown.where_self(&found.distance.isfinite(), &first)
}

/// How many elements the linear model has to move to their ends to reach the boundary, f32 `[B]`; the published attack has no
/// such estimate in l0, and begins with one element.
fn elements_to_boundary(evaluated: &target::ValueAndGrad, current: &Tensor) -> Tensor {
    let gradient = &evaluated.gradient;
    let reach = gradient * (gradient.gt(0.0).to_kind(Kind::Float) - current);
    let (sorted, _) = norm::rows(&reach).sort(1, true);
    let short = sorted.cumsum(1, None).lt_tensor(&evaluated.loss.abs().unsqueeze(1));
    short.sum_dim_intlist([1i64].as_slice(), false, Kind::Float) + 1.0
}

/// The clean images, or random points as far from them as the `first` step is long.
fn start(batch: &Batch<'_>, settings: &Settings, restart: u32, first: f64) -> Tensor {
    if restart == 0 {
        return batch.images.shallow_clone();
    }
    let shape = &batch.images.size()[1..];
    let noise = noise::normal(settings.seed, restart, batch.ids, NoiseKey::Fmn, shape, batch.images.device());
    norm::clip(&(batch.images + norm::unit(&noise) * first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::test_targets::{Linear, Sample, values};

    /// Where the linear model says that the boundary is nearer than the ball reaches, and nothing was found there.
    #[test]
    fn a_ball_in_which_nothing_was_found_grows() {
        let net = Linear::new(5);
        let sample = Sample::of(&net, 4, 8);
        let batch = sample.batch();
        let found = Adversarials::clean(&net, &batch);
        let evaluated = target::value_and_grad(&net, batch.images, |logits| loss::margin(logits, batch.labels));
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            let grown = |radius: &Tensor| grown(&evaluated, batch.images, batch.images, norm, radius, &found, 0.05);
            let unknown = found.distance.full_like(f64::INFINITY);
            let to_boundary = grown(&unknown);
            assert!(to_boundary.isfinite().all().int64_value(&[]) != 0, "{norm:?}");
            let next = grown(&(&to_boundary * 2.0));
            for (next, first) in values(&next).iter().zip(values(&to_boundary)) {
                assert!((next / first - 2.1).abs() < 1e-4, "{norm:?}: from {} to {next}", 2.0 * first);
            }
        }
    }
}
