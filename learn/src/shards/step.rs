//! One training step: forward, loss, backward, and the sum over all shards of all ranks.

use tandem_collective::{ProcessGroup, tree_sum};
use tch::Tensor;

use super::context::StepContext;
use super::forward::{OutputGrad, ShardedForward};
use super::partition::Shards;
use super::shard_gradient::{Reduced, ShardGradient};
use super::{exact, finite};
use crate::failure::Failure;
use crate::network::Network;
use crate::objective::{LossTerm, Objective};
use crate::progress;

/// The result of a step: the same bits on every rank.
#[derive(Debug)]
pub struct Step {
    /// The loss of the whole batch without penalties: the weighted sum of `losses`.
    pub loss: f64,
    /// Each head's mean loss.
    pub losses: Vec<f64>,
    /// The sum of the penalties.
    pub penalty: f64,
    /// Each head's rows, `[M, D]` in the order of `objective.views`, without graph.
    pub outputs: Vec<Tensor>,
    /// The gradient of loss and penalty, laid out as the parameters.
    pub gradient: Tensor,
    /// BatchNorm's running statistics after the step: the mean over shards.
    pub statistics: Tensor,
    /// Some rank has been asked to stop.
    pub stop: bool,
}

/// Forward and backward over one batch; all ranks call it together.
///
/// `images(shard)` returns the shard's images, `[v n, ...]`, first views before second views. `stop` says whether this
/// rank was asked to stop. Fails where a rank is lost.
pub fn step(
    network: &dyn Network,
    group: &ProcessGroup,
    shards: &Shards,
    images: impl FnMut(u32) -> Tensor,
    objective: &Objective<'_>,
    stop: bool,
) -> Result<Step, Failure> {
    let context = StepContext { network, group, shards, objective };
    let penalised = objective.penalised();
    let images = shards.own().map(images).inspect(|_| progress::work_done());
    let images = images.map(|images| images.set_requires_grad(penalised)).collect();
    let mut forward = ShardedForward::forward(context, images, objective.terms.len())?;
    let grads: Vec<ShardGradient> =
        forward.statistics.iter().map(|statistics| ShardGradient::new(network, statistics, stop)).collect();

    let (losses, grad_outputs): (Vec<f64>, Vec<Tensor>) = forward.outputs.iter().map(|rows| context.loss(rows)).unzip();
    let penalty = match (penalised, objective.finite_difference) {
        (false, _) => {
            let output_grad = |(u, term): (&Tensor, &LossTerm)| OutputGrad { value: u * term.weight, tangent: None };
            let output_grads: Vec<OutputGrad> = grad_outputs.iter().zip(&objective.terms).map(output_grad).collect();
            forward.backward(&output_grads, &grads)?;
            0.0
        }
        (true, None) => exact::backward(&mut forward, &grad_outputs, &grads)?,
        (true, Some(finite_difference)) => finite::backward(&mut forward, finite_difference, &grad_outputs, &grads)?,
    };

    let sum = tree_sum(group, grads.into_iter().map(|own| own.flat).collect(), shards.count)?;
    progress::wait_done();
    let sum = Reduced::unpack(network, &sum, shards.count);
    Ok(Step {
        loss: losses.iter().zip(&objective.terms).map(|(loss, term)| term.weight * loss).sum(),
        losses,
        penalty,
        outputs: forward.outputs,
        gradient: sum.gradient,
        statistics: sum.statistics,
        stop: sum.stop,
    })
}
