//! Checks that an attack failed because the net is robust, not because gradients are masked or the attack does not work
//! (Carlini et al. 2019; AutoAttack's flags). They are cheap: PGD on a few rightly classified images.

use tandem_domain::spec::{AttackLoss, Norm};
use tch::{Kind, Tensor};

use super::curve::within;
use super::fixed_radius::{FixedRadius, ascend};
use super::loss::cross_entropy;
use super::norm::{length, rows};
use super::pgd::Pgd;
use super::square::Square;
use super::target::{self, value_and_grad};
use super::{Adversarials, Batch, Target};

/// Images that are checked, at most.
pub const MAX_IMAGES: i64 = 64;
/// Images that are also attacked one by one.
const SINGLE_IMAGES: i64 = 4;
/// By how much Square, which sees no gradient, may beat the attacks that do (AutoAttack's `check_square_sr`).
const SQUARE_GAIN: f64 = 0.002;
/// By what share of the radius an image's distance may depend on its batch. Rounding may change it by about a step; a
/// gradient from another image would change it far more.
const BATCH_DIFFERENCE: f64 = 0.1;
/// How often the same images are evaluated, and by how much their logits may differ (AutoAttack's `check_randomized`).
const REPEATS: usize = 5;
const NOISE: f64 = 1e-4;
const RESTARTS: u32 = 3;
/// Square's queries an image.
const QUERIES: u32 = 100;

/// What was measured. Shares are of the images that were checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    /// Images that were checked.
    pub images: i64,
    /// Share whose cross-entropy has a gradient of zeros.
    pub zero_gradient: f64,
    /// Share that is broken in a ball that holds the grey image. Should be 1.
    pub large_radius: f64,
    /// Share that is broken with twice as many steps, minus that without. Should not be negative.
    pub more_steps: f64,
    /// Share that is broken with restarts, minus that without. Should not be negative.
    pub more_restarts: f64,
    /// Share that Square breaks, which uses no gradient, and PGD does not.
    pub square_alone: f64,
    /// Largest difference between logits of the same image in repeated evaluations.
    pub noise: f64,
    /// Largest difference between an image's distance in the batch and its distance alone or in another order, in radii;
    /// infinite if it is broken in one of them only.
    pub batch_alone: f64,
}

impl Gates {
    /// Checks the first rightly classified images of `batch`; `None` if there are none. At `radius` some images should be
    /// broken and some not. For l0 and l1 the checks are in l2: they are about the gradients, which are the same.
    pub fn measure(target: &dyn Target, batch: &Batch<'_>, norm: Norm, radius: f64, seed: u64) -> Option<Self> {
        let right = Adversarials::clean(target, batch).robust_at(0.0);
        let images = right.size()[0].min(MAX_IMAGES);
        if images == 0 {
            return None;
        }
        let part = batch.select(&right.narrow(0, 0, images));
        let batch = part.batch();
        let pixels = rows(batch.images).size()[1] as f64;
        let (norm, radius, large) = match norm {
            Norm::Linf => (Norm::Linf, radius, 0.5),
            Norm::L2 => (Norm::L2, radius, 0.5 * pixels.sqrt()),
            // Radii of l0 and l1 are no radii of l2.
            Norm::L0 | Norm::L1 => (Norm::L2, 0.25, 0.5 * pixels.sqrt()),
        };
        let pgd = |steps, restarts| Pgd::reference(Some(steps), restarts, AttackLoss::Margin, seed);
        let broken =
            |attack: &dyn FixedRadius, radius| attack.all_runs(target, &batch, norm, radius).distance.isfinite();
        let [few, many] = [20, 40].map(|steps| broken(&pgd(steps, 1), radius));
        let restarted = broken(&pgd(20, RESTARTS), radius);
        let square = broken(&Square { queries: QUERIES, seed, ..Square::default() }, radius);
        let gradient = value_and_grad(target, batch.images, |logits| cross_entropy(logits, batch.labels)).gradient;
        Some(Self {
            images,
            zero_gradient: share(&length(&gradient, Norm::Linf).eq(0.0)),
            large_radius: share(&broken(&pgd(40, 1), large)),
            more_steps: share(&many) - share(&few),
            more_restarts: share(&restarted) - share(&few),
            square_alone: share(&square.logical_and(&many.logical_not())),
            noise: noise(target, &batch),
            batch_alone: batch_dependence(target, &pgd(10, 1), &batch, norm, radius),
        })
    }

