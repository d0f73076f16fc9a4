//! Auto-PGD (Croce & Hein 2020, algorithm 1) in a ball of l2 or linf: PGD with momentum whose step length follows the loss.
//!
//! ```text
//! z  <- P(x + step * direction),   x' <- P(x + 0.75 (z - x) + 0.25 (x - x_before))
//! ```
//!
//! The step length begins at 2 radii and is reviewed at certain steps (the paper's checkpoints): the first 0.22 n steps
//! apart, each following interval 0.03 n shorter, down to 0.06 n (n steps in all). In a review the step of an image is halved
//! and its search goes on from its best point, if the loss rose in at most 75 % of the steps since the last review, or if
//! neither step nor best loss has changed since then.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::active::ActiveImages;
use super::fixed_radius::{FixedRadius, RunResult, Setup};
use super::loss::{AscentLoss, ranked_targets};
use super::norm::{per_image, project_and_clip};
use super::pgd::direction;
use super::target::{self, value_and_grad};
use super::{Batch, Target, noise};

const MOMENTUM: f64 = 0.75;
/// The paper's rho: the share of steps that raise the loss, if the step is not too long.
const RISES: f64 = 0.75;
/// Wrong classes that the targeted form tries, the likeliest first.
const TARGETS: i64 = 9;

/// The loss that Auto-PGD ascends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApgdLoss {
    CrossEntropy,
    /// Targeted DLR, one run for each of the nine likeliest wrong classes.
    TargetedDlr,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apgd {
    pub steps: u32,
    pub restarts: u32,
    pub loss: ApgdLoss,
    pub seed: u64,
}

impl Apgd {
    pub fn new(steps: Option<u32>, restarts: u32, loss: ApgdLoss, seed: u64) -> Self {
        Self { steps: steps.unwrap_or(100), restarts, loss, seed }
    }

    fn ascent_loss(&self, target: &dyn Target, batch: &Batch<'_>, run: u32) -> AscentLoss {
        match self.loss {
            ApgdLoss::CrossEntropy => AscentLoss::CrossEntropy,
            ApgdLoss::TargetedDlr => {
                let ranked = ranked_targets(&target::logits(target, batch.images), batch.labels);
                AscentLoss::DlrTargeted(ranked.select(1, i64::from(run / self.restarts.max(1))))
            }
        }
    }
}

impl FixedRadius for Apgd {
    fn runs(&self, target: &dyn Target) -> u32 {
        match self.loss {
            ApgdLoss::CrossEntropy => self.restarts,
            ApgdLoss::TargetedDlr => self.restarts * (target.classes() - 1).clamp(0, TARGETS) as u32,
        }
    }

    fn run(&self, setup: &Setup<'_>) -> RunResult {
        let Setup { target, batch, norm, radius, run, start } = *setup;
        let mut ascent = self.ascent_loss(target, batch, run);
        let x = match start {
            Some(start) => start.shallow_clone(),
            None => batch.images + noise::surface(batch, norm, radius, self.seed, run),
        };
        let x = project_and_clip(batch.images, &x, norm, radius);
        let mut active = ActiveImages::new(batch, &x, norm);
        let first = value_and_grad(target, &x, |logits| ascent.value(logits, &active.labels));
        let mut search = SearchState::new(x, &first.loss, &first.gradient, 2.0 * radius);
        search.remove_broken(&mut active, &mut ascent, &first.logits);

        let mut schedule = StepSchedule::new(self.steps);
        for step in 0..self.steps {
            if active.is_empty() {
                break;
            }
            search.step(&active.clean, norm, radius, if step == 0 { 1.0 } else { MOMENTUM });
            let mut evaluated = value_and_grad(target, &search.x, |logits| ascent.value(logits, &active.labels));
            if let Some(kept) = search.remove_broken(&mut active, &mut ascent, &evaluated.logits) {
                evaluated.loss = evaluated.loss.index_select(0, &kept);
                evaluated.gradient = evaluated.gradient.index_select(0, &kept);
            }
            search.update(evaluated.loss, evaluated.gradient);
            if let Some(since) = schedule.reached() {
                search.adapt_step(since);
            }
        }
        active.finish(&search.best)
    }
}

/// When the step length is reviewed.
struct StepSchedule {
    apart: u32,
    closer: u32,
    closest: u32,
    since: u32,
}

