//! SGD, LARS and Adam on the flat parameter vector, in place and deterministic.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use tandem_domain::spec;
use tch::{Device, Tensor};

use crate::flat::{FlatTensors, Layout};

/// Turns gradients into updates. Its only state is `moments`.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    groups: Vec<ParamGroup>,
    /// The velocity and, for Adam, the mean square of the gradient; each laid out as the parameters.
    moments: Vec<FlatTensors>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// torch.optim.SGD: v <- m v + (g + d w); w <- w - lr v. Decay d reaches every parameter.
    Sgd,
    /// SimCLR's LARS (You et al. 2017), the learning rate inside the momentum: v <- m v + lr s (g + d w); w <- w - v,
    /// with s = trust ‖w‖ / ‖g + d w‖ for each matrix; biases and BatchNorm are neither decayed nor scaled.
    Lars { trust: f64 },
    /// torch.optim.Adam (Kingma & Ba 2015), decay in the gradient as in SGD: v <- m v + (1 - m) g, s <- b s + (1 - b)
    /// g², w <- w - lr v' / (√s' + e), where v' = v / (1 - m^t) and s' = s / (1 - b^t) at the t-th update.
    Adam,
}

/// Adam's beta2 and epsilon: torch's.
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Consecutive parameters that train alike: torch's parameter group.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamGroup {
    /// Indexes of the layout's slots.
    pub slots: Range<usize>,
    /// Factor of the learning rate.
    pub lr_factor: f64,
    /// The first update, counted from 0, that moves them.
    pub first_update: u64,
}

impl Optimizer {
    /// With one group of all parameters.
    pub fn new(spec: &spec::Optimizer, parameters: &FlatTensors) -> Self {
        let rule = match spec.name {
            spec::OptimizerName::Sgd => Rule::Sgd,
            spec::OptimizerName::Lars => Rule::Lars { trust: spec.trust },
            spec::OptimizerName::Adam => Rule::Adam,
        };
        let moments = if rule == Rule::Adam { 2 } else { 1 };
        let moment = |_| FlatTensors::zeros(parameters.layout().clone(), parameters.vector().device());
        Self {
            rule,
            momentum: spec.momentum,
            nesterov: spec.nesterov,
            weight_decay: spec.weight_decay,
            groups: vec![ParamGroup { slots: 0..parameters.layout().slots().len(), lr_factor: 1.0, first_update: 0 }],
            moments: (0..moments).map(moment).collect(),
        }
    }

    /// Parameters in no group never change.
    pub fn with_groups(self, groups: Vec<ParamGroup>) -> Self {
        Self { groups, ..self }
    }

    /// The moments, by the names that a checkpoint gives them.
    pub fn state(&self) -> impl Iterator<Item = (&'static str, &FlatTensors)> {
        ["velocity.", "square."].into_iter().zip(&self.moments)
    }

    /// Makes update number `update`, counted from 0, at learning rate `lr`. `gradient` is laid out as the parameters,
    /// and may be overwritten.
    pub fn step(&mut self, parameters: &FlatTensors, gradient: Tensor, lr: f64, update: u64) {
        tch::no_grad(|| {
            for group in self.groups.iter().filter(|group| update >= group.first_update) {
                self.update(group, parameters, &gradient, lr * group.lr_factor, update - group.first_update + 1);
            }
        });
    }

    /// `nth` counts the group's own updates, from 1.
    fn update(&self, group: &ParamGroup, parameters: &FlatTensors, gradient: &Tensor, lr: f64, nth: u64) {
        let slots = &parameters.layout().slots()[group.slots.clone()];
        let range = |vector: &Tensor| range(vector, parameters.layout(), &group.slots);
        let (decay, momentum) = (Decay(self.weight_decay), Momentum { factor: self.momentum, nesterov: self.nesterov });
        let (weights, velocity) = (parameters.vector(), self.moments[0].vector());
        match self.rule {
            Rule::Sgd => in_pieces([weights, velocity, gradient].map(range), |[weights, velocity, gradient]| {
                let gradient = decay.of(&gradient, &weights);
                momentum.descend(weights, velocity, &gradient, lr);
            }),
            Rule::Lars { trust } if weights.device() == Device::Cpu => {
                on_threads([weights, velocity, gradient], slots.len(), |i, vectors| {
                    // From the last slot on: the largest are there, and no thread should start one when the others are
                    // done.
                    let slot = &slots[slots.len() - 1 - i];
                    let matrix = slot.role.is_matrix();
                    let decay = if matrix { decay } else { Decay(0.0) };
                    let pieces = pieces(vectors.each_ref().map(|vector| slot.view(vector).view(-1)));
                    let gradients: Vec<Tensor> = pieces.iter().map(|[w, _, g]| decay.of(g, w)).collect();
                    let norm = |parts: Vec<Tensor>| Tensor::stack(&parts, 0).norm();
                    let scale = matrix.then(|| {
                        let weights = norm(pieces.iter().map(|[weights, ..]| weights.norm()).collect());
                        scale(weights, norm(gradients.iter().map(Tensor::norm).collect()), trust) * lr
                    });
                    for ([weights, velocity, _], mut gradient) in pieces.into_iter().zip(gradients) {
                        let gradient = match &scale {
                            Some(scale) => gradient.g_mul_(scale),
                            None => gradient * lr,
                        };
                        momentum.descend(weights, velocity, &gradient, 1.0);
                    }
                });
            }
            // On GPUs few operations matter more than few bytes.
            Rule::Lars { trust } => {
                for slot in slots.iter().filter(|slot| slot.role.is_matrix()) {
                    let (weights, mut gradient) = (slot.view(weights), slot.view(gradient));
                    let decayed = decay.of(&gradient, &weights);
                    gradient.copy_(&(&decayed * scale(weights.norm(), decayed.norm(), trust)));
                }
                let [weights, velocity, gradient] = [weights, velocity, gradient].map(range);
                momentum.descend(weights, velocity, &(gradient * lr), 1.0);
            }
            Rule::Adam => {
                let unbiased = |beta: f64| 1.0 - beta.powf(nth as f64);
                let (share, lr) = (1.0 - momentum.factor, lr / unbiased(momentum.factor));
                let square_scale = unbiased(SQUARE_DECAY);
                let vectors = [weights, velocity, self.moments[1].vector(), gradient].map(range);
                in_pieces(vectors, |[mut weights, mut velocity, mut square, gradient]| {
                    let gradient = decay.of(&gradient, &weights);
                    let _ = velocity.lerp_(&gradient, share);
                    let _ = square.g_mul_scalar_(SQUARE_DECAY);
                    let _ = square.g_add_(&(gradient.square() * (1.0 - SQUARE_DECAY)));
                    let scale = (square / square_scale).sqrt_() + EPSILON;
                    let _ = weights.g_sub_(&(velocity / scale * lr));
                });
            }
        }
    }
}

