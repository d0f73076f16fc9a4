//! One forward pass over a batch by all ranks, and the graphs that it leaves behind.

use std::ops::Range;

use tandem_collective::ProcessGroup;
use tandem_domain::spec::Recompute;
use tch::{Kind, Tensor};

use super::rows::{by_shard, by_view};
use super::{Objective, Shards};
use crate::failure::Failure;
use crate::flat::FlatTensors;
use crate::network::{Network, Shard};
use crate::progress;
use crate::sync_batch_norm::SyncBatchNorm;

/// What stays the same throughout a step.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub network: &'a dyn Network,
    pub group: &'a ProcessGroup,
    pub shards: &'a Shards,
    pub objective: &'a Objective<'a>,
}

/// One head's rows of one shard, `[rows, D]`, with their graph.
pub(super) struct Output {
    pub value: Tensor,
    /// Their derivative along the shard's direction of this head.
    pub rate: Option<Tensor>,
}

/// The outputs of a batch on every rank, and the graphs of this rank's shards.
pub(super) struct Pass<'a> {
    context: Context<'a>,
    heads: usize,
    /// This rank's shards, as all that is counted from its first shard.
    pub images: Vec<Tensor>,
    /// By shard and head: along what that head's output is to be differentiated.
    pub directions: Vec<Vec<Option<Tensor>>>,
    /// By block, shard and head.
    graphs: Vec<Option<Vec<Vec<Output>>>>,
    /// Where shards see each other, each has leaves of its own: one backward pass then tells their gradients apart.
    leaves: Vec<FlatTensors>,
    /// After this pass.
    pub statistics: Vec<FlatTensors>,
    /// By head, all rows `[M, D]` in the objective's order, without graph.
    pub outputs: Vec<Tensor>,
}

impl<'a> Pass<'a> {
    pub(super) fn forward(context: Context<'a>, images: Vec<Tensor>, heads: usize) -> Result<Self, Failure> {
        let network = context.network;
        let leaves = if network.syncs_batch_norm() {
            images.iter().map(|_| network.parameters().alias()).collect()
        } else {
            vec![]
        };
        let directions = images.iter().map(|_| (0..heads).map(|_| None).collect()).collect();
        let statistics = images.iter().map(|_| context.scratch()).collect();
        let (graphs, outputs) = (Vec::new(), Vec::new());
        let mut pass = Self { context, heads, images, directions, graphs, leaves, statistics, outputs };
        let mut own: Vec<Vec<Tensor>> = (0..heads).map(|_| Vec::new()).collect();
        for block in pass.blocks() {
            let graph = pass.run(&block, &pass.statistics[block.clone()])?;
            progress::beat();
            for outputs in &graph {
                outputs.iter().zip(&mut own).for_each(|(output, own)| own.push(output.value.detach()));
            }
            let kept = pass.keeps().then_some(graph);
            pass.graphs.push(kept);
        }
        let gather = |own: Vec<Tensor>| {
            let all = context.gather(&own)?;
            Ok(by_view(&all, context.objective.views.count()))
        };
        pass.outputs = own.into_iter().map(gather).collect::<Result<_, Failure>>()?;
        Ok(pass)
    }

    /// Own shards that share a graph: each by itself, or all.
    pub(super) fn blocks(&self) -> Vec<Range<usize>> {
        let count = self.images.len();
        let size = if self.leaves.is_empty() { 1 } else { count };
        (0..count).step_by(size.max(1)).map(|first| first..first + size).collect()
    }

    /// By shard and head, the outputs of a block with their graph: the one of the pass, or the same once more.
    pub(super) fn graph(&mut self, block: &Range<usize>) -> Result<Vec<Vec<Output>>, Failure> {
        let graph = self.last_graph(block)?;
        if self.keeps() {
            let clone = |output: &Output| Output {
                value: output.value.shallow_clone(),
                rate: output.rate.as_ref().map(Tensor::shallow_clone),
            };
            let kept = graph.iter().map(|outputs| outputs.iter().map(clone).collect()).collect();
            let index = self.index(block);
            self.graphs[index] = Some(kept);
        }
        Ok(graph)
    }

