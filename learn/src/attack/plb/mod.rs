//! ProxLogBarrier (Pooladian et al. 2020, "A principled approach for generating adversarial images under non-smooth
//! dissimilarity metrics"): minimise ‖z − x‖ over misclassified z in [0, 1].
//!
//! The iterate stays misclassified throughout. A barrier −a·log m(z), m = (largest wrong − right) softmax probability,
//! keeps it off the boundary with a force that falls from round to round; the norm itself acts through its proximal
//! operator, so norms without a gradient are minimised like smooth ones; a step that crosses the boundary is taken back.
//!
//! There are two rules for the length of a step ([`Steps`]). `Published` is the published algorithm with the constants of
//! [`Plb`](tandem_domain::spec::Plb). Its weight mu = 1 is longer than most perturbations and maps the iterate to x itself;
//! the step is then 5 % of the way to x, and the barrier acts only close to the boundary. `Relative` measures both forces by
//! the iterate's own distance and needs far fewer gradients in l2 and l∞. In l1 and l0, where a gradient moves elements by the
//! thousand, it begins where a short FMN ends, and goes on with steps of few elements ([`sparse`]).

mod settings;
mod sparse;
mod start;
mod step;

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::{Adversarials, Batch, Target, loss, norm, target};
pub use settings::{Settings, Steps};

/// `Relative`: rounds of one step each.
const RELATIVE_ROUNDS: u32 = 20;
/// `Relative`: the first and the last share that the norm takes off, with a geometric sequence between them.
const SHARE: (f64, f64) = (0.7, 0.02);
/// `Relative`: what a backtracking step keeps of the failed point.
const RELATIVE_GAMMA: f64 = 0.3;
/// In l0 and l1: rounds, and the first share that the norm takes off. A step that stays misclassified makes the next one
/// longer, another one makes it shorter.
const SPARSE_ROUNDS: u32 = 10;
const FIRST_SHARE: (f64, f64) = (0.3, 0.1);
const GROWTH: (f64, f64) = (1.3, 0.4);
const LARGEST_SHARE: f64 = 0.7;
/// Backtracking steps, after which the iterate stays where it was. At gamma = 0.05 the fifth is below the rounding of a
/// pixel.
const BACKTRACKS: u32 = 5;
/// `early_stop`: an image whose distance has not fallen by this share ...
const PROGRESS: f64 = 1e-3;
/// ... in so many rounds leaves the batch.
const PATIENCE: u32 = 5;
/// Halvings of the final segment: the last is 0.4 % of the distance.
const HALVINGS: u32 = 8;

/// Nearest misclassified images in any of the four norms.
///
/// `fallback` `[B, 3, H, W]` are rightly classified images of other classes, where a row starts if nothing else works. A row
/// for which no misclassified image was found has distance +inf.
pub fn run(
    net: &dyn Target,
    batch: &Batch<'_>,
    norm: Norm,
    settings: &Settings,
    fallback: Option<&Tensor>,
) -> Adversarials {
    let mut found = Adversarials::clean(net, batch);
    if is_sparse(norm, settings) {
        found = start::by_fmn(net, batch, norm, settings);
    }
    // What FMN did not find begins as in other norms.
    let left = found.distance.isinf().nonzero().flatten(0, -1);
    let start = start::find(net, batch, &left, norm, settings, fallback).with(&found);
    let mut state = PlbState::new(batch, &start, norm);
    let (rounds, inner) = match settings.steps {
        Steps::Published | Steps::Paper => (settings.constants.outer, settings.constants.inner),
        Steps::Relative if is_sparse(norm, settings) => (SPARSE_ROUNDS, 1),
        Steps::Relative => (RELATIVE_ROUNDS, 1),
    };
    for round in 0..rounds {
        if state.positions.size()[0] == 0 {
            break;
        }
        for _ in 0..inner {
            state.advance(net, norm, settings, round);
        }
        let check = settings.constants.early_stop && settings.steps != Steps::Paper && (round + 1) % PATIENCE == 0;
        if check {
            state.remove_stalled(&mut found);
        }
    }
    state.write_back(&mut found);
    if settings.steps != Steps::Paper {
        polish(net, batch, &mut found, norm);
    }
    found
}

