//! Penalties by a finite difference of gradients, without a double backward pass (Finlay & Oberman 2019).
//!
//! With g = dL/dx and the unit direction v of [`Along`], the penalty is c S with √S = <g, v>, and its gradient by the
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

use super::objective::{Difference, Views};
use super::part::{Part, add_block};
use super::pass::{Context, Output, Pass, derivatives, inner};
use crate::failure::Failure;
use crate::penalty::Along;

/// Adds the gradient of losses and penalties to each shard's part; returns the sum of the penalties.
pub(super) fn backward(
    pass: &mut Pass<'_>,
    context: &Context<'_>,
    difference: Difference,
    toward: &[Tensor],
    parts: &[Part],
) -> Result<f64, Failure> {
    let mut penalty = 0.0;
    for (k, term) in context.objective.terms.iter().enumerate() {
        let (clean, gradients) = clean(pass, context, k, &toward[k])?;
        let mut weight = term.weight;
        if term.penalty != 0.0 {
            let (size, step, moved) = moved(pass, context, difference, &gradients)?;
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
    pass: &mut Pass<'_>,
    context: &Context<'_>,
    k: usize,
    toward: &Tensor,
) -> Result<(Vec<Part>, Vec<Tensor>), Failure> {
    let terms = &context.objective.terms;
    let (term, last) = (&terms[k], k + 1 == terms.len());
    let clean: Vec<Part> = pass.images.iter().map(|_| Part::blank(context.network, 0)).collect();
    let mut gradients = Vec::new();
    for block in pass.blocks() {
        let graph = if last { pass.last_graph(&block)? } else { pass.graph(&block)? };
        let mut inputs = pass.parameters(&block, term.reach.as_deref());
        let moved = inputs.len();
        if term.penalty != 0.0 {
            inputs.extend(block.clone().map(|i| pass.images[i].shallow_clone()));
        }
        let scalar = scalar(context, &graph, k, toward, &block);
        let mut found = derivatives(scalar, &inputs, !last, false)?;
        gradients.extend(found.drain(moved..));
        add_block(&clean, &block, term.reach.as_deref(), &found);
    }
    Ok((clean, gradients))
}

/// <z, u> of one head, over the shards of a block.
fn scalar(context: &Context<'_>, graph: &[Vec<Output>], k: usize, toward: &Tensor, block: &Range<usize>) -> Tensor {
    graph.iter().zip(block.clone()).map(|(outputs, i)| inner(&outputs[k].value, &context.own(toward, i))).sum()
}

/// √S, the length e of the step, and own shards' images moved by e v.
fn moved(
    pass: &Pass<'_>,
    context: &Context<'_>,
    difference: Difference,
    gradients: &[Tensor],
) -> Result<(f64, f64, Vec<Tensor>), Failure> {
    let (first, shards) = (i64::from(context.shards.own().start), i64::from(context.shards.count));
    let rows = shards * pass.images[0].size()[0];
    let elements = shards * pass.images[0].numel() as i64;
    let along = Along { direction: difference.direction, by_image: context.objective.views == Views::One };

    let measures: Vec<Tensor> = gradients.iter().map(|gradient| along.measure(gradient)).collect();
    let measures = context.gather(&measures)?;
    let (size, step) = (along.size(&measures, elements), along.step(difference.h, rows));
    let moved = (first..).zip(pass.images.iter().zip(gradients)).map(|(shard, (images, gradient))| {
        images.detach() + along.unit(gradient, size, &measures, shard, elements) * step
    });
    Ok((size, step, moved.collect()))
}

/// Adds `slope` times the gradient of one head's loss at the images `moved`.
fn perturbed(context: &Context<'_>, k: usize, moved: Vec<Tensor>, slope: f64, parts: &[Part]) -> Result<(), Failure> {
    let reach = context.objective.terms[k].reach.as_deref();
    let mut pass = Pass::forward(*context, moved, k + 1)?;
    let (_, toward) = context.loss(&pass.outputs[k]);
    for block in pass.blocks() {
        let graph = pass.last_graph(&block)?;
        let scalar = scalar(context, &graph, k, &toward, &block) * slope;
        let gradients = derivatives(scalar, &pass.parameters(&block, reach), false, false)?;
        add_block(parts, &block, reach, &gradients);
    }
    Ok(())
}
