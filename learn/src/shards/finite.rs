//! Penalties by a finite difference of gradients, without a double backward pass (Finlay & Oberman 2019).
//!
//! With g = dL/dx and the unit direction v of [`Perturbation`], the penalty is c S with √S = <g, v>, and its gradient by the
//! weights at fixed v is
//!
//! ```text
//! 2 c √S d<g, v>/dw  ~  k [dL/dw(x + e v) - dL/dw(x)],      k = 2 c √S / e
//! ```
//!
//! One backward pass of the clean images gives dL/dw(x) and g together, so that a step costs two plain ones. Finlay &
//! Oberman take √S from a difference of losses, [L(x + e v) - L(x)]/e; the clean gradient gives the number that this
//! goes to, without its cancellation in f32. Running statistics are those of the clean pass.
//!
//! On a smooth network this goes to the exact gradient as h falls. On one of ReLUs it also sees what the exact one, whose
//! ReLU has no second derivative, is blind to: units that switch on or off between x and x + e v. Their jumps do not
//! fall with h, and the fewer switch the less they average out, so that a small h is not a better one.

use std::ops::Range;

use tch::Tensor;

use super::context::{StepContext, derivatives, inner};
use super::forward::{Output, ShardedForward};
use super::shard_gradient::{ShardGradient, add_block};
use crate::failure::Failure;
use crate::objective::{Difference, Views};
use crate::penalty::Perturbation;

/// Adds the gradient of losses and penalties to each shard's part; returns the sum of the penalties.
pub(super) fn backward(
    forward: &mut ShardedForward<'_>,
    context: &StepContext<'_>,
    difference: Difference,
    grad_outputs: &[Tensor],
    parts: &[ShardGradient],
) -> Result<f64, Failure> {
    let mut penalty = 0.0;
    for (k, term) in context.objective.terms.iter().enumerate() {
        let (clean, gradients) = clean(forward, context, k, &grad_outputs[k])?;
        let mut weight = term.weight;
        if term.penalty != 0.0 {
            let (size, step, moved) = moved(forward, context, difference, &gradients)?;
            penalty += term.penalty * size * size;
            // At a gradient of zero there is no direction; one that is not finite ends the run elsewhere.
            if size > 0.0 && size.is_finite() {
                let slope = 2.0 * term.penalty * size / step;
                perturbed(context, k, moved, slope, parts)?;
                weight -= slope;
            }
        }
        parts.iter().zip(&clean).for_each(|(part, clean)| part.add_scaled(clean, weight));
    }
    Ok(penalty)
}

/// Each own shard's gradient of one head's loss, by the parameters and, where it is penalised, by the images.
fn clean(
    forward: &mut ShardedForward<'_>,
    context: &StepContext<'_>,
    k: usize,
    grad_outputs: &Tensor,
) -> Result<(Vec<ShardGradient>, Vec<Tensor>), Failure> {
    let terms = &context.objective.terms;
    let (term, last) = (&terms[k], k + 1 == terms.len());
    let clean: Vec<ShardGradient> = forward.images.iter().map(|_| ShardGradient::blank(context.network, 0)).collect();
    let mut gradients = Vec::new();
    for block in forward.blocks() {
        let graph = if last { forward.last_graph(&block)? } else { forward.graph(&block)? };
        let mut inputs = forward.parameters(&block, term.reach.as_deref());
        let moved = inputs.len();
        if term.penalty != 0.0 {
            inputs.extend(block.clone().map(|i| forward.images[i].shallow_clone()));
        }
        let scalar = scalar(context, &graph, k, grad_outputs, &block);
        let mut found = derivatives(scalar, &inputs, !last, false)?;
        gradients.extend(found.drain(moved..));
        add_block(&clean, &block, term.reach.as_deref(), &found);
    }
    Ok((clean, gradients))
}

/// <z, u> of one head, over the shards of a block.
fn scalar(
    context: &StepContext<'_>,
    graph: &[Vec<Output>],
    k: usize,
    grad_outputs: &Tensor,
    block: &Range<usize>,
) -> Tensor {
    graph.iter().zip(block.clone()).map(|(outputs, i)| inner(&outputs[k].value, &context.own(grad_outputs, i))).sum()
}

/// √S, the length e of the step, and own shards' images moved by e v.
fn moved(
    forward: &ShardedForward<'_>,
    context: &StepContext<'_>,
    difference: Difference,
    gradients: &[Tensor],
) -> Result<(f64, f64, Vec<Tensor>), Failure> {
    let (first, shards) = (i64::from(context.shards.own().start), i64::from(context.shards.count));
    let rows = shards * forward.images[0].size()[0];
    let elements = shards * forward.images[0].numel() as i64;
    let perturbation =
        Perturbation { direction: difference.direction, by_image: context.objective.views == Views::One };

    let measures: Vec<Tensor> = gradients.iter().map(|gradient| perturbation.measure(gradient)).collect();
    let measures = context.gather(&measures)?;
    let (size, step) = (perturbation.size(&measures, elements), perturbation.step(difference.h, rows));
    let moved = (first..).zip(forward.images.iter().zip(gradients)).map(|(shard, (images, gradient))| {
        images.detach() + perturbation.unit(gradient, size, &measures, shard, elements) * step
    });
    Ok((size, step, moved.collect()))
}

/// Adds `slope` times the gradient of one head's loss at the images `moved`.
fn perturbed(
    context: &StepContext<'_>,
    k: usize,
    moved: Vec<Tensor>,
    slope: f64,
    parts: &[ShardGradient],
) -> Result<(), Failure> {
    let reach = context.objective.terms[k].reach.as_deref();
    let mut forward = ShardedForward::forward(*context, moved, k + 1)?;
    let (_, grad_outputs) = context.loss(&forward.outputs[k]);
    for block in forward.blocks() {
        let graph = forward.last_graph(&block)?;
        let scalar = scalar(context, &graph, k, &grad_outputs, &block) * slope;
        let gradients = derivatives(scalar, &forward.parameters(&block, reach), false, false)?;
        add_block(parts, &block, reach, &gradients);
    }
    Ok(())
}