/// Whether steps are [`sparse`].
fn is_sparse(norm: Norm, settings: &Settings) -> bool {
    settings.steps == Steps::Relative && matches!(norm, Norm::L0 | Norm::L1)
}

/// Moves the results to the boundary on the segment to x, except in l0, which does not change along it, and checks all of
/// them once more with the net.
fn polish(net: &dyn Target, batch: &Batch<'_>, found: &mut Adversarials, norm: Norm) {
    let halvings = if norm == Norm::L0 { 0 } else { HALVINGS };
    let reached = found.distance.isfinite().logical_and(&found.distance.gt(0.0)).nonzero().flatten(0, -1);
    if reached.size()[0] == 0 {
        return;
    }
    let pick = |all: &Tensor| all.index_select(0, &reached);
    let (clean, labels) = (pick(batch.images), pick(batch.labels));
    let nearest = target::bisect(net, &clean, &pick(&found.images), &labels, halvings);
    let wrong = target::misclassified(&target::logits(net, &nearest), &labels);
    let distance = norm::length(&(&nearest - &clean), norm);
    let infinite = distance.full_like(f64::INFINITY);
    found.images = found.images.index_copy(0, &reached, &nearest.where_self(&norm::per_image(&wrong), &clean));
    found.distance = found.distance.index_copy(0, &reached, &distance.where_self(&wrong, &infinite));
}

/// The search of the K images that have not left the batch.
struct PlbState {
    /// i64 `[K]`: positions in the batch.
    positions: Tensor,
    clean: Tensor,
    labels: Tensor,
    /// z, misclassified.
    current: Tensor,
    /// The nearest z so far, and how near.
    best: Tensor,
    distance: Tensor,
    /// f32 `[K]`: the share that the next step takes off, in l1 and l0.
    share: Tensor,
    /// `distance` when progress was last checked.
    checked_distance: Tensor,
}

impl PlbState {
    fn new(batch: &Batch<'_>, start: &start::StartPoints, norm: Norm) -> Self {
        let pick = |all: &Tensor| all.index_select(0, &start.positions);
        let (clean, labels) = (pick(batch.images), pick(batch.labels));
        let distance = norm::length(&(&start.images - &clean), norm);
        Self {
            positions: start.positions.shallow_clone(),
            clean,
            labels,
            current: start.images.copy(),
            best: start.images.copy(),
            checked_distance: distance.full_like(f64::INFINITY),
            share: distance.full_like(if norm == Norm::L0 { FIRST_SHARE.0 } else { FIRST_SHARE.1 }),
            distance,
        }
    }

    /// One step of every row: both forces, then backtracking where the boundary was crossed.
    fn advance(&mut self, net: &dyn Target, norm: Norm, settings: &Settings, round: u32) {
        if is_sparse(norm, settings) {
            return self.advance_sparse(net, norm);
        }
        let evaluated = target::value_and_grad(net, &self.current, |logits| log_margin(logits, &self.labels));
        let constants = &settings.constants;
        let (candidate, gamma) = match settings.steps {
            Steps::Published | Steps::Paper => (
                step::published(norm, &self.clean, &self.current, &evaluated.gradient, constants, round),
                constants.gamma,
            ),
            Steps::Relative => {
                let done = f64::from(round) / f64::from(RELATIVE_ROUNDS - 1);
                let share = SHARE.0 * (SHARE.1 / SHARE.0).powf(done);
                (step::relative(norm, &self.clean, &self.current, &evaluated.gradient, share), RELATIVE_GAMMA)
            }
        };
        self.current = self.backtrack(net, candidate, gamma);
        let distance = norm::length(&(&self.current - &self.clean), norm);
        let nearer = distance.le_tensor(&self.distance);
        self.best = self.current.where_self(&norm::per_image(&nearer), &self.best);
        self.distance = distance.where_self(&nearer, &self.distance);
    }

