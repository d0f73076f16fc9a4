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
//! shard goes backward once more from <z, u + H t>. The sum over ranks stays the one fixed tree.
//!
//! dp/dw and t come from one double backward pass: on CPUs libtorch's costs several plain ones and does not get cheaper
//! when only a part of it is asked for.

use tch::{Kind, Tensor};

use super::part::Part;
use super::pass::{Context, Pass, inner};
use crate::failure::Failure;
use crate::penalty::tikhonov;

/// Adds the gradient of losses and penalties to each shard's part; returns the sum of the penalties.
pub(super) fn backward(
    pass: &mut Pass<'_>,
    context: &Context<'_>,
    toward: &[Tensor],
    parts: &[Part],
) -> Result<f64, Failure> {
    let mut values = Vec::new();
    // By head and shard, t; nothing where there is no penalty.
    let mut seen: Vec<Vec<Tensor>> = toward.iter().map(|_| Vec::new()).collect();
    for (i, part) in parts.iter().enumerate() {
        let value = direct(pass, context, toward, i, part, &mut seen);
        values.push(Tensor::from_slice(&[value]).to_device(part.flat.device()));
    }
    let penalty = context.gather(&values)?.sum(Kind::Double).double_value(&[]);

    let mut cotangents = Vec::new();
    for (k, (u, seen)) in toward.iter().zip(&seen).enumerate() {
        let straight = u * context.objective.terms[k].weight;
        cotangents.push(match seen.is_empty() {
            true => straight,
            false => straight + context.curved(&pass.outputs[k], &context.gather(seen)?),
        });
    }
    super::backward(pass, context, &cotangents, parts);
    Ok(penalty)
}

/// Adds dp/dw at fixed u of shard `i` to its part, and its t to `seen`; returns the sum of its p.
fn direct(
    pass: &Pass<'_>,
    context: &Context<'_>,
    toward: &[Tensor],
    i: usize,
    part: &Part,
    seen: &mut [Vec<Tensor>],
) -> f64 {
    let (terms, outputs) = (&context.objective.terms, pass.graph(i));
    let mut value = 0.0;
    for unit in context.objective.units() {
        let penalised: Vec<usize> = unit.terms.iter().copied().filter(|&k| terms[k].penalty != 0.0).collect();
        if penalised.is_empty() {
            continue;
        }
        let leaf = |&k: &usize| context.own(&toward[k], i).detach().set_requires_grad(true);
        let fixed: Vec<Tensor> = penalised.iter().map(leaf).collect();
        let p: Tensor = penalised
            .iter()
            .zip(&fixed)
            .map(|(&k, u)| {
                let g = Tensor::run_backward(&[inner(&outputs[k], u)], &[&pass.images[i]], true, true).remove(0);
                tikhonov(&g, terms[k].penalty)
            })
            .sum();
        value += p.double_value(&[]);
        let mut inputs = context.parameters(unit.reach);
        let moved = inputs.len();
        inputs.extend(fixed);
        // The graph of the outputs is needed once more.
        let mut found = Tensor::run_backward(&[p], &inputs, true, false);
        penalised.iter().zip(found.drain(moved..)).for_each(|(&k, t)| seen[k].push(t));
        part.add(unit.reach, &found);
    }
    value
}
