//! Checks that an attack failed because the net is robust, not because gradients are masked or the attack does not work
//! (Carlini et al. 2019; AutoAttack's flags). They run the attack that they vouch for, with little effort, on a few rightly
//! classified images.

mod subject;

use tandem_domain::spec::{Attack, AttackLoss, AttackMethod, Norm};
use tch::{Kind, Tensor};

use super::best_of::attack;
use super::curve::within;
use super::fixed_radius::{FixedRadius, ascend};
use super::norm::rows;
use super::pgd::Pgd;
use super::square::Square;
use super::target;
use super::{Adversarials, Batch, Target};
use subject::{Climbs, checked, share, zero_gradients};

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
/// Square's queries an image: its first few hundred hardly break any that a gradient does not (AutoAttack has 5,000).
const QUERIES: u32 = 1000;
/// An image on the border of a ball may lie beyond it by rounding.
const ROUNDING: f64 = 1.0 + 1e-5;
/// Steps of the attack that is checked, and twice as many.
const STEPS: [u32; 2] = [20, 40];

/// What was measured. Shares are of the images that were checked; `None` is what this attack has not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    /// Images that were checked.
    pub images: i64,
    /// Share whose loss, the one that the attack climbs, has a gradient of zeros.
    pub zero_gradient: Option<f64>,
    /// Share of which the margin has a gradient of zeros, too.
    pub zero_margin: f64,
    /// Share that the attack breaks in a ball that holds the grey image. Should be 1.
    pub large_radius: Option<f64>,
    /// Share that is broken with twice as many steps, minus that without. Should not be negative.
    pub more_steps: Option<f64>,
    /// Share that is broken with restarts, minus that without. Should not be negative.
    pub more_restarts: Option<f64>,
    /// Share that Square breaks, which uses no gradient, and the attack does not.
    pub square_alone: Option<f64>,
    /// Largest difference between logits of the same image in repeated evaluations.
    pub noise: f64,
    /// Largest difference between an image's distance in the batch and its distance alone or in another order, in radii;
    /// infinite if it is broken in one of them only.
    pub batch_alone: f64,
    climbs: Climbs,
}

