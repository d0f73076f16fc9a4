//! The input-gradient penalty of eqs. (2) and (3): its value, its scaling, and the direction of its finite difference.
//! `shards` differentiates it.

use tandem_domain::spec::{self, Direction, PenaltyScaling};
use tch::{Kind, Tensor};

use crate::objective::{Objective, Views};

/// Batch size of the paper's experiments, which `rescale` refers lambda to.
const PAPER_BATCH: f64 = 128.0;

/// Eqs. (2) and (3): `coefficient · ‖g‖²`, where g, of any shape, is the gradient of the *mean* loss by all images, and
/// the coefficient is [`coefficient`]'s.
pub fn tikhonov(gradient: &Tensor, coefficient: f64) -> Tensor {
    gradient.square().sum(None::<Kind>) * coefficient
}

/// The factor of S, the sum over rows of ‖∇ₓL‖² of the mean loss L. A batch of N `images` makes M = N rows of a
/// classifier and M = 2N of contrastive pretraining.
///
/// | scaling | classifier | contrastive |
/// |---|---|---|
/// | per_sample, eq. (2) | λ/2 · M | λ/2 · M |
/// | batch_sum, eq. (3) | λ/2 | λ/2 · 1/2: the mean of the two views |
/// | paper_code | λ/2 / M | as eq. (3) |
///
/// Eq. (2) squares the gradient of each image's own loss. The mean loss has 1/M of it, so that M · S is the mean of
/// these squares. The code behind Table 2 squared the gradients of the batch's mean loss and took their mean: 1/N² of
/// eq. (2).
///
/// A batch repeated twice has the same per_sample penalty and half the batch_sum penalty (with NT-Xent if the negatives
/// are held fixed, since a repeated image is a false negative of itself).
pub fn coefficient(lambda: f64, scaling: Option<PenaltyScaling>, views: Views, images: u32) -> f64 {
    let rows = f64::from(images) * views.count() as f64;
    let scaling = scaling.unwrap_or(match views {
        Views::One => PenaltyScaling::PerSample,
        Views::Two => PenaltyScaling::BatchSum,
    });
    let factor = match (scaling, views) {
        (PenaltyScaling::PerSample, _) => rows,
        (PenaltyScaling::BatchSum | PenaltyScaling::PaperCode, Views::Two) => 0.5,
        (PenaltyScaling::BatchSum, Views::One) => 1.0,
        (PenaltyScaling::PaperCode, Views::One) => 1.0 / rows,
    };
    lambda / 2.0 * factor
}

/// The lambda that the penalty uses, for a batch of `images`.
pub fn lambda(spec: &spec::Tikhonov, images: u32) -> f64 {
    if spec.rescale { spec.lambda * f64::from(images) / PAPER_BATCH } else { spec.lambda }
}

impl Objective<'_> {
    /// With the penalty of eq. (2) or (3) on batches of `images`.
    pub fn tikhonov(mut self, spec: &spec::Tikhonov, images: u32) -> Self {
        let coefficient = coefficient(lambda(spec, images), spec.scaling, self.views, images);
        self.terms.iter_mut().for_each(|term| term.penalty = coefficient);
        self.differentiated(spec)
    }
}

/// A note for people about a rescaled lambda; `None` if it is not rescaled.
pub fn rescale_note(spec: &spec::Tikhonov, images: u32) -> Option<String> {
    (spec.rescale && spec.lambda != 0.0).then(|| {
        format!(
            "tikhonov.lambda {} is used as {} = lambda · {images}/{PAPER_BATCH}: the penalty of eq. (3) falls as 1/N, so \
             that a lambda of the paper's batch of {PAPER_BATCH} means the same at N = {images}",
            spec.lambda,
            lambda(spec, images)
        )
    })
}

/// The direction v of the finite difference of a gradient g: the unit vector for which the penalty's S is <g, v>².
///
/// The elements of g form groups. Group j has a direction v_j, named after the norm that <g_j, v_j> measures (Finlay &
/// Oberman 2019): `g/‖g‖₂` gives ‖g‖₂; `sign(g)/√d` gives ‖g‖₁/√d; the sign of the largest element, and 0 elsewhere,
/// gives ‖g‖∞. Then `S = sum of <g_j, v_j>²` and `v = sum of <g_j, v_j> v_j / √S`. Each image of a classifier is a
/// group; the contrastive loss has one group, of all rows. With the 2-norm S is the same, and exact, either way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbation {
    pub direction: Direction,
    /// Each image is a group; otherwise the batch is.
    pub by_image: bool,
}

