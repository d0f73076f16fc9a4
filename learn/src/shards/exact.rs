//! Penalties differentiated exactly. Ranks exchange no more for them than for the loss.
//!
//! Let L be a head's loss, z its rows and u = dL/dz. A shard's input gradient g = dL/dx is that of <z, u> with u held
//! fixed, and p = c ‖g‖² is the shard's share of the penalty P. By the weights w,
//!
//! ```text
//! dP/dw = sum over shards of  dp/dw at fixed u  +  <dp/du, du/dw>,      du = H dz,  H = d²L/dz²
//! ```
//!
//! so that ranks exchange t = dp/du, which is shaped as z. Every rank computes H t from all rows, and each shard makes
//! one more backward pass, from <z, u + H t>. The sum over shards is the same fixed tree as ever.
//!
//! dp/dw and t come from a Jacobian-vector product where the network has one. With z' the derivative of z along g,
//!
//! ```text
//! <z', u> = ‖g‖²,    t = 2 c z',    dp/dw = 2 c d<z', u>/dw at fixed g and u,
//! ```
//!
//! and the last of these joins the backward pass that is made anyway: 8 convolutions in place of the 3 of a plain step.
//! Other networks take a double backward pass.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::context::{derivatives, inner};
use super::forward::{OutputGrad, ShardedForward};
use super::shard_gradient::{ShardGradient, add_block};
use crate::failure::Failure;
use crate::penalty::tikhonov;

/// Adds the gradient of losses and penalties to each shard's; returns the sum of the penalties.
pub(super) fn backward(
    forward: &mut ShardedForward<'_>,
    grad_outputs: &[Tensor],
    grads: &[ShardGradient],
) -> Result<f64, Failure> {
    let context = forward.context;
    let terms = &context.objective.terms;
    let mut values = Vec::new();
    // By head and shard, t; empty for a head without penalty.
    let mut output_tangents: Vec<Vec<Tensor>> = grad_outputs.iter().map(|_| Vec::new()).collect();
    for block in forward.blocks() {
        let shard_penalties = match by_jvp(forward, grad_outputs, &block, &mut output_tangents)? {
            Some(value) => vec![value],
            None => by_double_backward(forward, grad_outputs, &block, grads, &mut output_tangents)?,
        };
        values.extend(
            shard_penalties.into_iter().map(|value| Tensor::from_slice(&[value]).to_device(grad_outputs[0].device())),
        );
    }
    let penalty = context.gather(&values)?.sum(Kind::Double).double_value(&[]);

    let mut output_grads = Vec::new();
    for (k, (u, t)) in grad_outputs.iter().zip(&output_tangents).enumerate() {
        let weighted = u * terms[k].weight;
        let value = match t.is_empty() {
            true => weighted,
            false => weighted + context.hessian_product(&forward.outputs[k], &context.gather(t)?),
        };
        output_grads.push(OutputGrad { value, tangent: Some(u * (2.0 * terms[k].penalty)) });
    }
    forward.backward(&output_grads, grads)?;
    Ok(penalty)
}

/// By a Jacobian-vector product, for a block of one shard: leaves its g in the pass as tangents, adds its t to
/// `output_tangents` and returns its p. `None` for a network without a jvp.
fn by_jvp(
    forward: &mut ShardedForward<'_>,
    grad_outputs: &[Tensor],
    block: &Range<usize>,
    output_tangents: &mut [Vec<Tensor>],
) -> Result<Option<f64>, Failure> {
    let context = forward.context;
    if !context.network.has_jvp() {
        return Ok(None);
    }
    let (terms, i) = (&context.objective.terms, block.start);
    let mut value = 0.0;
    {
        let graph = forward.take_graph(block)?;
        for (k, term) in terms.iter().enumerate().filter(|(_, term)| term.penalty != 0.0) {
            let scalar = inner(&graph[0][k].value, &context.own(&grad_outputs[k], i));
            let g = derivatives(scalar, &[forward.images[i].shallow_clone()], true, false)?.remove(0);
            value += tikhonov(&g, term.penalty).double_value(&[]);
            forward.tangents[i][k] = Some(g);
        }
    }
    for (k, output) in forward.graph(block)?[0].iter().enumerate() {
        if let Some(tangent) = &output.tangent {
            output_tangents[k].push(tangent.detach() * (2.0 * terms[k].penalty));
        }
    }
    Ok(Some(value))
}

/// By a double backward pass: adds dp/dw at fixed u to the gradients of a block's shards, and each t to
/// `output_tangents`; returns each shard's sum of p.
fn by_double_backward(
    forward: &mut ShardedForward<'_>,
    grad_outputs: &[Tensor],
    block: &Range<usize>,
    grads: &[ShardGradient],
    output_tangents: &mut [Vec<Tensor>],
) -> Result<Vec<f64>, Failure> {
    let context = forward.context;
    let terms = &context.objective.terms;
    let graph = forward.graph(block)?;
    let images: Vec<Tensor> = block.clone().map(|i| forward.images[i].shallow_clone()).collect();
    let mut values = vec![0.0; block.len()];
    for group in context.objective.term_groups() {
        let penalised: Vec<usize> = group.terms.iter().copied().filter(|&k| terms[k].penalty != 0.0).collect();
        let (mut fixed, mut shares) = (Vec::new(), Vec::new());
        for &k in &penalised {
            let own = |i| context.own(&grad_outputs[k], i).detach().set_requires_grad(true);
            let own: Vec<Tensor> = block.clone().map(own).collect();
            let scalar: Tensor = graph.iter().zip(&own).map(|(outputs, u)| inner(&outputs[k].value, u)).sum();
            let gradients = derivatives(scalar, &images, true, true)?;
            shares.push(gradients.iter().map(|g| tikhonov(g, terms[k].penalty)).collect::<Vec<_>>());
            fixed.extend(own);
        }
        if penalised.is_empty() {
            continue;
        }
        let own = |i: usize| shares.iter().map(|by_shard| by_shard[i].shallow_clone()).sum::<Tensor>();
        let own: Vec<Tensor> = (0..block.len()).map(own).collect();
        values.iter_mut().zip(&own).for_each(|(value, p)| *value += p.double_value(&[]));
        let mut inputs = forward.parameters(block, group.reach);
        let by_parameters = inputs.len();
        inputs.extend(fixed);
        // The outputs' graph is needed again.
        let mut found = derivatives(own.into_iter().sum(), &inputs, true, false)?;
        for (place, t) in found.drain(by_parameters..).enumerate() {
            output_tangents[penalised[place / block.len()]].push(t);
        }
        add_block(grads, block, group.reach, &found);
    }
    Ok(values)
}
