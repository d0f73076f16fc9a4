//! SGD, LARS and Adam on the flat parameter vector, in place and deterministic.

use std::ops::Range;

use tandem_domain::spec;
use tch::Tensor;

use crate::flat::{Flat, Layout, Slot};

/// Turns gradients into updates. Its only state is in `moments`.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    groups: Vec<Group>,
    /// The velocity and, of Adam, the mean square of the gradient; each laid out as the parameters.
    moments: Vec<Flat>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// torch.optim.SGD: v <- m v + (g + d w); w <- w - lr v. Decay d reaches every parameter.
    Sgd,
    /// SimCLR's LARS (You et al. 2017), the rate inside the momentum: v <- m v + lr s (g + d w); w <- w - v, with
    /// s = trust ‖w‖ / ‖g + d w‖ for each matrix; biases and BatchNorm are neither decayed nor scaled.
    Lars { trust: f64 },
    /// torch.optim.Adam (Kingma & Ba 2015), decay in the gradient as of SGD: v <- m v + (1 - m) g, s <- b s + (1 - b) g²,
    /// w <- w - lr v' / (√s' + e), where v' = v / (1 - m^t) and s' = s / (1 - b^t) at the t-th update.
    Adam,
}

/// Adam's beta2 and epsilon: torch's.
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Neighbouring parameters that learn alike: torch's parameter group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Of the layout's slots.
    pub slots: Range<usize>,
    /// Factor of the learning rate.
    pub rate: f64,
    /// Update, from 0, before which they do not move.
    pub begins: u64,
}

impl Optimizer {
    /// All parameters learn at one rate.
    pub fn new(spec: &spec::Optimizer, parameters: &Flat) -> Self {
        let rule = match spec.name {
            spec::OptimizerName::Sgd => Rule::Sgd,
            spec::OptimizerName::Lars => Rule::Lars { trust: spec.trust },
            spec::OptimizerName::Adam => Rule::Adam,
        };
        let moments = if rule == Rule::Adam { 2 } else { 1 };
        let moment = |_| Flat::zeros(parameters.layout().clone(), parameters.vector().device());
        Self {
            rule,
            momentum: spec.momentum,
            nesterov: spec.nesterov,
            weight_decay: spec.weight_decay,
            groups: vec![Group { slots: 0..parameters.layout().slots().len(), rate: 1.0, begins: 0 }],
            moments: (0..moments).map(moment).collect(),
        }
    }

    /// Parameters that are in no group never move.
    pub fn with_groups(self, groups: Vec<Group>) -> Self {
        Self { groups, ..self }
    }

    /// What a checkpoint keeps, by name.
    pub fn state(&self) -> impl Iterator<Item = (&'static str, &Flat)> {
        ["velocity.", "square."].into_iter().zip(&self.moments)
    }

    /// The update number `update`, from 0, at rate `lr`. `gradient` is laid out as the parameters, and is overwritten.
    pub fn step(&mut self, parameters: &Flat, gradient: Tensor, lr: f64, update: u64) {
        tch::no_grad(|| {
            for group in self.groups.iter().filter(|group| update >= group.begins) {
                self.update(group, parameters, &gradient, lr * group.rate, update - group.begins + 1);
            }
        });
    }

    /// `nth` counts the group's updates, from 1.
    fn update(&self, group: &Group, parameters: &Flat, gradient: &Tensor, lr: f64, nth: u64) {
        let slots = &parameters.layout().slots()[group.slots.clone()];
        let part = |vector: &Tensor| part(vector, parameters.layout(), &group.slots);
        let (mut weights, mut velocity) = (part(parameters.vector()), part(self.moments[0].vector()));
        match self.rule {
            Rule::Sgd => {
                let mut gradient = part(gradient);
                self.decay(&mut gradient, &weights);
                self.descend(&mut weights, &mut velocity, gradient, lr);
            }
            Rule::Lars { trust } => {
                for slot in slots.iter().filter(|slot| slot.role.is_matrix()) {
                    self.adapt(slot, parameters.vector(), gradient, trust);
                }
                let mut gradient = part(gradient);
                let _ = gradient.g_mul_scalar_(lr);
                self.descend(&mut weights, &mut velocity, gradient, 1.0);
            }
            Rule::Adam => {
                let mut gradient = part(gradient);
                self.decay(&mut gradient, &weights);
                let mut square = part(self.moments[1].vector());
                let _ = velocity.lerp_(&gradient, 1.0 - self.momentum);
                let _ = square.g_mul_scalar_(SQUARE_DECAY);
                let _ = square.g_add_(&(gradient.square_() * (1.0 - SQUARE_DECAY)));
                let unbiased = |beta: f64| 1.0 - beta.powf(nth as f64);
                let scale = (square / unbiased(SQUARE_DECAY)).sqrt_() + EPSILON;
                let _ = weights.g_sub_(&(velocity / scale * (lr / unbiased(self.momentum))));
            }
        }
    }

    fn descend(&self, weights: &mut Tensor, velocity: &mut Tensor, mut gradient: Tensor, rate: f64) {
        let _ = velocity.g_mul_scalar_(self.momentum);
        let _ = velocity.g_add_(&gradient);
        if self.nesterov {
            let _ = gradient.g_add_(&(&*velocity * self.momentum));
            let _ = weights.g_sub_(&(gradient * rate));
        } else {
            let _ = weights.g_sub_(&(&*velocity * rate));
        }
    }

    fn decay(&self, gradient: &mut Tensor, weights: &Tensor) {
        if self.weight_decay != 0.0 {
            let _ = gradient.g_add_(&(weights * self.weight_decay));
        }
    }

    /// Decays and scales one layer's part of the gradient. A layer at zero, or without gradient, is not scaled.
    fn adapt(&self, slot: &Slot, weights: &Tensor, gradient: &Tensor, trust: f64) {
        let (weights, mut gradient) = (slot.view(weights), slot.view(gradient));
        self.decay(&mut gradient, &weights);
        let (weight_norm, gradient_norm) = (weights.norm(), gradient.norm());
        let usable = (&weight_norm * &gradient_norm).gt(0.0);
        let scale = (weight_norm * trust / gradient_norm).where_scalarother(&usable, 1.0);
        let _ = gradient.g_mul_(&scale);
    }
}

/// The elements of a run of slots, with the padding that follows them.
fn part(vector: &Tensor, layout: &Layout, slots: &Range<usize>) -> Tensor {
    let offset = |slot: usize| layout.slots().get(slot).map_or(layout.len(), |slot| slot.offset);
    let (first, end) = (offset(slots.start), offset(slots.end));
    vector.narrow(0, first, end - first)
}

#[cfg(test)]
mod tests;