    /// A note for people on each check that failed.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let of = self.images;
        if self.zero_gradient > 0.0 {
            notes.push(format!(
                "{:.1} % of {of} images have a gradient of zeros: attacks by gradient cannot start there, trust square only",
                100.0 * self.zero_gradient
            ));
        }
        if self.large_radius < 0.99 {
            notes.push(format!(
                "only {:.1} % of {of} images are broken in a ball that holds plain grey: the gradients are masked",
                100.0 * self.large_radius
            ));
        }
        // One image may go either way.
        if self.more_steps * (of as f64) < -1.5 {
            notes.push(format!(
                "twice as many steps break {:.1} % fewer of {of} images: the attack has not converged",
                -100.0 * self.more_steps
            ));
        }
        if self.more_restarts * (of as f64) < -1.5 {
            notes.push(format!(
                "{RESTARTS} restarts break {:.1} % fewer of {of} images than one: the attack is broken",
                -100.0 * self.more_restarts
            ));
        }
        if self.square_alone * (of as f64) > 1.5 {
            notes.push(format!(
                "square, which sees no gradient, breaks {:.1} % of {of} images that PGD does not: the gradients are masked",
                100.0 * self.square_alone
            ));
        }
        if self.noise > NOISE {
            notes.push(format!(
                "the same images got logits that differ by {:.1e}: a net that draws at random needs other attacks",
                self.noise
            ));
        }
        if self.batch_alone > BATCH_DIFFERENCE {
            notes.push(format!(
                "an image's distance changes by {:.3} radii with the batch it is in: images see each other",
                self.batch_alone
            ));
        }
        notes
    }
}

/// The share of images that Square breaks and the attacks with gradients do not, at the radius where it is largest.
/// `white_box` and `with_square` are distances of the same images.
pub fn square_gain(white_box: &[f32], with_square: &[f32], radii: &[f64]) -> f64 {
    let gain = |&radius: &f64| {
        let gained = white_box.iter().zip(with_square).filter(|(w, s)| !within(**w, radius) && within(**s, radius));
        gained.count() as f64 / white_box.len().max(1) as f64
    };
    radii.iter().map(gain).fold(0.0, f64::max)
}

/// The note that a gain calls for.
pub fn square_note(gain: f64) -> Option<String> {
    (gain > SQUARE_GAIN).then(|| {
        format!(
            "square, which sees no gradient, breaks {:.2} % more images than the attacks by gradient: the gradients are masked",
            100.0 * gain
        )
    })
}

fn noise(target: &dyn Target, batch: &Batch<'_>) -> f64 {
    let logits: Vec<Tensor> = (0..REPEATS).map(|_| target::logits(target, batch.images)).collect();
    let logits = Tensor::stack(&logits, 0);
    (logits.amax([0i64].as_slice(), false) - logits.amin([0i64].as_slice(), false)).max().double_value(&[])
}

fn batch_dependence(target: &dyn Target, pgd: &Pgd, batch: &Batch<'_>, norm: Norm, radius: f64) -> f64 {
    let distances = |batch: &Batch<'_>| {
        let mut known = Adversarials::clean(target, batch);
        ascend(pgd, target, batch, norm, &[radius], &mut known);
        known.distance.to_kind(Kind::Double)
    };
    let together = distances(batch);
    let count = batch.ids.len() as i64;
    let at = |rows: &[i64]| batch.select(&Tensor::from_slice(rows).to_device(batch.images.device()));
    let backwards: Vec<i64> = (0..count).rev().collect();
    let mut pairs = vec![(distances(&at(&backwards).batch()).flip([0]), together.shallow_clone())];
    for row in 0..SINGLE_IMAGES.min(count) {
        pairs.push((distances(&at(&[row]).batch()), together.narrow(0, row, 1)));
    }
    let differences = pairs.iter().flat_map(|(one, other)| {
        let values = |distances: &Tensor| Vec::<f64>::try_from(distances).unwrap_or_default();
        values(one).into_iter().zip(values(other))
    });
    // Two infinite distances are equal.
    let differences = differences.map(|(one, other)| if one == other { 0.0 } else { (one - other).abs() / radius });
    differences.fold(0.0, f64::max)
}

fn share(images: &Tensor) -> f64 {
    images.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests;
