//! How well a finite difference stands for the exact penalty: the cosine of their gradients by the weights.
//!
//! On nets with ReLU they differ (see `finite`), so that a lambda of one is not a lambda of the other.

use tandem_collective::ProcessGroup;
use tandem_domain::spec::Recompute;
use tch::{Kind, Tensor};

use super::partition::Shards;
use super::step::step;
use crate::failure::Failure;
use crate::network::Network;
use crate::objective::{LossTerm, Objective};

/// The cosine on one batch, of the penalties alone; `None` where nothing is differentiated by a finite difference, or a
/// gradient is zero. All ranks call it together; arguments are as in [`step`]. It costs a step of each kind and changes
/// nothing.
pub fn penalty_cosine(
    network: &dyn Network,
    group: &ProcessGroup,
    shards: &Shards,
    mut images: impl FnMut(u32) -> Tensor,
    objective: &Objective<'_>,
) -> Result<Option<f64>, Failure> {
    if objective.finite_difference.is_none() || !objective.penalised() {
        return Ok(None);
    }
    let mut gradient = |finite_difference| {
        let alone = |term: &LossTerm| LossTerm { weight: 0.0, ..term.clone() };
        let penalty = Objective {
            terms: objective.terms.iter().map(alone).collect(),
            finite_difference,
            // Who takes differences to save memory must not lose it here.
            recompute: Recompute::Shards,
            ..*objective
        };
        step(network, group, shards, &mut images, &penalty, false).map(|step| step.gradient.to_kind(Kind::Double))
    };
    let (difference, exact) = (gradient(objective.finite_difference)?, gradient(None)?);
    let dot = |a: &Tensor, b: &Tensor| a.dot(b).double_value(&[]);
    let cosine = dot(&difference, &exact) / (dot(&difference, &difference) * dot(&exact, &exact)).sqrt();
    Ok(cosine.is_finite().then_some(cosine))
}
