//! Where ProxLogBarrier begins. Any misclassified image will do; a near one saves steps.

use tandem_domain::spec::Norm;
use tch::Tensor;

use super::super::noise::{self, NoiseKey};
use super::super::{Adversarials, Batch, Target, fmn, norm, target};
use super::settings::{Settings, Steps};

/// The K images for which a start was found.
pub(super) struct StartPoints {
    /// i64 `[K]`: positions in the batch.
    pub(super) positions: Tensor,
    /// `[K, 3, H, W]`, misclassified.
    pub(super) images: Tensor,
}

impl StartPoints {
    /// These, and all that `found` has moved; the two have no image in common.
    pub(super) fn with(self, found: &Adversarials) -> Self {
        let moved = found.distance.isfinite().logical_and(&found.distance.gt(0.0)).nonzero().flatten(0, -1);
        Self {
            images: Tensor::cat(&[&self.images, &found.images.index_select(0, &moved)], 0),
            positions: Tensor::cat(&[self.positions, moved], 0),
        }
    }
}

/// In l1 and l0: where a short FMN ends.
pub(super) fn by_fmn(net: &dyn Target, batch: &Batch<'_>, norm: Norm, settings: &Settings) -> Adversarials {
    let fmn = fmn::Settings { steps: FMN_STEPS, seed: settings.seed, ..fmn::Settings::default() };
    fmn::run_one(net, batch, norm, &fmn, settings.restart)
}

/// Of FMN, before the steps in l1 and l0.
const FMN_STEPS: u32 = 40;
/// Growth of the noise from one try to the next, and the number of tries: from the published first noise to a hundred times
/// a pixel's range. For relative steps ten times fewer tries are enough, since they take off a longer distance at once; the
/// published ones end a third farther away where they begin so.
const GROWTH: (f64, u32) = (1.1, 97);
const GROWTH_PUBLISHED: (f64, u32) = (1.01, 927);
/// Newton steps towards the boundary; each is longer than the linear model asks for, by a power of this factor.
const NEWTON: u32 = 10;
const OVERSHOOT: f64 = 1.2;
/// What a Newton step adds to the logits' difference, so that it does not end on the boundary itself.
const BEYOND: f64 = 1e-3;
/// Halvings of the segment back to x before relative steps begin.
const HALVINGS: u32 = 6;

/// A start for as many images as possible of those at `correct` (i64 positions).
pub(super) fn find(
    net: &dyn Target,
    batch: &Batch<'_>,
    correct: &Tensor,
    norm: Norm,
    settings: &Settings,
    fallback: Option<&Tensor>,
) -> StartPoints {
    let mut search = StartSearch { net, batch, images: batch.images.copy(), left: correct.shallow_clone() };
    if settings.steps == Steps::Relative {
        search.newton(norm, settings);
    }
    search.noise(settings);
    if let Some(fallback) = fallback {
        let tried = fallback.index_select(0, &search.left);
        search.try_images(&tried);
    }
    let begun = batch.images.ne_tensor(&search.images).flatten(1, -1).any_dim(1, false);
    let positions = begun.nonzero().flatten(0, -1);
    let mut images = search.images.index_select(0, &positions);
    if settings.steps == Steps::Relative && positions.size()[0] > 0 {
        let pick = |all: &Tensor| all.index_select(0, &positions);
        images = target::bisect(net, &pick(batch.images), &images, &pick(batch.labels), HALVINGS);
    }
    StartPoints { positions, images }
}

struct StartSearch<'a> {
    net: &'a dyn Target,
    batch: &'a Batch<'a>,
    /// Of the whole batch: the start if there is one, else the clean image.
    images: Tensor,
    /// i64 positions without a start.
    left: Tensor,
}