    /// One step of every row in l1 or l0. The share grows after a step that stays misclassified and falls after one that does
    /// not, which is taken back.
    fn advance_sparse(&mut self, net: &dyn Target, norm: Norm) {
        let evaluated = target::value_and_grad(net, &self.current, |logits| loss::margin(logits, &self.labels));
        let model = sparse::Linearised {
            clean: &self.clean,
            current: &self.current,
            margin: &evaluated.loss,
            gradient: &evaluated.gradient,
        };
        let candidate = model.step(norm, &self.share);
        let mut stays = target::misclassified(&target::logits(net, &candidate), &self.labels);
        if norm == Norm::L0 {
            let fewer = norm::length(&(&candidate - &self.clean), norm).le_tensor(&self.distance);
            stays = stays.logical_and(&fewer);
        }
        self.share = (&self.share * GROWTH.0).clamp_max(LARGEST_SHARE).where_self(&stays, &(&self.share * GROWTH.1));
        self.current = candidate.where_self(&norm::per_image(&stays), &self.current);
        let distance = norm::length(&(&self.current - &self.clean), norm);
        let nearer = distance.le_tensor(&self.distance);
        self.best = self.current.where_self(&norm::per_image(&nearer), &self.best);
        self.distance = distance.where_self(&nearer, &self.distance);
    }

    /// w ← γ·w + (1 − γ)·z for rows that are classified rightly, at most [`BACKTRACKS`] times, then w ← z.
    fn backtrack(&self, net: &dyn Target, mut candidate: Tensor, gamma: f64) -> Tensor {
        let crossed = |images: &Tensor, labels: &Tensor| {
            target::misclassified(&target::logits(net, images), labels).logical_not().nonzero().flatten(0, -1)
        };
        let mut back = crossed(&candidate, &self.labels);
        for _ in 0..BACKTRACKS {
            if back.size()[0] == 0 {
                return candidate;
            }
            let inside = self.current.index_select(0, &back);
            let nearer = candidate.index_select(0, &back) * gamma + inside * (1.0 - gamma);
            candidate = candidate.index_copy(0, &back, &nearer);
            back = back.index_select(0, &crossed(&nearer, &self.labels.index_select(0, &back)));
        }
        candidate.index_copy(0, &back, &self.current.index_select(0, &back))
    }

    /// Writes all rows to `found` and goes on with those that still come nearer.
    fn remove_stalled(&mut self, found: &mut Adversarials) {
        let falls = self.distance.lt_tensor(&(&self.checked_distance * (1.0 - PROGRESS)));
        let stay = falls.nonzero().flatten(0, -1);
        self.write_back(found);
        self.checked_distance = self.distance.shallow_clone();
        for tensor in [
            &mut self.positions,
            &mut self.clean,
            &mut self.labels,
            &mut self.current,
            &mut self.best,
            &mut self.distance,
            &mut self.share,
            &mut self.checked_distance,
        ] {
            *tensor = tensor.index_select(0, &stay);
        }
    }

    fn write_back(&self, found: &mut Adversarials) {
        found.images = found.images.index_copy(0, &self.positions, &self.best);
        found.distance = found.distance.index_copy(0, &self.positions, &self.distance);
    }
}

/// log m of each row of logits `[B, C]`, m = max_{c≠y} p_c − p_y > 0. Computed as log p_c + log(1 − p_y/p_c) from logarithms
/// of probabilities, so that saturated rows and rows on the boundary keep a gradient.
fn log_margin(logits: &Tensor, labels: &Tensor) -> Tensor {
    let log_p = logits.log_softmax(1, Kind::Float);
    let labels = labels.unsqueeze(1);
    let right = log_p.gather(1, &labels, false).squeeze_dim(1);
    let wrong = log_p.scatter_value(1, &labels, f64::NEG_INFINITY).amax([1i64].as_slice(), false);
    // Equal probabilities may count as misclassified, and log 0 is infinite.
    let gap = right - &wrong - 1e-7;
    wrong + (-gap.expm1()).log()
}

#[cfg(test)]
mod tests;
