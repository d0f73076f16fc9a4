//! Projected gradient descent in a ball of l2 or linf (Madry et al. 2018).
//!
//! ```text
//! x <- clip(x0 + project(x + step * direction - x0)),   direction = g / |g| (l2) or sign(g) (linf)
//! ```
//!
//! The projection comes before the clipping to [0, 1]. An image leaves the batch with its first misclassified iterate.

use tandem_domain::spec::{AttackLoss, Norm};
use tch::Tensor;

use super::active::ActiveImages;
use super::fixed_radius::{FixedRadius, RunResult, Setup};
use super::loss::AscentLoss;
use super::norm::{per_image, project_and_clip, unit};
use super::target::{self, value_and_grad};
use super::{Batch, Target, noise};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    pub steps: u32,
    /// Length of a step as a share of the radius.
    pub step: f64,
    /// Whether it begins at a random point of the ball, and at a larger radius where it ended before; else it always begins
    /// at the image itself.
    pub random_start: bool,
    pub restarts: u32,
    pub loss: AttackLoss,
    pub seed: u64,
}

impl Pgd {
    /// Steps whose lengths add up to 2.5 radii (the code of Madry et al. 2018).
    pub fn reference(steps: Option<u32>, restarts: u32, loss: AttackLoss, seed: u64) -> Self {
        let steps = steps.unwrap_or(40);
        Self { steps, step: 2.5 / f64::from(steps.max(1)), random_start: true, restarts, loss, seed }
    }

    /// As the code of our paper: 20 steps of radius/10 from the image itself.
    pub fn paper(steps: Option<u32>, loss: AttackLoss) -> Self {
        Self { steps: steps.unwrap_or(20), step: 0.1, random_start: false, restarts: 1, loss, seed: 0 }
    }

    fn initial(&self, batch: &Batch<'_>, norm: Norm, radius: f64, run: u32, start: Option<&Tensor>) -> Tensor {
        match start {
            Some(start) if self.random_start => start.shallow_clone(),
            None if self.random_start => batch.images + noise::inside(batch, norm, radius, self.seed, run),
            _ => batch.images.shallow_clone(),
        }
    }
}

impl FixedRadius for Pgd {
    fn runs(&self, _: &dyn Target) -> u32 {
        // Every run from the image itself is the same.
        if self.random_start { self.restarts } else { self.restarts.min(1) }
    }

    fn run(&self, setup: &Setup<'_>) -> RunResult {
        let Setup { target, batch, norm, radius, run, start } = *setup;
        let ascent = AscentLoss::from(self.loss);
        let mut x = project_and_clip(batch.images, &self.initial(batch, norm, radius, run, start), norm, radius);
        let mut active = ActiveImages::new(batch, &x, norm);
        let (mut best, mut best_loss) = (x.shallow_clone(), None::<Tensor>);
        for _ in 0..self.steps {
            let mut evaluated = value_and_grad(target, &x, |logits| ascent.value(logits, &active.labels));
            if let Some(kept) = active.remove_broken(&x, &evaluated.logits) {
                for tensor in [&mut x, &mut best, &mut evaluated.loss, &mut evaluated.gradient] {
                    *tensor = tensor.index_select(0, &kept);
                }
                best_loss = best_loss.map(|loss| loss.index_select(0, &kept));
            }
            if active.is_empty() {
                break;
            }
            (best, best_loss) = higher(&x, &evaluated.loss, &best, best_loss);
            let step = direction(&evaluated.gradient, norm) * (self.step * radius);
            x = project_and_clip(&active.clean, &(&x + step), norm, radius);
        }
        if !active.is_empty() {
            let logits = target::logits(target, &x);
            let mut loss = ascent.value(&logits, &active.labels);
            if let Some(kept) = active.remove_broken(&x, &logits) {
                for tensor in [&mut x, &mut best, &mut loss] {
                    *tensor = tensor.index_select(0, &kept);
                }
                best_loss = best_loss.map(|loss| loss.index_select(0, &kept));
            }
            (best, _) = higher(&x, &loss, &best, best_loss);
        }
        active.finish(&best)
    }
}

/// Image by image, the iterate with the higher loss, and that loss.
fn higher(x: &Tensor, loss: &Tensor, best: &Tensor, best_loss: Option<Tensor>) -> (Tensor, Option<Tensor>) {
    match best_loss {
        None => (x.shallow_clone(), Some(loss.shallow_clone())),
        Some(known) => {
            let higher = loss.gt_tensor(&known);
            (x.where_self(&per_image(&higher), best), Some(loss.maximum(&known)))
        }
    }
}

/// Steepest ascent per unit of the norm.
pub(super) fn direction(gradient: &Tensor, norm: Norm) -> Tensor {
    match norm {
        Norm::Linf => gradient.sign(),
        _ => unit(gradient),
    }
}
