//! The backward pass from given derivatives by the outputs to the parameters.

use tch::Tensor;

use super::context::{StepContext, derivatives, inner};
use super::forward::ShardedForward;
use super::shard_gradient::{ShardGradient, add_block};
use crate::failure::Failure;

/// Derivatives by one head's outputs and, where they have tangents, by these: `[S, rows, D]`.
pub(super) struct OutputGrad {
    pub value: Tensor,
    pub tangent: Option<Tensor>,
}

/// Adds to each shard's gradient what `output_grads`, one for each head, give by the parameters.
pub(super) fn backward(
    forward: &mut ShardedForward<'_>,
    context: &StepContext<'_>,
    output_grads: &[OutputGrad],
    shard_gradients: &[ShardGradient],
) -> Result<(), Failure> {
    let groups = context.objective.term_groups();
    for block in forward.blocks() {
        let graph = forward.last_graph(&block)?;
        for (group, left) in groups.iter().zip((0..groups.len()).rev()) {
            let mut scalars = Vec::new();
            for (outputs, i) in graph.iter().zip(block.clone()) {
                for &k in &group.terms {
                    scalars.push(inner(&outputs[k].value, &context.own(&output_grads[k].value, i)));
                    if let (Some(tangent), Some(output_grad)) = (&outputs[k].tangent, &output_grads[k].tangent) {
                        scalars.push(inner(tangent, &context.own(output_grad, i)));
                    }
                }
            }
            let scalar: Tensor = scalars.into_iter().sum();
            let gradients = derivatives(scalar, &forward.parameters(&block, group.reach), left > 0, false)?;
            add_block(shard_gradients, &block, group.reach, &gradients);
        }
    }
    Ok(())
}