impl Gates {
    /// Checks the first rightly classified images of `batch`; `None` if there are none. At `radius` some images should be
    /// broken and some not. `fallback` is as in [`attack`].
    ///
    /// Of "best-of", PGD on the margin is checked, which is one of its attacks, or PLB where PGD cannot search. Of Square,
    /// which needs no gradient, only what would make any attack wrong.
    pub fn measure(
        target: &dyn Target,
        batch: &Batch<'_>,
        spec: &Attack,
        radius: f64,
        seed: u64,
        fallback: Option<&Tensor>,
    ) -> Option<Self> {
        let right = Adversarials::clean(target, batch).robust_at(0.0);
        let images = right.size()[0].min(MAX_IMAGES);
        if images == 0 {
            return None;
        }
        let part = batch.select(&right.narrow(0, 0, images));
        let batch = part.batch();
        let pixels = rows(batch.images).size()[1] as f64;
        let large = match spec.norm {
            Norm::Linf => 0.5,
            Norm::L2 => 0.5 * pixels.sqrt(),
            Norm::L1 => 0.5 * pixels,
            Norm::L0 => pixels,
        };
        let broken = |[steps, restarts]: [u32; 2], radius: f64| {
            let checked = Attack { steps: Some(steps), restarts, radii: vec![radius], ..checked(spec)? };
            Some(attack(target, &batch, &checked, seed, fallback).found.distance.le(ROUNDING * radius))
        };
        let [few, many] = match spec.attack {
            // Its number of steps is its own: these two would be the same.
            AttackMethod::Plb => [None, None],
            _ => STEPS.map(|steps| broken([steps, 1], radius)),
        };
        let restarted = few.as_ref().and_then(|_| broken([STEPS[0], RESTARTS], radius));
        let gain = |more: &Option<Tensor>| Some(share(more.as_ref()?) - share(few.as_ref()?));

        // Radii of l0 and l1 are no radii of l2; what is left to check is the net, which is the same.
        let searched = matches!(spec.norm, Norm::L2 | Norm::Linf);
        let (norm, radius) = if searched { (spec.norm, radius) } else { (Norm::L2, 0.25) };
        let pgd = |steps| Pgd::reference(Some(steps), 1, AttackLoss::Margin, seed);
        let broken_by = |attack: &dyn FixedRadius| attack.all_runs(target, &batch, norm, radius).distance.isfinite();
        let square_alone = (spec.attack != AttackMethod::Square).then(|| {
            let by_gradient = match many.as_ref().filter(|_| searched) {
                Some(many) => many.shallow_clone(),
                None => broken_by(&pgd(STEPS[1])),
            };
            // Only on those, since a thousand queries cost more than all other checks together.
            let left = by_gradient.logical_not().nonzero().flatten(0, -1);
            if left.size()[0] == 0 {
                return 0.0;
            }
            let square = Square { queries: QUERIES, seed, ..Square::default() };
            let broken = square.all_runs(target, &batch.select(&left).batch(), norm, radius).distance.isfinite();
            broken.sum(Kind::Int64).int64_value(&[]) as f64 / images as f64
        });
        let climbs = Climbs::of(spec);
        let (zero_gradient, zero_margin) = zero_gradients(target, &batch, climbs);
        Some(Self {
            images,
            zero_gradient: (climbs != Climbs::Nothing).then_some(zero_gradient),
            zero_margin,
            large_radius: broken([STEPS[1], 1], large).map(|broken| share(&broken)),
            more_steps: gain(&many),
            more_restarts: gain(&restarted),
            square_alone,
            noise: noise(target, &batch),
            batch_alone: batch_dependence(target, &pgd(10), &batch, norm, radius),
            climbs,
        })
    }

    /// A note for people on each check that failed.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let of = self.images;
        if self.zero_gradient.is_some_and(|share| share > 0.0) {
            let zero = 100.0 * self.zero_gradient.unwrap_or_default();
            let way_out = match self.climbs {
                _ if self.zero_margin > 0.0 => "nor can others by gradient: trust square only",
                Climbs::CrossEntropy => "loss = \"margin\" of pgd, or apgd-t, plb or best-of, can",
                Climbs::Margin | Climbs::Dlr | Climbs::Any | Climbs::Nothing => "another attack may",
            };
            notes.push(format!(
                "{zero:.1} % of {of} images have a gradient of zeros in the {}, which this attack climbs: it cannot start \
                 there; {way_out}",
                self.climbs.name()
            ));
        }
        if let Some(broken) = self.large_radius.filter(|&broken| broken < 0.99) {
            notes.push(format!(
                "this attack breaks only {:.1} % of {of} images in a ball that holds plain grey: its gradients are masked",
                100.0 * broken
            ));
        }
        // One image may go either way.
        let fewer = |gain: Option<f64>| gain.filter(|gain| gain * (of as f64) < -1.5).map(|gain| -100.0 * gain);
        if let Some(fewer) = fewer(self.more_steps) {
            notes.push(format!(
                "twice as many steps break {fewer:.1} % fewer of {of} images: the attack has not converged"
            ));
        }
        if let Some(fewer) = fewer(self.more_restarts) {
            notes.push(format!(
                "{RESTARTS} restarts break {fewer:.1} % fewer of {of} images than one: the attack is broken"
            ));
        }
        if let Some(alone) = self.square_alone.filter(|alone| alone * (of as f64) > 1.5) {
            notes.push(format!(
                "square, which sees no gradient, breaks {:.1} % of {of} images that the attack by gradient does not: the \
                 gradients are masked",
                100.0 * alone
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

#[cfg(test)]
mod tests;
