//! Attacks against classifiers whose smallest adversarial distances are known in closed form.

use tandem_domain::spec::{AttackLoss, Norm};
use tch::{Kind, Tensor};

use super::apgd::{Apgd, ApgdLoss};
use super::fixed_radius::{FixedRadius, ascend, descend};
use super::norm::length;
use super::pgd::Pgd;
use super::toy::{Linear, Sample, hidden, linear};
use super::*;

/// The distance to a linear classifier's boundary between two classes: `|margin| / |w_0 - w_1|` in the dual norm.
fn closed_form(target: &Linear, images: &Tensor, norm: Norm) -> Tensor {
    let w = target.weight.select(1, 0) - target.weight.select(1, 1);
    let dual = if norm == Norm::L2 { w.norm() } else { w.abs().sum(Kind::Float) };
    let logits = target.logits(images);
    (logits.select(1, 0) - logits.select(1, 1)).abs() / dual
}

fn attacks(seed: u64, steps: Option<u32>) -> Vec<(&'static str, Box<dyn FixedRadius>)> {
    vec![
        ("pgd", Box::new(Pgd::reference(steps, 1, AttackLoss::CrossEntropy, seed))),
        ("pgd margin", Box::new(Pgd::reference(steps, 2, AttackLoss::Margin, seed))),
        ("paper", Box::new(Pgd::paper(steps, AttackLoss::CrossEntropy))),
        ("apgd", Box::new(Apgd::new(steps, 1, ApgdLoss::CrossEntropy, seed))),
        ("apgd-t", Box::new(Apgd::new(steps, 1, ApgdLoss::TargetedDlr, seed))),
    ]
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor).unwrap()
}

/// Just above the true distance every attack succeeds. Just below it none can, if its images are really in the ball.
#[test]
fn on_a_linear_classifier_the_closed_form_decides() {
    let target = linear(3, 2, 1.0);
    let sample = Sample::of(&target, 16);
    for norm in [Norm::L2, Norm::Linf] {
        let truth = values(&closed_form(&target, &sample.images, norm));
        for (name, attack) in attacks(1, None) {
            for (row, &distance) in truth.iter().enumerate() {
                let part = sample.batch().select(&Tensor::from_slice(&[row as i64]));
                let at = |radius: f32| {
                    attack.all_runs(&target, &part.batch(), norm, f64::from(radius)).distance.double_value(&[0])
                };
                // What is left of the random start after 40 steps of radius/16 makes an angle with the gradient whose cosine
                // is about 0.975; from the image itself, or with Auto-PGD's long first steps, nothing is left.
                let reach = if name.starts_with("pgd") { 1.05 } else { 1.005 };
                let above = at(reach * distance + 2e-6);
                assert!(
                    above >= 0.999 * f64::from(distance),
                    "{name} {norm:?}: {above} is nearer than {distance} allows"
                );
                assert!(above.is_finite(), "{name} {norm:?} fails at {reach} of the true distance {distance}");
                assert!(at(0.995 * distance).is_infinite(), "{name} {norm:?} broke an image that cannot be broken");
            }
        }
    }
}

/// Catches gradients that go to the wrong images once one of the batch is broken and left it, as in the paper's code.
#[test]
fn a_batch_each_image_alone_and_a_permuted_batch_give_the_same() {
    let target = hidden();
    let sample = Sample::of(&target, 12);
    // Two clean errors in the middle.
    for row in [3, 7] {
        let _ = sample.labels.get(row).fill_((sample.labels.int64_value(&[row]) + 1) % 4);
    }
    let order = Tensor::from_slice(&[5i64, 11, 0, 7, 2, 9, 1, 3, 10, 4, 8, 6]);
    for (norm, radii) in [(Norm::L2, [0.02, 0.05, 0.1]), (Norm::Linf, [0.003, 0.01, 0.02])] {
        for (name, attack) in attacks(2, Some(20)) {
            let distances = |batch: &Batch<'_>| {
                let mut known = Adversarials::clean(&target, batch);
                ascend(&*attack, &target, batch, norm, &radii, &mut known);
                known.distance
            };
            let together = distances(&sample.batch());
            let some = together.isfinite().sum(Kind::Int64).int64_value(&[]);
            assert!((3..12).contains(&some), "{name} {norm:?}: {some} are broken, which should be some");
            let same = |other: &Tensor, expected: &Tensor, how: &str| {
                let same = other.allclose(expected, 1e-4, 1e-6, false);
                assert!(same, "{name} {norm:?} {how}: {:?} {:?}", values(other), values(expected));
            };
            for row in 0..12 {
                let row = Tensor::from_slice(&[row]);
                same(&distances(&sample.batch().select(&row).batch()), &together.index_select(0, &row), "alone");
            }
            same(&distances(&sample.batch().select(&order).batch()), &together.index_select(0, &order), "permuted");
        }
    }
}

