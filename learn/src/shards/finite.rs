//! Penalties by a finite difference of gradients, without a double backward pass (Finlay & Oberman 2019).
//!
//! With g = dL/dx and the unit vector v of [`Perturbation`], the penalty is c S with √S = <g, v>. Its gradient by the
//! weights at fixed v is
//!
//! ```text
//! 2 c √S d<g, v>/dw  ~  k [dL/dw(x + e v) - dL/dw(x)],      k = 2 c √S / e
//! ```
//!
//! One backward pass from the clean images gives dL/dw(x) and g together, so that a step costs two plain ones. Finlay &
//! Oberman take √S from a difference of losses, [L(x + e v) - L(x)]/e; the clean gradient gives its limit, without the
//! cancellation in f32. Running statistics are those of the clean pass.
//!
//! On a smooth network this converges to the exact gradient as h falls. With ReLU it also contains what the exact
//! gradient cannot (a ReLU has no second derivative): units that switch on or off between x and x + e v. Their jumps do
//! not fall with h, and the fewer units switch the less the jumps average out, so that a smaller h is not a better one.

use std::ops::Range;

use tch::Tensor;

use super::context::{StepContext, derivatives, inner};
use super::forward::{Output, ShardedForward};
use super::shard_gradient::{ShardGradient, add_block};
use crate::failure::Failure;
use crate::objective::{FiniteDifference, Views};
use crate::penalty::Perturbation;

/// Adds the gradient of losses and penalties to each shard's; returns the sum of the penalties.
pub(super) fn backward(
    forward: &mut ShardedForward<'_>,
    finite_difference: FiniteDifference,
    grad_outputs: &[Tensor],
    grads: &[ShardGradient],
) -> Result<f64, Failure> {
    let context = forward.context;
    let mut penalty = 0.0;
    for (k, term) in context.objective.terms.iter().enumerate() {
        let (clean, gradients) = clean(forward, k, &grad_outputs[k])?;
        let mut weight = term.weight;
        if term.penalty != 0.0 {
            let (size, step, moved) = moved(forward, finite_difference, &gradients)?;
            penalty += term.penalty * size * size;
            // A gradient of zero has no direction; one that is not finite ends the run elsewhere.
            if size > 0.0 && size.is_finite() {
                let slope = 2.0 * term.penalty * size / step;
                perturbed(&context, k, moved, slope, grads)?;
                weight -= slope;
            }
        }
        grads.iter().zip(&clean).for_each(|(own, clean)| own.add_scaled(clean, weight));
    }
    Ok(penalty)
}

/// The gradients of one head's loss for each of this rank's shards: by the parameters and, if penalised, by the images.
fn clean(forward: &mut ShardedForward<'_>, k: usize, u: &Tensor) -> Result<(Vec<ShardGradient>, Vec<Tensor>), Failure> {
    let context = forward.context;
    let terms = &context.objective.terms;
    let (term, last) = (&terms[k], k + 1 == terms.len());
    let clean: Vec<ShardGradient> = forward.images.iter().map(|_| ShardGradient::blank(context.network, 0)).collect();
    let mut gradients = Vec::new();
    for block in forward.blocks() {
        let graph = if last { forward.take_graph(&block)? } else { forward.graph(&block)? };
        let mut inputs = forward.parameters(&block, term.reach.as_deref());
        let by_parameters = inputs.len();
        if term.penalty != 0.0 {
            inputs.extend(block.clone().map(|i| forward.images[i].shallow_clone()));
        }
        let scalar = scalar(&context, &graph, k, u, &block);
        let mut found = derivatives(scalar, &inputs, !last, false)?;
        gradients.extend(found.drain(by_parameters..));
        add_block(&clean, &block, term.reach.as_deref(), &found);
    }
    Ok((clean, gradients))
}

/// <z, u> of one head, over the shards of a block.
fn scalar(context: &StepContext<'_>, graph: &[Vec<Output>], k: usize, u: &Tensor, block: &Range<usize>) -> Tensor {
    graph.iter().zip(block.clone()).map(|(outputs, i)| inner(&outputs[k].value, &context.own(u, i))).sum()
}

/// √S, the length e of the step, and the images of this rank's shards moved by e v.
fn moved(
    forward: &ShardedForward<'_>,
    finite_difference: FiniteDifference,
    gradients: &[Tensor],
) -> Result<(f64, f64, Vec<Tensor>), Failure> {
    let context = &forward.context;
    let (first, shards) = (i64::from(context.shards.own().start), i64::from(context.shards.count));
    let rows = shards * forward.images[0].size()[0];
    let elements = shards * forward.images[0].numel() as i64;
    let by_image = context.objective.views == Views::One;
    let perturbation = Perturbation { direction: finite_difference.direction, by_image };

    let measures: Vec<Tensor> = gradients.iter().map(|gradient| perturbation.measure(gradient)).collect();
    let measures = context.gather(&measures)?;
    let (size, step) = (perturbation.size(&measures, elements), perturbation.step(finite_difference.h, rows));
    let moved = (first..).zip(forward.images.iter().zip(gradients)).map(|(shard, (images, gradient))| {
        images.detach() + perturbation.unit(gradient, size, &measures, shard, elements) * step
    });
    Ok((size, step, moved.collect()))
}

/// Adds `slope` times the gradient of one head's loss at the images `moved` to each shard's.
fn perturbed(
    context: &StepContext<'_>,
    k: usize,
    moved: Vec<Tensor>,
    slope: f64,
    grads: &[ShardGradient],
) -> Result<(), Failure> {
    let reach = context.objective.terms[k].reach.as_deref();
    let mut forward = ShardedForward::forward(*context, moved, k + 1)?;
    let (_, u) = context.loss(&forward.outputs[k]);
    for block in forward.blocks() {
        let graph = forward.take_graph(&block)?;
        let scalar = scalar(context, &graph, k, &u, &block) * slope;
        let gradients = derivatives(scalar, &forward.parameters(&block, reach), false, false)?;
        add_block(grads, &block, reach, &gradients);
    }
    Ok(())
}