impl StepSchedule {
    fn new(steps: u32) -> Self {
        let share = |hundredths: u32| (steps * hundredths / 100).max(1);
        Self { apart: share(22), closer: share(3), closest: share(6), since: 0 }
    }

    /// Counts a step. Returns the steps since the last review if it is time for one.
    fn reached(&mut self) -> Option<u32> {
        self.since += 1;
        if self.since < self.apart {
            return None;
        }
        let since = std::mem::take(&mut self.since);
        self.apart = self.apart.saturating_sub(self.closer).max(self.closest);
        Some(since)
    }
}

/// The search of the K active images, which is the first dimension of all tensors.
struct SearchState {
    x: Tensor,
    before: Tensor,
    loss: Tensor,
    gradient: Tensor,
    best: Tensor,
    best_loss: Tensor,
    best_gradient: Tensor,
    /// f32 `[K]`
    step: Tensor,
    /// Steps since the last review that raised the loss, f32 `[K]`.
    rises: Tensor,
    /// Best loss at the last review.
    checked_loss: Tensor,
    /// Whether the last review halved the step. True at first, as the first review has nothing to compare with.
    halved: Tensor,
}

impl SearchState {
    fn new(x: Tensor, loss: &Tensor, gradient: &Tensor, step: f64) -> Self {
        Self {
            before: x.shallow_clone(),
            best: x.shallow_clone(),
            x,
            loss: loss.shallow_clone(),
            gradient: gradient.shallow_clone(),
            best_loss: loss.shallow_clone(),
            best_gradient: gradient.shallow_clone(),
            step: loss.full_like(step),
            rises: loss.zeros_like(),
            checked_loss: loss.shallow_clone(),
            halved: loss.ones_like().to_kind(Kind::Bool),
        }
    }

    /// See [`ActiveImages::remove_broken`].
    fn remove_broken(&mut self, active: &mut ActiveImages, ascent: &mut AscentLoss, logits: &Tensor) -> Option<Tensor> {
        let kept = active.remove_broken(&self.x, logits)?;
        *ascent = ascent.keep(&kept);
        for tensor in [
            &mut self.x,
            &mut self.before,
            &mut self.loss,
            &mut self.gradient,
            &mut self.best,
            &mut self.best_loss,
            &mut self.best_gradient,
            &mut self.step,
            &mut self.rises,
            &mut self.checked_loss,
            &mut self.halved,
        ] {
            *tensor = tensor.index_select(0, &kept);
        }
        Some(kept)
    }

    fn step(&mut self, clean: &Tensor, norm: Norm, radius: f64, momentum: f64) {
        let ahead = &self.x + direction(&self.gradient, norm) * per_image(&self.step);
        let ahead = project_and_clip(clean, &ahead, norm, radius);
        let moved = &self.x + (ahead - &self.x) * momentum + (&self.x - &self.before) * (1.0 - momentum);
        self.before = std::mem::replace(&mut self.x, project_and_clip(clean, &moved, norm, radius));
    }

    fn update(&mut self, loss: Tensor, gradient: Tensor) {
        self.rises = &self.rises + loss.gt_tensor(&self.loss).to_kind(Kind::Float);
        let better = loss.gt_tensor(&self.best_loss);
        self.best = self.x.where_self(&per_image(&better), &self.best);
        self.best_gradient = gradient.where_self(&per_image(&better), &self.best_gradient);
        self.best_loss = loss.maximum(&self.best_loss);
        (self.loss, self.gradient) = (loss, gradient);
    }

    /// The review, `since` steps after the last one. "At most" 75 % is the authors' code; the paper has "less than".
    fn adapt_step(&mut self, since: u32) {
        let too_long = self.rises.le(RISES * f64::from(since));
        let stuck = self.halved.logical_not().logical_and(&self.best_loss.le_tensor(&self.checked_loss));
        self.halved = too_long.logical_or(&stuck);
        self.step = (&self.step / 2.0).where_self(&self.halved, &self.step);
        self.x = self.best.where_self(&per_image(&self.halved), &self.x);
        self.gradient = self.best_gradient.where_self(&per_image(&self.halved), &self.gradient);
        self.checked_loss = self.best_loss.shallow_clone();
        self.rises = self.rises.zeros_like();
    }
}