impl StartSearch<'_> {
    /// Takes over those of `tried` `[left, 3, H, W]` that are misclassified.
    fn try_images(&mut self, tried: &Tensor) {
        if self.left.size()[0] == 0 {
            return;
        }
        let labels = self.batch.labels.index_select(0, &self.left);
        let wrong = target::misclassified(&target::logits(self.net, tried), &labels);
        self.accept(tried, &wrong);
    }

    fn accept(&mut self, tried: &Tensor, wrong: &Tensor) {
        let hits = wrong.nonzero().flatten(0, -1);
        self.images = self.images.index_copy(0, &self.left.index_select(0, &hits), &tried.index_select(0, &hits));
        self.left = self.left.index_select(0, &wrong.logical_not().nonzero().flatten(0, -1));
    }

    /// Noise for the images that are left, half as long as [`noise::far`].
    fn far_noise(&self, settings: &Settings, norm: Norm) -> Tensor {
        let noise = self.normal(settings, NoiseKey::PlbNewton);
        let length = norm::length(&noise, if norm == Norm::L0 { Norm::L1 } else { norm }).clamp_min(1e-12);
        noise * norm::per_image(&(length.reciprocal() * (noise::far(norm) * 0.5)))
    }

    /// Standard normal noise for the images that are left.
    fn normal(&self, settings: &Settings, key: NoiseKey) -> Tensor {
        let positions: Vec<i64> = Vec::try_from(&self.left.to_device(tch::Device::Cpu)).unwrap_or_default();
        let ids: Vec<i64> = positions.iter().map(|&place| self.batch.ids[place as usize]).collect();
        let images = self.batch.images;
        noise::normal(settings.seed, settings.restart, &ids, key, &images.size()[1..], images.device())
    }

    /// Tries x + scale·noise, with new noise at each scale.
    fn noise(&mut self, settings: &Settings) {
        let (growth, tries) = if settings.steps == Steps::Relative { GROWTH } else { GROWTH_PUBLISHED };
        for attempt in 0..tries {
            if self.left.size()[0] == 0 {
                return;
            }
            let clean = self.batch.images.index_select(0, &self.left);
            let noise = self.normal(settings, NoiseKey::Plb(attempt));
            let scale = settings.noise * growth.powi(attempt as i32);
            self.try_images(&norm::clip(&(clean + noise * scale)));
        }
    }

    /// Newton steps on the difference of the right and the best wrong logit: to where the linear model puts the boundary, and
    /// each time a little further (as DeepFool, Moosavi-Dezfooli et al. 2016, but towards one class at a time). The direction
    /// is the gradient, in l∞ its sign.
    ///
    /// They draw nothing, so that a restart begins them at a random point.
    fn newton(&mut self, norm: Norm, settings: &Settings) {
        let mut images = self.batch.images.index_select(0, &self.left);
        if settings.restart > 0 {
            images = norm::clip(&(&images + self.far_noise(settings, norm)));
        }
        for step in 0..=NEWTON {
            if self.left.size()[0] == 0 {
                return;
            }
            let labels = self.batch.labels.index_select(0, &self.left).unsqueeze(1);
            let evaluated = target::value_and_grad(self.net, &images, |logits| {
                let right = logits.gather(1, &labels, false).squeeze_dim(1);
                let others = logits.scatter_value(1, &labels, f64::NEG_INFINITY);
                right - others.amax([1i64].as_slice(), false)
            });
            let wrong = target::misclassified(&evaluated.logits, &labels.squeeze_dim(1));
            self.accept(&images, &wrong);
            let stay = wrong.logical_not().nonzero().flatten(0, -1);
            let pick = |all: &Tensor| all.index_select(0, &stay);
            let (loss, gradient) = (pick(&evaluated.loss), pick(&evaluated.gradient));
            let (direction, slope) = if norm == Norm::Linf {
                (gradient.sign(), norm::length(&gradient, Norm::L1))
            } else {
                (gradient.shallow_clone(), norm::length(&gradient, Norm::L2).square())
            };
            let length = (loss + BEYOND) / slope.clamp_min(1e-20) * OVERSHOOT.powi(step as i32 + 1);
            images = norm::clip(&(pick(&images) - direction * norm::per_image(&length)));
        }
    }
}