impl Perturbation {
    /// Length in the 2-norm of the step of a batch of `rows` along v: each image moves by `h` in root mean square,
    /// whatever the batch size. Where a single element moves, it moves by `h`.
    pub fn step(self, h: f64, rows: i64) -> f64 {
        match (self.direction, self.by_image) {
            (Direction::Linf, false) => h,
            _ => h * (rows as f64).sqrt(),
        }
    }

    /// A shard's share of S, from its gradient `[B, ...]`: an f64 scalar, for [`size`](Self::size).
    pub fn measure(self, gradient: &Tensor) -> Tensor {
        let magnitudes = gradient.flatten(1, -1).abs();
        match (self.direction, self.by_image) {
            (Direction::L2, _) => magnitudes.square().sum(Kind::Double),
            (Direction::L1, true) => {
                let sums = magnitudes.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
                sums.square().sum(Kind::Double) / magnitudes.size()[1] as f64
            }
            (Direction::L1, false) => magnitudes.sum(Kind::Double),
            (Direction::Linf, true) => magnitudes.amax([1i64].as_slice(), false).square().sum(Kind::Double),
            (Direction::Linf, false) => magnitudes.max().to_kind(Kind::Double),
        }
    }

    /// √S, from the measures of all shards in order; `elements` counts those of the whole batch.
    pub fn size(self, measures: &Tensor, elements: i64) -> f64 {
        match (self.direction, self.by_image) {
            (Direction::L1, false) => measures.sum(Kind::Double).double_value(&[]) / (elements as f64).sqrt(),
            (Direction::Linf, false) => measures.max().double_value(&[]),
            _ => measures.sum(Kind::Double).double_value(&[]).sqrt(),
        }
    }

    /// A shard's slice of v, shaped as its gradient. `size` is √S; `shard` and `measures` tell which shard holds the
    /// largest element of all.
    pub fn unit(self, gradient: &Tensor, size: f64, measures: &Tensor, shard: i64, elements: i64) -> Tensor {
        let flat = gradient.flatten(1, -1);
        let unit = match (self.direction, self.by_image) {
            (Direction::L2, _) => flat / size,
            (Direction::L1, true) => {
                let mean = flat.abs().mean_dim([1i64].as_slice(), true, None);
                flat.sign() * mean / size
            }
            (Direction::L1, false) => flat.sign() / (elements as f64).sqrt(),
            (Direction::Linf, true) => largest(&flat) / size,
            (Direction::Linf, false) if measures.argmax(0, false).int64_value(&[]) == shard => {
                largest(&flat.view([1, -1])).sign()
            }
            (Direction::Linf, false) => flat.zeros_like(),
        };
        unit.view_as(gradient)
    }
}

/// Each row's element of largest magnitude, with zeros elsewhere.
fn largest(rows: &Tensor) -> Tensor {
    let place = rows.abs().argmax(1, true);
    rows.zeros_like().scatter(1, &place, &rows.gather(1, &place, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, for N = 64 images and λ = 2.
    #[test]
    fn coefficients_are_those_of_the_equations() {
        let found = |scaling, views| coefficient(2.0, scaling, views, 64);
        let cases = [
            (PenaltyScaling::PerSample, 64.0, 128.0),
            (PenaltyScaling::BatchSum, 1.0, 0.5),
            (PenaltyScaling::PaperCode, 1.0 / 64.0, 0.5),
        ];
        for (scaling, classifier, contrastive) in cases {
            assert_eq!(found(Some(scaling), Views::One), classifier, "{scaling:?}");
            assert_eq!(found(Some(scaling), Views::Two), contrastive, "{scaling:?}");
        }
        assert_eq!((found(None, Views::One), found(None, Views::Two)), (64.0, 0.5), "eq. (2), and eq. (3)");
    }

    #[test]
    fn a_rescaled_lambda_says_why() {
        let spec = spec::Tikhonov { lambda: 0.5, rescale: true, ..spec::Tikhonov::default() };
        assert_eq!(lambda(&spec, 512), 2.0);
        let note = rescale_note(&spec, 512).unwrap();
        assert!(note.contains("used as 2") && note.contains("512/128") && note.contains("1/N"), "{note}");
        let plain = spec::Tikhonov { rescale: false, ..spec };
        assert_eq!((lambda(&plain, 512), rescale_note(&plain, 512)), (0.5, None));
    }
}