    /// As `graph`, for the last time: the pass keeps nothing of it.
    pub(super) fn last_graph(&mut self, block: &Range<usize>) -> Result<Vec<Vec<Output>>, Failure> {
        let index = self.index(block);
        match self.graphs[index].take() {
            Some(outputs) => Ok(outputs),
            None => {
                let scratch: Vec<FlatTensors> = block.clone().map(|_| self.context.scratch()).collect();
                self.run(block, &scratch)
            }
        }
    }

    /// Parameters of a reach, of each shard of a block.
    pub(super) fn parameters(&self, block: &Range<usize>, reach: Option<&[usize]>) -> Vec<Tensor> {
        let of = |i: usize| {
            let views = self.leaves_of(i).views();
            match reach {
                None => views.iter().map(Tensor::shallow_clone).collect::<Vec<_>>(),
                Some(reach) => reach.iter().map(|&place| views[place].shallow_clone()).collect(),
            }
        };
        block.clone().flat_map(of).collect()
    }

    /// Graphs stay until they are used, and are not made once more.
    fn keeps(&self) -> bool {
        self.context.objective.recompute == Recompute::None
    }

    fn index(&self, block: &Range<usize>) -> usize {
        if self.leaves.is_empty() { block.start } else { 0 }
    }

    fn leaves_of(&self, i: usize) -> &FlatTensors {
        self.leaves.get(i).unwrap_or_else(|| self.context.network.parameters())
    }

    fn run(&self, block: &Range<usize>, statistics: &[FlatTensors]) -> Result<Vec<Vec<Output>>, Failure> {
        let Context { network, group, shards, .. } = self.context;
        let own: Vec<Shard<'_>> = block
            .clone()
            .zip(statistics)
            .map(|(i, statistics)| Shard { images: &self.images[i], parameters: self.leaves_of(i), statistics })
            .collect();
        let values = match network.syncs_batch_norm() {
            false => own.iter().map(|shard| self.alone(shard, block.start)).collect(),
            true => {
                let sync = SyncBatchNorm::new(group, shards.count);
                let values = network.forward_synced(&own, &sync, self.heads);
                sync.check()?;
                let output = |value| Output { value, rate: None };
                values.into_iter().map(|heads| heads.into_iter().map(output).collect()).collect()
            }
        };
        Ok(values)
    }

    /// Heads that have a direction are run along it.
    fn alone(&self, shard: &Shard<'_>, i: usize) -> Vec<Output> {
        let network = self.context.network;
        let moving: Vec<Option<(Tensor, Tensor)>> = (0..self.heads)
            .map(|k| {
                let direction = self.directions[i][k].as_ref()?;
                network.jvp(&Shard { images: &shard.images.detach(), ..*shard }, direction, k)
            })
            .collect();
        // Nobody asks for the heads above the highest one that does not move.
        let heads = moving.iter().rposition(Option::is_none).map_or(0, |k| k + 1);
        let mut still = if heads > 0 { network.forward(shard, heads) } else { Vec::new() }.into_iter();
        let output = |moving| {
            let value = still.next();
            match moving {
                Some((value, rate)) => Some(Output { value, rate: Some(rate) }),
                None => value.map(|value| Output { value, rate: None }),
            }
        };
        moving.into_iter().filter_map(output).collect()
    }
}

impl Context<'_> {
    /// A copy of the running statistics, for a pass to overwrite.
    fn scratch(&self) -> FlatTensors {
        let statistics = self.network.statistics();
        FlatTensors::over(statistics.layout().clone(), statistics.vector().copy())
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
        let all = self.group.all_gather(&Tensor::stack(own, 0))?;
        progress::waited();
        Ok(all)
    }
}

/// <z, u>: the scalar whose gradient at z is u.
pub(super) fn inner(z: &Tensor, u: &Tensor) -> Tensor {
    (z * u).sum(None::<Kind>)
}

/// Autograd's derivatives of a scalar by `inputs`. Fails where a rank is lost that the graph leads to.
pub(super) fn derivatives(scalar: Tensor, inputs: &[Tensor], keep: bool, create: bool) -> Result<Vec<Tensor>, Failure> {
    let found = Tensor::f_run_backward(&[scalar], inputs, keep, create).map_err(tandem_collective::Error::from)?;
    progress::beat();
    Ok(found)
}
