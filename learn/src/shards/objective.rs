//! What a step minimises, as data: a mean loss over rows, its weight and its penalty, for each head.

use tandem_domain::spec::{Direction, PenaltyMethod, Recompute, Tikhonov};
use tch::Tensor;

use crate::penalty;

/// Rows that one image becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Views {
    /// A classifier: row i is image i's.
    One,
    /// Contrastive pretraining: the first views of all images, then their second views in the same order.
    Two,
}

impl Views {
    pub fn count(self) -> i64 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// One head's share of the objective: `weight · L + penalty · S`, with L its mean loss and S the sum over rows of
/// ‖∇ₓL‖².
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// α of eq. (4); 1 for a network of one head.
    pub weight: f64,
    /// The coefficient of S; 0 is no penalty. See [`crate::penalty::coefficient`].
    pub penalty: f64,
    /// Indexes of the parameters that this term moves; `None` is all.
    pub reach: Option<Vec<usize>>,
}

/// The penalty's gradient as a difference of two gradients, a step of `h` apart, in place of a double backward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// In pixel units of [0, 1]. See [`crate::penalty::Along`] for what moves by it.
    pub h: f64,
    pub direction: Direction,
}

/// The objective of a step: the sum of its terms.
pub struct Objective<'a> {
    pub views: Views,
    /// All rows of one head, `[M, D]` as `views` orders them, to their mean loss, a scalar.
    pub loss: &'a dyn Fn(&Tensor) -> Tensor,
    /// One for each head.
    pub terms: Vec<Term>,
    /// How penalties are differentiated; `None` is exactly.
    pub difference: Option<Difference>,
    pub recompute: Recompute,
}

impl<'a> Objective<'a> {
    /// Of a network of one head, without penalty.
    pub fn new(views: Views, loss: &'a dyn Fn(&Tensor) -> Tensor) -> Self {
        let term = Term { weight: 1.0, penalty: 0.0, reach: None };
        Self { views, loss, terms: vec![term], difference: None, recompute: Recompute::None }
    }

    /// With the penalty of eq. (2) or (3) on batches of `images`.
    pub fn tikhonov(mut self, spec: &Tikhonov, images: u32) -> Self {
        let coefficient = penalty::coefficient(penalty::lambda(spec, images), spec.scaling, self.views, images);
        self.terms.iter_mut().for_each(|term| term.penalty = coefficient);
        self.differentiated(spec)
    }

    /// With penalties, whatever they are, differentiated as `spec` says.
    pub fn differentiated(mut self, spec: &Tikhonov) -> Self {
        self.difference = match spec.method {
            PenaltyMethod::Exact => None,
            PenaltyMethod::FiniteDifference => Some(Difference { h: spec.h, direction: spec.direction }),
        };
        self
    }

    pub(super) fn penalised(&self) -> bool {
        self.terms.iter().any(|term| term.penalty != 0.0)
    }

    /// Terms that go backward together, with what they move: all without a reach of their own, and each that has one.
    pub(super) fn units(&self) -> Vec<Unit<'_>> {
        let (whole, apart): (Vec<_>, Vec<_>) = (0..self.terms.len()).partition(|&k| self.terms[k].reach.is_none());
        let whole = Some(Unit { terms: whole, reach: None }).filter(|unit| !unit.terms.is_empty());
        let apart = apart.into_iter().map(|k| Unit { terms: vec![k], reach: self.terms[k].reach.as_deref() });
        whole.into_iter().chain(apart).collect()
    }
}

/// See [`Objective::units`].
pub(super) struct Unit<'a> {
    pub terms: Vec<usize>,
    pub reach: Option<&'a [usize]>,
}
