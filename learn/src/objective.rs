//! What a training step minimises, as data: for each head a mean loss over rows, its weight and its penalty.

use tandem_domain::spec::{Direction, PenaltyMethod, Recompute, Tikhonov};
use tch::Tensor;

/// How many rows of a batch one image has.
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
pub struct LossTerm {
    /// α of eq. (4); 1 for a network of one head.
    pub weight: f64,
    /// The coefficient of S (see `penalty::coefficient`); 0 means no penalty.
    pub penalty: f64,
    /// Slots of the parameters that this term trains; `None` means all.
    pub reach: Option<Vec<usize>>,
}

/// The penalty's gradient as the difference of two gradients, in place of a double backward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FiniteDifference {
    /// Step between the two, in units of pixels in [0, 1]; `penalty::Perturbation` says what it measures.
    pub h: f64,
    pub direction: Direction,
}

/// The objective of a step: the sum of its terms.
pub struct Objective<'a> {
    pub views: Views,
    /// All rows of one head, `[M, D]` in the order of `views`, to their mean loss, a scalar.
    pub loss: &'a dyn Fn(&Tensor) -> Tensor,
    /// One for each head.
    pub terms: Vec<LossTerm>,
    /// How penalties are differentiated; `None` means exactly.
    pub finite_difference: Option<FiniteDifference>,
    pub recompute: Recompute,
}

impl<'a> Objective<'a> {
    /// For a network of one head, without penalty.
    pub fn new(views: Views, loss: &'a dyn Fn(&Tensor) -> Tensor) -> Self {
        let term = LossTerm { weight: 1.0, penalty: 0.0, reach: None };
        Self { views, loss, terms: vec![term], finite_difference: None, recompute: Recompute::None }
    }

    /// With its penalties differentiated as `spec` says.
    pub fn differentiated(mut self, spec: &Tikhonov) -> Self {
        self.finite_difference = match spec.method {
            PenaltyMethod::Exact => None,
            PenaltyMethod::FiniteDifference => Some(FiniteDifference { h: spec.h, direction: spec.direction }),
        };
        self
    }

    pub(crate) fn penalised(&self) -> bool {
        self.terms.iter().any(|term| term.penalty != 0.0)
    }

    /// Terms that share a backward pass: all without a `reach`, and each with one by itself.
    pub(crate) fn term_groups(&self) -> Vec<TermGroup<'_>> {
        let (shared, single): (Vec<_>, Vec<_>) = (0..self.terms.len()).partition(|&k| self.terms[k].reach.is_none());
        let shared = Some(TermGroup { terms: shared, reach: None }).filter(|group| !group.terms.is_empty());
        let single = single.into_iter().map(|k| TermGroup { terms: vec![k], reach: self.terms[k].reach.as_deref() });
        shared.into_iter().chain(single).collect()
    }
}

/// See [`Objective::term_groups`].
pub(crate) struct TermGroup<'a> {
    pub terms: Vec<usize>,
    pub reach: Option<&'a [usize]>,
}
