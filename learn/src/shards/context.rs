//! What every part of a step knows: network, objective, ranks and shards.

use tandem_collective::ProcessGroup;
use tch::{Kind, Tensor};

use super::partition::Shards;
use super::rows::{by_shard, by_view};
use crate::failure::Failure;
use crate::flat::FlatTensors;
use crate::network::Network;
use crate::objective::Objective;
use crate::progress;

/// What does not change during a step.
#[derive(Clone, Copy)]
pub(super) struct StepContext<'a> {
    pub network: &'a dyn Network,
    pub group: &'a ProcessGroup,
    pub shards: &'a Shards,
    pub objective: &'a Objective<'a>,
}

impl StepContext<'_> {
    /// A copy of the running statistics, for a pass to update.
    pub(super) fn copy_statistics(&self) -> FlatTensors {
        let statistics = self.network.statistics();
        FlatTensors::over(statistics.layout().clone(), statistics.vector().copy())
    }

    /// The mean loss of one head's rows, and its derivative by them, `[S, rows, D]`; equal on every rank.
    pub(super) fn loss(&self, outputs: &Tensor) -> (f64, Tensor) {
        let leaf = outputs.detach().set_requires_grad(true);
        let loss = (self.objective.loss)(&leaf);
        let grad_outputs = Tensor::run_backward(&[&loss], &[&leaf], false, false).remove(0);
        (loss.double_value(&[]), self.by_shard(&grad_outputs))
    }

    /// H t, where H is the second derivative of the mean loss by one head's rows and t is `[S, rows, D]`; shaped as t,
    /// equal on every rank.
    pub(super) fn hessian_product(&self, outputs: &Tensor, t: &Tensor) -> Tensor {
        let leaf = outputs.detach().set_requires_grad(true);
        let grad_outputs = Tensor::run_backward(&[(self.objective.loss)(&leaf)], &[&leaf], true, true).remove(0);
        // <t, u> is summed in the objective's order of rows.
        let scalar = inner(&grad_outputs, &by_view(t, self.objective.views.count()));
        self.by_shard(&Tensor::run_backward(&[scalar], &[&leaf], false, false)[0])
    }

    /// Rows in the objective's order to `[S, rows, D]`.
    pub(super) fn by_shard(&self, rows: &Tensor) -> Tensor {
        by_shard(rows, self.objective.views.count(), self.shards.count)
    }

    /// The slice of `[S, ...]` that belongs to this rank's shard `i`.
    pub(super) fn own(&self, all: &Tensor, i: usize) -> Tensor {
        all.get(i64::from(self.shards.own().start) + i as i64)
    }

    /// What each rank has for its own shards, as `[S, ...]` on every rank.
    pub(super) fn gather(&self, own: &[Tensor]) -> Result<Tensor, Failure> {
        let all = self.group.all_gather(&Tensor::stack(own, 0))?;
        progress::wait_done();
        Ok(all)
    }
}

/// <z, u>: the scalar whose gradient at z is u.
pub(super) fn inner(z: &Tensor, u: &Tensor) -> Tensor {
    (z * u).sum(None::<Kind>)
}

/// Autograd's derivatives of a scalar by `inputs`. Fails if the graph leads to another rank that is lost.
pub(super) fn derivatives(
    scalar: Tensor,
    inputs: &[Tensor],
    retain_graph: bool,
    create_graph: bool,
) -> Result<Vec<Tensor>, Failure> {
    let found = Tensor::f_run_backward(&[scalar], inputs, retain_graph, create_graph)
        .map_err(tandem_collective::Error::from)?;
    progress::work_done();
    Ok(found)
}
