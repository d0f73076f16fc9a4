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
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flat::{Layout, Role};
    use tch::{Device, Kind};

    /// A 1x2 matrix and a norm weight, with padding between them.
    fn parameters() -> Flat {
        let mut layout = Layout::default();
        layout.add("fc.weight".into(), &[1, 2], Role::Linear);
        layout.add("bn.weight".into(), &[1], Role::NormWeight);
        let flat = Flat::zeros(Arc::new(layout), Device::Cpu);
        set(&flat, [3.0, 4.0, 2.0]);
        flat.with_gradients()
    }

    fn set(flat: &Flat, [a, b, c]: [f32; 3]) {
        tch::no_grad(|| {
            flat.get(0).shallow_clone().copy_(&Tensor::from_slice(&[a, b]).view([1, 2]));
            flat.get(1).shallow_clone().copy_(&Tensor::from_slice(&[c]));
        });
    }

    fn get(flat: &Flat) -> [f64; 3] {
        [flat.get(0).double_value(&[0, 0]), flat.get(0).double_value(&[0, 1]), flat.get(1).double_value(&[0])]
    }

    fn gradient(like: &Flat, values: [f32; 3]) -> Tensor {
        let flat = Flat::zeros(like.layout().clone(), Device::Cpu);
        set(&flat, values);
        flat.vector().shallow_clone()
    }

    fn spec(name: spec::OptimizerName, nesterov: bool) -> spec::Optimizer {
        spec::Optimizer { name, momentum: 0.9, nesterov, weight_decay: 0.1, trust: 0.01, ..spec::Optimizer::default() }
    }

    fn close(found: [f64; 3], expected: [f64; 3]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} instead of {expected:?}");
    }

    /// What torch.optim.SGD documents, element by element in f64, over two steps.
    #[test]
    fn sgd_follows_torch() {
        for nesterov in [false, true] {
            let parameters = parameters();
            let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Sgd, nesterov), &parameters);
            let (mut w, mut v) = ([3.0, 4.0, 2.0], [0.0; 3]);
            for (update, (g, lr)) in (0..).zip([([0.5, -1.0, 0.25], 0.3), ([-0.5, 2.0, 1.0], 0.1)]) {
                optimizer.step(&parameters, gradient(&parameters, g.map(|x| x as f32)), lr, update);
                for i in 0..3 {
                    let decayed = g[i] + 0.1 * w[i];
                    v[i] = 0.9 * v[i] + decayed;
                    w[i] -= lr * if nesterov { decayed + 0.9 * v[i] } else { v[i] };
                }
                close(get(&parameters), w);
            }
        }
    }

    /// By hand: ‖w‖ = 5 and, without decay, ‖g‖ = 10, so the matrix moves by lr · 0.01 · 5/10 of its gradient; the norm
    /// weight by lr of its own; and a layer without gradient stays.
    #[test]
    fn lars_scales_matrices_only_and_survives_a_zero_gradient() {
        let parameters = parameters();
        let undecayed = spec::Optimizer { weight_decay: 0.0, ..spec(spec::OptimizerName::Lars, false) };
        let mut optimizer = Optimizer::new(&undecayed, &parameters);
        optimizer.step(&parameters, gradient(&parameters, [6.0, 8.0, 1.0]), 2.0, 0);
        close(get(&parameters), [3.0 - 2.0 * 0.005 * 6.0, 4.0 - 2.0 * 0.005 * 8.0, 0.0]);
        optimizer.step(&parameters, gradient(&parameters, [0.0, 0.0, 0.0]), 2.0, 1);
        close(get(&parameters), [2.94 - 0.9 * 0.06, 3.92 - 0.9 * 0.08, -1.8]);
    }

    #[test]
    fn lars_decays_matrices_only() {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Lars, false), &parameters);
        optimizer.step(&parameters, gradient(&parameters, [0.0, 0.0, 0.0]), 1.0, 0);
        // g + d w = (0.3, 0.4), of norm 0.5: scaled by 0.01 · 5 / 0.5 = 0.1.
        close(get(&parameters), [2.97, 3.96, 2.0]);
    }

    /// Algorithm 1 of Kingma & Ba with torch's L2 decay, element by element in f64, over three steps.
    #[test]
    fn adam_follows_torch() {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Adam, false), &parameters);
        let (mut w, mut m, mut v) = ([3.0, 4.0, 2.0], [0.0; 3], [0.0; 3]);
        let steps = [([0.5, -1.0, 0.25], 0.3), ([-0.5, 2.0, 1.0], 0.1), ([0.1, 0.0, -2.0], 0.2)];
        for (update, (g, lr)) in (0..).zip(steps) {
            optimizer.step(&parameters, gradient(&parameters, g.map(|x: f64| x as f32)), lr, update);
            let t = update as i32 + 1;
            for i in 0..3 {
                let decayed = g[i] + 0.1 * w[i];
                m[i] = 0.9 * m[i] + 0.1 * decayed;
                v[i] = 0.999 * v[i] + 0.001 * decayed * decayed;
                let (unbiased_m, unbiased_v) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                w[i] -= lr * unbiased_m / (unbiased_v.sqrt() + 1e-8);
            }
            close(get(&parameters), w);
        }
        let state: Vec<_> = optimizer.state().map(|(name, flat)| (name, flat.get(1).double_value(&[0]))).collect();
        assert!((state[0].1 - m[2]).abs() < 1e-6 && (state[1].1 - v[2]).abs() < 1e-6, "{state:?}");
        assert_eq!([state[0].0, state[1].0], ["velocity.", "square."]);
    }

    /// A group at half the rate that begins with the third update does, from then on, what one that is alone does at half
    /// the rate from its first; before, neither its weights nor its moments move.
    #[test]
    fn a_group_has_its_own_rate_and_beginning() {
        use spec::OptimizerName::{Adam, Lars, Sgd};
        for name in [Sgd, Lars, Adam] {
            let (together, alone) = (parameters(), parameters());
            let groups = vec![Group { slots: 0..1, rate: 0.5, begins: 2 }, Group { slots: 1..2, rate: 1.0, begins: 0 }];
            let mut grouped = Optimizer::new(&spec(name, true), &together).with_groups(groups);
            let mut plain = Optimizer::new(&spec(name, true), &alone);
            let g = |update: u64| gradient(&together, [0.5 + update as f32, -1.0, 0.25]);
            for update in 0..2 {
                grouped.step(&together, g(update), 0.2, update);
                assert_eq!(get(&together)[..2], [3.0, 4.0]);
            }
            assert!(get(&together)[2] != 2.0, "the head moves");
            assert!(grouped.state().all(|(_, moment)| moment.get(0).abs().max().double_value(&[]) == 0.0));
            for update in 2..5 {
                grouped.step(&together, g(update), 0.2, update);
                plain.step(&alone, g(update), 0.1, update - 2);
                assert_eq!(get(&together)[..2], get(&alone)[..2], "{name:?}");
            }
        }
    }

    #[test]
    fn padding_stays_zero() {
        for name in [spec::OptimizerName::Sgd, spec::OptimizerName::Adam] {
            let parameters = parameters();
            let mut optimizer = Optimizer::new(&spec(name, true), &parameters);
            optimizer.step(&parameters, gradient(&parameters, [1.0, 1.0, 1.0]), 0.1, 0);
            let padding = parameters.vector().narrow(0, 2, 14);
            assert_eq!(padding.abs().sum(Kind::Float).double_value(&[]), 0.0);
        }
    }
}
