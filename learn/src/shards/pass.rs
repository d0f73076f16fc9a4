//! One forward pass over a batch by all ranks, and the graphs that it leaves behind.

use tandem_collective::Group;
use tandem_domain::spec::Recompute;
use tch::{Kind, Tensor};

use super::rows::{by_shard, by_view};
use super::{Network, Objective, Shards};
use crate::failure::Failure;
use crate::flat::Flat;

/// What stays the same throughout a step.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub network: &'a dyn Network,
    pub group: &'a Group,
    pub shards: &'a Shards,
    pub objective: &'a Objective<'a>,
}

/// The outputs of a batch on every rank, and the graphs of this rank's shards.
pub(super) struct Pass<'a> {
    context: Context<'a>,
    heads: usize,
    /// This rank's shards, as all that is counted from its first shard.
    pub images: Vec<Tensor>,
    graphs: Vec<Option<Vec<Tensor>>>,
    /// After this pass.
    pub statistics: Vec<Flat>,
    /// By head, all rows `[M, D]` in the objective's order, without graph.
    pub outputs: Vec<Tensor>,
}

impl<'a> Pass<'a> {
    pub(super) fn forward(context: Context<'a>, images: Vec<Tensor>, heads: usize) -> Result<Self, Failure> {
        let keep = context.objective.recompute == Recompute::None;
        let (mut graphs, mut statistics) = (Vec::new(), Vec::new());
        let mut own: Vec<Vec<Tensor>> = (0..heads).map(|_| Vec::new()).collect();
        for images in &images {
            let scratch = context.scratch();
            let outputs = context.network.forward(images, &scratch, heads);
            outputs.iter().zip(&mut own).for_each(|(output, own)| own.push(output.detach()));
            graphs.push(keep.then_some(outputs));
            statistics.push(scratch);
        }
        let gather = |own: Vec<Tensor>| {
            let all = context.group.all_gather(&Tensor::stack(&own, 0))?;
            Ok(by_view(&all, context.objective.views.count()))
        };
        let outputs = own.into_iter().map(gather).collect::<Result<_, Failure>>()?;
        Ok(Self { context, heads, images, graphs, statistics, outputs })
    }

    /// The outputs of this rank's shard `i` with their graph: the one of the pass, or the same once more.
    pub(super) fn graph(&self, i: usize) -> Vec<Tensor> {
        match &self.graphs[i] {
            Some(outputs) => outputs.iter().map(Tensor::shallow_clone).collect(),
            None => self.context.network.forward(&self.images[i], &self.context.scratch(), self.heads),
        }
    }

    /// As `graph`, for the last time: the pass keeps nothing of it.
    pub(super) fn last_graph(&mut self, i: usize) -> Vec<Tensor> {
        match self.graphs[i].take() {
            Some(outputs) => outputs,
            None => self.graph(i),
        }
    }
}

impl Context<'_> {
    /// A copy of the running statistics, for a pass to overwrite.
    fn scratch(&self) -> Flat {
        let statistics = self.network.statistics();
        Flat::over(statistics.layout().clone(), statistics.vector().copy())
    }

    /// The mean loss of one head's rows, and its derivative by them, `[S, rows, D]`: on every rank alike.
    pub(super) fn loss(&self, outputs: &Tensor) -> (f64, Tensor) {
        let leaf = outputs.detach().set_requires_grad(true);
        let loss = (self.objective.loss)(&leaf);
        let toward = Tensor::run_backward(&[&loss], &[&leaf], false, false).remove(0);
        (loss.double_value(&[]), self.by_shard(&toward))
    }

    /// H t, with H the second derivative of the mean loss by one head's rows and t `[S, rows, D]`, shaped as t: on every
    /// rank alike.
    pub(super) fn curved(&self, outputs: &Tensor, t: &Tensor) -> Tensor {
        let leaf = outputs.detach().set_requires_grad(true);
        let toward = Tensor::run_backward(&[(self.objective.loss)(&leaf)], &[&leaf], true, true).remove(0);
        // <t, u> is summed in the order of rows.
        let along = inner(&toward, &by_view(t, self.objective.views.count()));
        self.by_shard(&Tensor::run_backward(&[along], &[&leaf], false, false)[0])
    }

    /// Rows in the objective's order to `[S, rows, D]`.
    pub(super) fn by_shard(&self, rows: &Tensor) -> Tensor {
        by_shard(rows, self.objective.views.count(), self.shards.count)
    }

    /// The slice of `[S, ...]` that belongs to this rank's shard `i`.
    pub(super) fn own(&self, all: &Tensor, i: usize) -> Tensor {
        all.get(i64::from(self.shards.own().start) + i as i64)
    }

    /// `[S, ...]` on every rank, of what each has for its own shards.
    pub(super) fn gather(&self, own: &[Tensor]) -> Result<Tensor, Failure> {
        Ok(self.group.all_gather(&Tensor::stack(own, 0))?)
    }

    /// The parameters of a reach.
    pub(super) fn parameters(&self, reach: Option<&[usize]>) -> Vec<Tensor> {
        let views = self.network.parameters().views();
        match reach {
            None => views.iter().map(Tensor::shallow_clone).collect(),
            Some(reach) => reach.iter().map(|&i| views[i].shallow_clone()).collect(),
        }
    }
}

/// <z, u>: the scalar whose gradient at z is u.
pub(super) fn inner(z: &Tensor, u: &Tensor) -> Tensor {
    (z * u).sum(None::<Kind>)
}