#[test]
fn clean_errors_lie_at_zero_and_failures_at_infinity() {
    let target = hidden();
    let sample = Sample::of(&target, 6);
    let _ = sample.labels.get(2).fill_((sample.labels.int64_value(&[2]) + 1) % 4);
    for (name, attack) in attacks(3, Some(10)) {
        let found = attack.all_runs(&target, &sample.batch(), Norm::L2, 1e-4);
        let expected: Vec<f32> = (0..6).map(|row| if row == 2 { 0.0 } else { f32::INFINITY }).collect();
        assert_eq!(values(&found.distance), expected, "{name}");
        assert!(found.images.equal(&sample.images), "{name}: where nothing was found, the clean image is returned");
    }
}

/// They are misclassified, in the ball and in the range of pixels, and their distances are measured ones.
#[test]
fn adversarial_images_are_what_is_said_of_them() {
    let target = hidden();
    let sample = Sample::of(&target, 24);
    // At the borders of the pixels' range, where clipping matters.
    let sample = Sample { images: (&sample.images * 2.5 - 0.75).clamp(0.0, 1.0), ..sample };
    let sample = Sample { labels: target.logits(&sample.images).argmax(1, false), ..sample };
    for (norm, radius) in [(Norm::L2, 0.8), (Norm::Linf, 0.1)] {
        for (name, attack) in attacks(4, None) {
            let found = attack.all_runs(&target, &sample.batch(), norm, radius);
            let broken = found.distance.isfinite();
            assert!(broken.sum(Kind::Int64).int64_value(&[]) > 3, "{name} {norm:?}");
            let wrong = target.logits(&found.images).argmax(1, false).ne_tensor(&sample.labels);
            assert!(wrong.equal(&broken), "{name} {norm:?}");
            assert!(found.images.min().double_value(&[]) >= 0.0 && found.images.max().double_value(&[]) <= 1.0);
            let measured = length(&(&found.images - &sample.images), norm);
            assert!(measured.masked_select(&broken).equal(&found.distance.masked_select(&broken)), "{name} {norm:?}");
            assert!(measured.max().double_value(&[]) <= radius, "{name} {norm:?}");
        }
    }
}

/// Another run can only break more images, as the first runs are the same.
#[test]
fn restarts_and_steps_are_never_weaker() {
    let target = hidden();
    let sample = Sample::of(&target, 64);
    let broken = |attack: &dyn FixedRadius, norm, radius| {
        attack.all_runs(&target, &sample.batch(), norm, radius).distance.isfinite()
    };
    let (mut gained_by_steps, mut gained_by_restarts) = (0, 0);
    let lost = |less: &Tensor, more: &Tensor| less.logical_and(&more.logical_not()).sum(Kind::Int64).int64_value(&[]);
    for (norm, radius) in [(Norm::L2, 0.3), (Norm::Linf, 0.05)] {
        // Of equal length, so that the first steps are the same.
        let pgd =
            |steps, restarts| Pgd { step: 0.25, ..Pgd::reference(Some(steps), restarts, AttackLoss::CrossEntropy, 5) };
        let [few, many, again] = [(2, 1), (20, 1), (2, 8)].map(|(s, r)| broken(&pgd(s, r), norm, radius));
        assert_eq!((lost(&few, &many), lost(&few, &again)), (0, 0), "{norm:?}");
        gained_by_steps += lost(&many, &few);
        gained_by_restarts += lost(&again, &few);
    }
    assert!(gained_by_steps > 0 && gained_by_restarts > 0, "{gained_by_steps} {gained_by_restarts}: too easy to tell");
}

/// Ascending and descending the grid break each image at the same step.
#[test]
fn both_ways_through_the_grid_agree() {
    let target = hidden();
    let sample = Sample::of(&target, 32);
    let radii: Vec<f64> = (1..=10).map(|step| 0.1 * f64::from(step)).collect();
    let apgd = Apgd::new(None, 1, ApgdLoss::TargetedDlr, 6);
    let [up, down] =
        [ascend, descend].map(|way: fn(&Apgd, &dyn Target, &Batch<'_>, Norm, &[f64], &mut Adversarials)| {
            let mut known = Adversarials::clean(&target, &sample.batch());
            way(&apgd, &target, &sample.batch(), Norm::L2, &radii, &mut known);
            values(&known.distance)
        });
    let step = |distance: &f32| radii.iter().position(|&radius| f64::from(*distance) <= radius).unwrap_or(10);
    let (up, down): (Vec<_>, Vec<_>) = (up.iter().map(step).collect(), down.iter().map(step).collect());
    assert!(up.iter().any(|&s| s < 5) && up.iter().max() > up.iter().min(), "{up:?}");
    assert_eq!(up, down);
}
