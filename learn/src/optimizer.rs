//! SGD and LARS on the flat parameter vector, in place and deterministic.

use tandem_domain::spec;
use tch::Tensor;

use crate::flat::{Flat, Slot};

/// Turns gradients into updates. Its only state is the velocity.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    /// Laid out as the parameters.
    pub velocity: Flat,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// torch.optim.SGD: v <- m v + (g + d w); w <- w - lr v. Decay d reaches every parameter.
    Sgd,
    /// SimCLR's LARS (You et al. 2017), the rate inside the momentum: v <- m v + lr s (g + d w); w <- w - v, with
    /// s = trust ‖w‖ / ‖g + d w‖ for each matrix; biases and BatchNorm are neither decayed nor scaled.
    Lars { trust: f64 },
}

impl Optimizer {
    /// `None` for a rule that this version has not got.
    pub fn new(spec: &spec::Optimizer, parameters: &Flat) -> Option<Self> {
        let rule = match spec.name {
            spec::OptimizerName::Sgd => Rule::Sgd,
            spec::OptimizerName::Lars => Rule::Lars { trust: spec.trust },
            spec::OptimizerName::Adam => return None,
        };
        let velocity = Flat::zeros(parameters.layout().clone(), parameters.vector().device());
        Some(Self { rule, momentum: spec.momentum, nesterov: spec.nesterov, weight_decay: spec.weight_decay, velocity })
    }

    /// One update of `parameters` at rate `lr`. `gradient` is laid out as they are, and is overwritten.
    pub fn step(&mut self, parameters: &Flat, mut gradient: Tensor, lr: f64) {
        tch::no_grad(|| {
            let (mut weights, mut velocity) =
                (parameters.vector().shallow_clone(), self.velocity.vector().shallow_clone());
            let outer_rate = match self.rule {
                Rule::Sgd => {
                    self.decay(&mut gradient, &weights);
                    lr
                }
                Rule::Lars { trust } => {
                    for slot in parameters.layout().slots().iter().filter(|slot| slot.role.is_matrix()) {
                        self.adapt(slot, &weights, &gradient, trust);
                    }
                    let _ = gradient.g_mul_scalar_(lr);
                    1.0
                }
            };
            let _ = velocity.g_mul_scalar_(self.momentum);
            let _ = velocity.g_add_(&gradient);
            if self.nesterov {
                let _ = gradient.g_add_(&(&velocity * self.momentum));
                let _ = weights.g_sub_(&(gradient * outer_rate));
            } else {
                let _ = weights.g_sub_(&(velocity * outer_rate));
            }
        });
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
            let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Sgd, nesterov), &parameters).unwrap();
            let (mut w, mut v) = ([3.0, 4.0, 2.0], [0.0; 3]);
            for (g, lr) in [([0.5, -1.0, 0.25], 0.3), ([-0.5, 2.0, 1.0], 0.1)] {
                optimizer.step(&parameters, gradient(&parameters, g.map(|x| x as f32)), lr);
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
        let mut optimizer = Optimizer::new(&undecayed, &parameters).unwrap();
        optimizer.step(&parameters, gradient(&parameters, [6.0, 8.0, 1.0]), 2.0);
        close(get(&parameters), [3.0 - 2.0 * 0.005 * 6.0, 4.0 - 2.0 * 0.005 * 8.0, 0.0]);
        optimizer.step(&parameters, gradient(&parameters, [0.0, 0.0, 0.0]), 2.0);
        close(get(&parameters), [2.94 - 0.9 * 0.06, 3.92 - 0.9 * 0.08, -1.8]);
    }

    #[test]
    fn lars_decays_matrices_only() {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Lars, false), &parameters).unwrap();
        optimizer.step(&parameters, gradient(&parameters, [0.0, 0.0, 0.0]), 1.0);
        // g + d w = (0.3, 0.4), of norm 0.5: scaled by 0.01 · 5 / 0.5 = 0.1.
        close(get(&parameters), [2.97, 3.96, 2.0]);
    }

    #[test]
    fn padding_stays_zero() {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Sgd, true), &parameters).unwrap();
        optimizer.step(&parameters, gradient(&parameters, [1.0, 1.0, 1.0]), 0.1);
        assert_eq!(parameters.vector().narrow(0, 2, 14).abs().sum(Kind::Float).double_value(&[]), 0.0);
    }
}