/// Weight decay, added to the gradient: g + d w.
#[derive(Clone, Copy)]
struct Decay(f64);

impl Decay {
    fn of(self, gradient: &Tensor, weights: &Tensor) -> Tensor {
        if self.0 == 0.0 { gradient.shallow_clone() } else { (weights * self.0).g_add_(gradient) }
    }
}

#[derive(Clone, Copy)]
struct Momentum {
    factor: f64,
    nesterov: bool,
}

impl Momentum {
    fn descend(self, mut weights: Tensor, mut velocity: Tensor, gradient: &Tensor, lr: f64) {
        let _ = velocity.g_mul_scalar_(self.factor);
        let _ = velocity.g_add_(gradient);
        let down = if self.nesterov { (&velocity * self.factor).g_add_(gradient) } else { velocity };
        let _ = weights.g_sub_(&if lr == 1.0 { down } else { down * lr });
    }
}

/// LARS's factor for a layer's gradient. A layer whose weights or gradient are zero is not scaled.
fn scale(weight_norm: Tensor, gradient_norm: Tensor, trust: f64) -> Tensor {
    let usable = (&weight_norm * &gradient_norm).gt(0.0);
    (weight_norm * trust / gradient_norm).where_scalarother(&usable, 1.0)
}

/// Elements of a piece: they stay in second-level cache throughout an update, and libtorch does not split so few.
const PIECE: usize = 32_768;

/// Elementwise `work` in place on vectors of equal length; piece by piece on a CPU, where memory is the limit.
fn in_pieces<const N: usize>(vectors: [Tensor; N], work: impl Fn([Tensor; N]) + Sync) {
    if vectors.iter().any(|vector| vector.device() != Device::Cpu) {
        return work(vectors);
    }
    let count = vectors.first().map_or(0, Tensor::numel).div_ceil(PIECE);
    on_threads(vectors.each_ref(), count, |i, vectors| work(piece(vectors, i)));
}

/// All pieces of vectors of equal length.
fn pieces<const N: usize>(vectors: [Tensor; N]) -> Vec<[Tensor; N]> {
    let count = vectors.first().map_or(0, Tensor::numel).div_ceil(PIECE);
    (0..count).map(|i| piece(&vectors, i)).collect()
}

fn piece<const N: usize>(vectors: &[Tensor; N], i: usize) -> [Tensor; N] {
    let narrow = |vector: &Tensor| {
        let begin = i * PIECE;
        vector.narrow(0, begin as i64, PIECE.min(vector.numel() - begin) as i64)
    };
    vectors.each_ref().map(narrow)
}

/// Does the jobs 0 .. `count` on as many threads as libtorch may use, each thread taking the next one that is left.
fn on_threads<const N: usize>(vectors: [&Tensor; N], count: usize, job: impl Fn(usize, &[Tensor; N]) + Sync) {
    let next = AtomicUsize::new(0);
    let run = |vectors: [Tensor; N]| {
        // Each thread has a mode of its own.
        tch::no_grad(|| {
            while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < count) {
                job(i, &vectors);
            }
        });
    };
    std::thread::scope(|scope| {
        for _ in 1..(tch::get_num_threads().max(1) as usize).min(count) {
            let vectors = vectors.map(Tensor::shallow_clone);
            scope.spawn(|| run(vectors));
        }
        run(vectors.map(Tensor::shallow_clone));
    });
}

/// The elements of consecutive slots, with the padding after them.
fn range(vector: &Tensor, layout: &Layout, slots: &Range<usize>) -> Tensor {
    let offset = |slot: usize| layout.slots().get(slot).map_or(layout.len(), |slot| slot.offset);
    let (first, end) = (offset(slots.start), offset(slots.end));
    vector.narrow(0, first, end - first)
}

#[cfg(test)]
mod tests;
