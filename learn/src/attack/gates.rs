//! Signs that an attack failed because gradients were hidden or the attack is broken, not because the net is robust
//! (Carlini et al. 2019; AutoAttack's flags). Each is cheap: a handful of rightly classified images, plain PGD.

use tandem_domain::spec::{AttackLoss, Norm};
use tch::{Kind, Tensor};

use super::curve::within;
use super::ladder::{FixedRadius, ascend};
use super::loss::cross_entropy;
use super::norm::{length, rows};
use super::pgd::Pgd;
use super::target::look;
use super::{Batch, Found, Target};

/// Images that are looked at, at most.
pub const HANDFUL: i64 = 64;
/// Images that are attacked alone, one by one.
const ALONE: i64 = 4;
/// By how much Square, which sees no gradient, may beat the attacks that do (AutoAttack's `check_square_sr`).
const SQUARE_GAIN: f64 = 0.002;
/// Share of the radius by which distances of images attacked alone and in a batch may differ: a step's worth of rounding
/// that was decided the other way, and far less than another image's gradient would do.
const ALONE_DIFFERENCE: f64 = 0.1;

/// What was measured; shares of the images looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    /// Images looked at.
    pub images: i64,
    /// Whose cross-entropy has a gradient of zeros: nothing to climb.
    pub zero_gradient: f64,
    /// Misclassified in a ball that holds the grey image. Should be 1.
    pub large_radius: f64,
    /// How many more fall in twice as many steps. Should not be negative.
    pub more_steps: f64,
    /// Largest difference between an image's distance in the batch and alone, in radii; infinite if the verdicts differ.
    pub batch_alone: f64,
}

impl Gates {
    /// Looks at the first rightly classified images of `batch`; `None` if there are none. `radius` is one at which some
    /// images fall and some stand. In l0 and l1 the gradients are looked at in l2: it is them that could be hidden.
    pub fn measure(target: &dyn Target, batch: &Batch<'_>, norm: Norm, radius: f64, seed: u64) -> Option<Self> {
        let right = Found::clean(target, batch).standing(0.0);
        let images = right.size()[0].min(HANDFUL);
        if images == 0 {
            return None;
        }
        let part = batch.part(&right.narrow(0, 0, images));
        let batch = part.batch();
        let pixels = rows(batch.images).size()[1] as f64;
        let (norm, radius, large) = match norm {
            Norm::Linf => (Norm::Linf, radius, 0.5),
            Norm::L2 => (Norm::L2, radius, 0.5 * pixels.sqrt()),
            // Radii of l0 and l1 are no radii of l2.
            Norm::L0 | Norm::L1 => (Norm::L2, 0.25, 0.5 * pixels.sqrt()),
        };
        let pgd = |steps| Pgd::reference(Some(steps), 1, AttackLoss::Margin, seed);
        let fallen = |steps, radius| share(&pgd(steps).all_runs(target, &batch, norm, radius).distance.isfinite());

        let gradient = look(target, batch.images, |logits| cross_entropy(logits, batch.labels)).gradient;
        Some(Self {
            images,
            zero_gradient: share(&length(&gradient, Norm::Linf).eq(0.0)),
            large_radius: fallen(40, large),
            more_steps: fallen(40, radius) - fallen(20, radius),
            batch_alone: alone(target, &pgd(10), &batch, norm, radius),
        })
    }

    /// What a person should read beside the result: nothing if all is as it should be.
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
        if self.batch_alone > ALONE_DIFFERENCE {
            notes.push(format!(
                "an image's distance changes by {:.3} radii with the batch it is in: images see each other",
                self.batch_alone
            ));
        }
        notes
    }
}

/// How many more images Square breaks than the attacks by gradient, at the radius where it is most of all.
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

fn alone(target: &dyn Target, pgd: &Pgd, batch: &Batch<'_>, norm: Norm, radius: f64) -> f64 {
    let distances = |batch: &Batch<'_>| {
        let mut known = Found::clean(target, batch);
        ascend(pgd, target, batch, norm, &[radius], &mut known);
        known.distance.to_kind(Kind::Double)
    };
    let together = distances(batch);
    let mut largest = 0.0f64;
    for row in 0..ALONE.min(batch.ids.len() as i64) {
        let part = batch.part(&Tensor::from_slice(&[row]).to_device(batch.images.device()));
        let (one, other) = (distances(&part.batch()).double_value(&[0]), together.double_value(&[row]));
        // Both infinite is no difference.
        largest = largest.max(if one == other { 0.0 } else { (one - other).abs() / radius });
    }
    largest
}

fn share(images: &Tensor) -> f64 {
    images.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::super::toy::{Hidden, Sample, hidden};
    use super::*;

    fn measure(target: &dyn Target) -> Gates {
        let sample = Sample::of(target, 16);
        Gates::measure(target, &sample.batch(), Norm::L2, 0.04, 1).unwrap()
    }

    #[test]
    fn an_honest_net_passes() {
        let gates = measure(&hidden());
        assert_eq!((gates.images, gates.zero_gradient, gates.large_radius), (16, 0.0, 1.0));
        assert!(gates.batch_alone < 1e-3 && gates.notes().is_empty(), "{gates:?} {:?}", gates.notes());
    }

    /// Sees only whether a pixel is above a level: no gradient comes through.
    struct Masked(Hidden);

    impl Target for Masked {
        fn logits(&self, images: &Tensor) -> Tensor {
            self.0.logits(&((images * 20.0).floor() / 20.0))
        }
        fn classes(&self) -> i64 {
            self.0.classes()
        }
    }

    #[test]
    fn hidden_gradients_are_found_out() {
        let gates = measure(&Masked(hidden()));
        assert_eq!(gates.zero_gradient, 1.0);
        assert!(gates.large_radius < 0.99);
        let notes = gates.notes();
        assert!(notes.len() == 2 && notes[0].contains("gradient of zeros") && notes[1].contains("masked"), "{notes:?}");
    }

    /// Centres the batch, as BatchNorm by the batch's own statistics would.
    struct Crowd(Hidden);

    impl Target for Crowd {
        fn logits(&self, images: &Tensor) -> Tensor {
            let logits = self.0.logits(images);
            let mean = logits.mean_dim([0i64].as_slice(), true, Kind::Float);
            logits - mean * 0.9
        }
        fn classes(&self) -> i64 {
            self.0.classes()
        }
    }

    #[test]
    fn images_that_see_each_other_are_found_out() {
        let gates = measure(&Crowd(hidden()));
        assert!(gates.batch_alone > ALONE_DIFFERENCE, "{gates:?}");
        assert!(gates.notes().iter().any(|note| note.contains("see each other")), "{:?}", gates.notes());
    }

    #[test]
    fn square_may_gain_little() {
        let inf = f32::INFINITY;
        let (white, square) = ([0.0, 0.3, 0.3, inf, inf], [0.0, 0.3, 0.15, inf, 0.4]);
        assert_eq!(square_gain(&white, &square, &[0.1, 0.2, 0.3]), 0.2);
        assert_eq!(square_gain(&white, &white, &[0.1, 0.2, 0.3]), 0.0);
        assert!(square_note(0.002).is_none() && square_note(0.0021).is_some_and(|note| note.contains("0.21 %")));
    }
}
