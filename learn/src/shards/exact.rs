//! Penalties by a double backward pass, exchanged as little as the loss itself.
//!
//! Let L be a head's loss, z its rows and u = dL/dz. A shard's input gradient g = dL/dx is that of <z, u>, with u held
//! fixed; p = c ‖g‖² is the shard's share of the penalty. By the weights w,
//!
//! ```text
//! dP/dw = sum over shards of  dp/dw at fixed u  +  <dp/du, du/dw>,      du = H dz,  H = d²L/dz²
//! ```
//!
//! so what ranks exchange is t = dp/du, of the size of z. H t is computed from all rows on every rank alike, and each
//! shard goes backward from `p + <z, u + H t>`. The sum over ranks stays the one fixed tree.

use tandem_domain::spec::Recompute;
use tch::{Kind, Tensor};

use super::part::Part;
use super::pass::{Context, Pass, inner};
use crate::failure::Failure;
use crate::penalty::tikhonov;

/// One shard's graph up to its penalties.
struct Penalised {
    outputs: Vec<Tensor>,
    /// By head: p and the leaf u, where there is a penalty.
    penalties: Vec<Option<(Tensor, Tensor)>>,
}

/// Adds the gradient of losses and penalties to each shard's part; returns the sum of the penalties.
pub(super) fn backward(
    pass: &mut Pass<'_>,
    context: &Context<'_>,
    toward: &[Tensor],
    parts: &[Part],
) -> Result<f64, Failure> {
    let terms = &context.objective.terms;
    let keep = context.objective.recompute == Recompute::None;
    let (mut kept, mut values) = (Vec::new(), Vec::new());
    let mut seen: Vec<Vec<Tensor>> = terms.iter().map(|_| Vec::new()).collect();
    for (i, part) in parts.iter().enumerate() {
        let shard = penalised(pass, context, toward, i);
        let mut value = 0.0;
        for (k, penalty) in shard.penalties.iter().enumerate() {
            let Some((p, u)) = penalty else { continue };
            // Only the way from p to u is walked here, forward through the network as it were.
            seen[k].push(Tensor::run_backward(&[p], &[u], true, false).remove(0));
            value += p.double_value(&[]);
        }
        values.push(Tensor::from_slice(&[value]).to_device(part.flat.device()));
        kept.push(keep.then_some(shard));
    }
    let penalty = context.gather(&values)?.sum(Kind::Double).double_value(&[]);

    let mut cotangents = Vec::new();
    for (k, (term, seen)) in terms.iter().zip(&seen).enumerate() {
        let straight = &toward[k] * term.weight;
        cotangents.push(match seen.is_empty() {
            true => straight,
            false => straight + context.curved(&pass.outputs[k], &context.gather(seen)?),
        });
    }

    let units = context.objective.units();
    for (i, (part, kept)) in parts.iter().zip(kept).enumerate() {
        let shard = kept.unwrap_or_else(|| penalised(pass, context, toward, i));
        for (unit, left) in units.iter().zip((0..units.len()).rev()) {
            let scalar: Tensor = unit
                .terms
                .iter()
                .map(|&k| {
                    let plain = inner(&shard.outputs[k], &context.own(&cotangents[k], i));
                    match &shard.penalties[k] {
                        Some((p, _)) => plain + p,
                        None => plain,
                    }
                })
                .sum();
            let gradients = Tensor::run_backward(&[scalar], &context.parameters(unit.reach), left > 0, false);
            part.add(unit.reach, &gradients);
        }
    }
    Ok(penalty)
}

/// Shard `i` with the graphs of its penalties, the loss's derivative by the outputs being a leaf.
fn penalised(pass: &mut Pass<'_>, context: &Context<'_>, toward: &[Tensor], i: usize) -> Penalised {
    let outputs = pass.last_graph(i);
    let penalties = context.objective.terms.iter().enumerate().map(|(k, term)| {
        (term.penalty != 0.0).then(|| {
            let u = context.own(&toward[k], i).detach().set_requires_grad(true);
            let g = Tensor::run_backward(&[inner(&outputs[k], &u)], &[&pass.images[i]], true, true).remove(0);
            (tikhonov(&g, term.penalty), u)
        })
    });
    let penalties = penalties.collect();
    Penalised { outputs, penalties }
}
