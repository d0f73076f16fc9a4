//! L-BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5) with a weak Wolfe line search by bisection (Lewis & Overton
//! 2013): deterministic, and every accepted step has the curvature that the update needs.

use std::collections::VecDeque;

use tch::{Kind, Tensor};

use crate::progress;

/// A smooth function of a flat f64 vector.
pub trait Differentiable {
    /// Value and gradient at `x`.
    fn value_and_grad(&self, x: &Tensor) -> (f64, Tensor);
}

impl<F: Fn(&Tensor) -> (f64, Tensor)> Differentiable for F {
    fn value_and_grad(&self, x: &Tensor) -> (f64, Tensor) {
        self(x)
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Lbfgs {
    pub iterations: u32,
    /// Number of pairs of a step and its gradient change that approximate the curvature.
    pub history: usize,
    /// Ends when no element of the gradient is larger,
    pub gradient_tolerance: f64,
    /// or when an iteration lowers the value by less than this share of it.
    pub value_tolerance: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { iterations: 100, history: 10, gradient_tolerance: 1e-6, value_tolerance: 1e-10 }
    }
}

/// Where the search ended.
#[derive(Debug)]
pub struct Minimum {
    pub x: Tensor,
    pub value: f64,
    pub iterations: u32,
    /// The largest element of the gradient there.
    pub gradient: f64,
    /// It ended by a tolerance, or where rounding leaves nothing to gain; not by its iterations, or because it was told to.
    pub converged: bool,
}

impl Minimum {
    /// For people, of a search that its iterations ended.
    pub fn note(&self) -> Option<String> {
        (!self.converged).then(|| {
            format!(
                "L-BFGS made {} iterations and has not converged: the loss is {:.6}, the largest element of its gradient {:.1e}; \
                 raise `epochs`, or write a stronger `ridge`",
                self.iterations, self.value, self.gradient
            )
        })
    }
}

/// A point, its value, its gradient.
struct Iterate {
    x: Tensor,
    value: f64,
    gradient: Tensor,
}

impl Iterate {
    fn at(function: &impl Differentiable, x: Tensor) -> Self {
        let (value, gradient) = function.value_and_grad(&x);
        progress::work_done();
        Self { x, value, gradient }
    }
}

impl Lbfgs {
    /// Minimises from `start`. After each iteration `go_on` gets its number, from 1, and its value; `false` ends the
    /// search.
    pub fn minimise(
        &self,
        function: &impl Differentiable,
        start: Tensor,
        mut go_on: impl FnMut(u32, f64) -> bool,
    ) -> Minimum {
        let mut here = Iterate::at(function, start);
        let mut pairs: VecDeque<Pair> = VecDeque::new();
        let (mut iterations, mut converged) = (0, false);
        while iterations < self.iterations {
            if largest(&here.gradient) <= self.gradient_tolerance {
                converged = true;
                break;
            }
            let direction = -inverse_hessian_times(&here.gradient, &pairs);
            // Without curvature the first step has a length of at most 1.
            let first = if pairs.is_empty() { 1.0 / dot(&direction, &direction).sqrt().max(1.0) } else { 1.0 };
            let Some(next) = line_search(function, &here, &direction, first) else {
                converged = true;
                break;
            };
            iterations += 1;
            let pair = Pair::between(&here, &next);
            if pair.curvature > 0.0 {
                pairs.push_back(pair);
                if pairs.len() > self.history {
                    pairs.pop_front();
                }
            }
            let gain = here.value - next.value;
            here = next;
            if !go_on(iterations, here.value) {
                break;
            }
            if gain < self.value_tolerance * here.value.abs() {
                converged = true;
                break;
            }
        }
        let gradient = largest(&here.gradient);
        let converged = converged || gradient <= self.gradient_tolerance;
        Minimum { x: here.x, value: here.value, iterations, gradient, converged }
    }
}

/// A step s and the change y of the gradient along it.
struct Pair {
    s: Tensor,
    y: Tensor,
    curvature: f64,
}

impl Pair {
    fn between(from: &Iterate, to: &Iterate) -> Self {
        let (s, y) = (&to.x - &from.x, &to.gradient - &from.gradient);
        let curvature = dot(&s, &y);
        Self { s, y, curvature }
    }
}

/// Algorithm 7.4, the two-loop recursion.
fn inverse_hessian_times(gradient: &Tensor, pairs: &VecDeque<Pair>) -> Tensor {
    let mut q = gradient.copy();
    let mut alphas = Vec::new();
    for pair in pairs.iter().rev() {
        let alpha = dot(&pair.s, &q) / pair.curvature;
        q -= &pair.y * alpha;
        alphas.push(alpha);
    }
    if let Some(newest) = pairs.back() {
        q *= newest.curvature / dot(&newest.y, &newest.y);
    }
    for (pair, alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(&pair.y, &q) / pair.curvature;
        q += &pair.s * (alpha - beta);
    }
    q
}

/// A point along `direction` that satisfies the weak Wolfe conditions; `None` where rounding leaves none.
fn line_search(function: &impl Differentiable, from: &Iterate, direction: &Tensor, first: f64) -> Option<Iterate> {
    const ENOUGH_DESCENT: f64 = 1e-4;
    const ENOUGH_CURVATURE: f64 = 0.9;
    const TRIES: u32 = 40;
    let slope = dot(&from.gradient, direction);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    for _ in 0..TRIES {
        let point = Iterate::at(function, &from.x + direction * length);
        let descends = point.value <= from.value + ENOUGH_DESCENT * length * slope;
        if !descends {
            high = length;
        } else if dot(&point.gradient, direction) < ENOUGH_CURVATURE * slope {
            low = length;
        } else {
            return Some(point);
        }
        length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
    }
    None
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.dot(b).double_value(&[])
}

fn largest(x: &Tensor) -> f64 {
    x.abs().max().to_kind(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley, whose floor bends: the minimum is at (1, 1).
    #[test]
    fn finds_the_end_of_a_bent_valley() {
        let rosenbrock = |x: &Tensor| {
            let (a, b) = (x.double_value(&[0]), x.double_value(&[1]));
            let gradient = [-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a)];
            ((1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2), Tensor::from_slice(&gradient))
        };
        let mut values = vec![];
        let exact = Lbfgs { value_tolerance: 0.0, ..Lbfgs::default() };
        let minimum = exact.minimise(&rosenbrock, Tensor::from_slice(&[-1.2, 1.0]), |_, value| {
            values.push(value);
            true
        });
        assert!((minimum.x.double_value(&[0]) - 1.0).abs() < 1e-5, "{minimum:?}");
        assert!(minimum.iterations < 60 && values.is_sorted_by(|a, b| a >= b));
        assert!(minimum.converged && minimum.note().is_none(), "{minimum:?}");

        // Half the way.
        let short = Lbfgs { iterations: minimum.iterations / 2, ..exact };
        let ended = short.minimise(&rosenbrock, Tensor::from_slice(&[-1.2, 1.0]), |_, _| true);
        assert!(!ended.converged && ended.gradient > 1e-6, "{ended:?}");
        let note = ended.note().unwrap();
        assert!(note.contains(&format!("{} iterations and has not converged", short.iterations)), "{note}");
    }

    #[test]
    fn a_false_ends_the_search() {
        let bowl = |x: &Tensor| (dot(x, x), x * 2.0);
        let minimum = Lbfgs::default().minimise(&bowl, Tensor::from_slice(&[30.0, 40.0]), |_, _| false);
        assert_eq!((minimum.iterations, minimum.converged), (1, false));
    }
}
