//! FAB-T, the targeted fast adaptive boundary attack (Croce & Hein 2020, "Minimally distorted adversarial examples with a
//! fast adaptive boundary attack"): the smallest perturbation in l1, l2 or linf, towards one other class at a time.
//!
//! An iteration linearises the boundary between the right class and the target class at the iterate. It takes the shortest
//! ways onto it inside [0, 1], one from the iterate and one from the clean image, and goes a little beyond a mixture of the
//! two. A misclassified iterate moves back towards the clean image. There is no step length to choose.

mod hyperplane;

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

pub use hyperplane::shortest;

use super::noise::{self, NoiseKey};
use super::{Adversarials, Batch, Target, norm, target};

/// The published constants are the default.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For each target class and restart.
    pub iterations: u32,
    /// The first run begins at the clean image, the others at random points near it.
    pub restarts: u32,
    /// Number of target classes: those with the largest logits for the clean image.
    pub targets: u32,
    /// Largest share in the mixture of the way from the clean image.
    pub alpha_max: f64,
    /// Factor on both ways, by which they go beyond the linearised boundary.
    pub eta: f64,
    /// The share that is kept of a misclassified iterate's perturbation.
    pub beta: f64,
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { iterations: 100, restarts: 1, targets: 9, alpha_max: 0.1, eta: 1.05, beta: 0.9, seed: 0 }
    }
}

/// Halvings of the final segment.
const HALVINGS: u32 = 10;

/// Nearest misclassified images in l1, l2 or linf. FAB has no form for l0, in which it breaks nothing.
pub fn run(net: &dyn Target, batch: &Batch<'_>, norm: Norm, settings: &Settings) -> Adversarials {
    if norm == Norm::L0 {
        return Adversarials::clean(net, batch);
    }
    Adversarials::of_right(net, batch, |right| attack(net, right, norm, settings))
}

/// Attacks images that are all classified rightly.
fn attack(net: &dyn Target, batch: &Batch<'_>, norm: Norm, settings: &Settings) -> Adversarials {
    let mut found = Adversarials::clean(net, batch);
    let labels = batch.labels.unsqueeze(1);
    let others = target::logits(net, batch.images).scatter_value(1, &labels, f64::NEG_INFINITY);
    let (_, order) = others.sort(1, true);
    for restart in 0..settings.restarts.max(1) {
        for rank in 0..i64::from(settings.targets).min(net.classes() - 1) {
            let class = order.narrow(1, rank, 1);
            let start = match restart {
                0 => batch.images.shallow_clone(),
                _ => random_start(batch, norm, settings, restart, rank as u32, &found.distance),
            };
            approach_class(net, batch, &class, norm, settings, start, &mut found);
        }
    }
    found.bisect(net, batch, norm, HALVINGS);
    found
}

/// All iterations towards `class` `[B, 1]`; improves `found`.
fn approach_class(
    net: &dyn Target,
    batch: &Batch<'_>,
    class: &Tensor,
    norm: Norm,
    settings: &Settings,
    start: Tensor,
    found: &mut Adversarials,
) {
    let (clean, labels) = (batch.images, batch.labels.unsqueeze(1));
    let dot = |a: &Tensor, b: Tensor| norm::rows(&(a * b)).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    let mut current = start;
    for _ in 0..settings.iterations {
        // f < 0 where the right class has the larger logit; the boundary is f = 0.
        let evaluated = target::value_and_grad(net, &current, |logits| {
            (logits.gather(1, class, false) - logits.gather(1, &labels, false)).squeeze_dim(1)
        });
        let normal = norm::rows(&evaluated.gradient);
        // On the linearised boundary f + ∇f·(y − x) = 0, seen from the iterate and from the clean image.
        let gap = -&evaluated.loss;
        let clean_gap = &gap - dot(&evaluated.gradient, clean - &current);
        let onto = |from: &Tensor, gap: &Tensor| shortest(norm, &norm::rows(from), &normal, gap).view_as(clean);
        let (way, clean_way) = (onto(&current, &gap), onto(clean, &clean_gap));
        let length = |way: &Tensor| norm::length(way, norm).clamp_min(1e-8);
        let alpha = length(&way) / (length(&way) + length(&clean_way));
        let alpha = norm::per_image(&alpha.clamp_max(settings.alpha_max));
        let beyond = &current + way * settings.eta;
        let from_clean = clean + clean_way * settings.eta;
        current = norm::clip(&(&beyond + (from_clean - &beyond) * alpha));

        let wrong = target::misclassified(&target::logits(net, &current), batch.labels);
        found.improve(clean, &current, &wrong, norm);
        let back = clean + (&current - clean) * settings.beta;
        current = back.where_self(&norm::per_image(&wrong), &current);
    }
}

/// A random direction, half as far as the best known distance or [`noise::far`].
fn random_start(batch: &Batch<'_>, norm: Norm, settings: &Settings, restart: u32, rank: u32, known: &Tensor) -> Tensor {
    let shape = &batch.images.size()[1..];
    let noise = noise::normal(settings.seed, restart, batch.ids, NoiseKey::Fab(rank), shape, batch.images.device());
    let length = known.clamp_max(noise::far(norm)) * 0.5 / norm::length(&noise, norm).clamp_min(1e-12);
    norm::clip(&(batch.images + noise * norm::per_image(&length)))
}

#[cfg(test)]
mod tests;
