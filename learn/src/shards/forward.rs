//! One forward pass over a batch by all ranks, its autograd graphs, and the backward pass through them.

use std::ops::Range;
use std::rc::Rc;

use tandem_domain::spec::Recompute;
use tch::Tensor;

use super::context::{StepContext, derivatives, inner};
use super::rows::by_view;
use super::shard_gradient::{ShardGradient, add_block};
use crate::failure::Failure;
use crate::flat::FlatTensors;
use crate::network::Shard;
use crate::progress;
use crate::sync_batch_norm::SyncBatchNorm;

/// One head's rows of one shard, `[rows, D]`, with their graph.
pub(super) struct Output {
    pub value: Tensor,
    /// Their derivative along the shard's tangent for this head.
    pub tangent: Option<Tensor>,
}

/// A block's outputs with their graph, by shard and head.
pub(super) type Graph = Rc<Vec<Vec<Output>>>;

/// Derivatives by one head's outputs and, where they have tangents, by these: `[S, rows, D]`.
pub(super) struct OutputGrad {
    pub value: Tensor,
    pub tangent: Option<Tensor>,
}

/// The outputs of a batch on every rank, and the graphs of this rank's shards.
pub(super) struct ShardedForward<'a> {
    pub context: StepContext<'a>,
    heads: usize,
    /// Of each of this rank's shards. All indexes here count from this rank's first shard.
    pub images: Vec<Tensor>,
    /// By shard and head: the tangent of the images, where that head's output is to be differentiated along one.
    pub tangents: Vec<Vec<Option<Tensor>>>,
    /// By block; `None` where a graph was used up or is to be recomputed.
    graphs: Vec<Option<Graph>>,
    /// Leaves for each shard, if shards share a graph, so that one backward pass separates their gradients; else empty.
    leaves: Vec<FlatTensors>,
    /// Each shard's running statistics after the pass.
    pub statistics: Vec<FlatTensors>,
    /// By head: all rows of the batch, `[M, D]` in the objective's order, without graph.
    pub outputs: Vec<Tensor>,
}

impl<'a> ShardedForward<'a> {
    pub(super) fn forward(context: StepContext<'a>, images: Vec<Tensor>, heads: usize) -> Result<Self, Failure> {
        let network = context.network;
        let own_leaves = if network.syncs_batch_norm() { images.len() } else { 0 };
        let leaves = (0..own_leaves).map(|_| network.parameters().alias()).collect();
        let tangents = images.iter().map(|_| (0..heads).map(|_| None).collect()).collect();
        let statistics = images.iter().map(|_| context.copy_statistics()).collect();
        let (graphs, outputs) = (Vec::new(), Vec::new());
        let mut forward = Self { context, heads, images, tangents, graphs, leaves, statistics, outputs };
        let mut own: Vec<Vec<Tensor>> = (0..heads).map(|_| Vec::new()).collect();
        for block in forward.blocks() {
            let graph = forward.run(&block, &forward.statistics[block.clone()])?;
            progress::work_done();
            for outputs in graph.iter() {
                outputs.iter().zip(&mut own).for_each(|(output, own)| own.push(output.value.detach()));
            }
            let kept = forward.retains_graphs().then_some(graph);
            forward.graphs.push(kept);
        }
        let gather = |own: Vec<Tensor>| {
            let all = context.gather(&own)?;
            Ok(by_view(&all, context.objective.views.count()))
        };
        forward.outputs = own.into_iter().map(gather).collect::<Result<_, Failure>>()?;
        Ok(forward)
    }

    /// This rank's shards in groups that share a graph: each alone, or all together.
    pub(super) fn blocks(&self) -> Vec<Range<usize>> {
        let count = self.images.len();
        let size = if self.leaves.is_empty() { 1 } else { count };
        (0..count).step_by(size.max(1)).map(|first| first..first + size).collect()
    }

    /// A block's graph: as kept, or recomputed with the same bits.
    pub(super) fn graph(&mut self, block: &Range<usize>) -> Result<Graph, Failure> {
        let graph = self.take_graph(block)?;
        let index = self.index(block);
        self.graphs[index] = self.retains_graphs().then(|| graph.clone());
        Ok(graph)
    }

    /// As `graph`, for its last use: the graph is not kept.
    pub(super) fn take_graph(&mut self, block: &Range<usize>) -> Result<Graph, Failure> {
        let index = self.index(block);
        match self.graphs[index].take() {
            Some(outputs) => Ok(outputs),
            None => {
                let statistics: Vec<FlatTensors> = block.clone().map(|_| self.context.copy_statistics()).collect();
                self.run(block, &statistics)
            }
        }
    }

    /// The parameters that `reach` names, for each shard of a block in turn.
    pub(super) fn parameters(&self, block: &Range<usize>, reach: Option<&[usize]>) -> Vec<Tensor> {
        let of = |i: usize| {
            let views = self.leaves_of(i).views();
            match reach {
                None => views.iter().map(Tensor::shallow_clone).collect::<Vec<_>>(),
                Some(reach) => reach.iter().map(|&slot| views[slot].shallow_clone()).collect(),
            }
        };
        block.clone().flat_map(of).collect()
    }

    /// Adds to each shard's gradient what `output_grads`, one for each head, give by the parameters.
    pub(super) fn backward(&mut self, output_grads: &[OutputGrad], grads: &[ShardGradient]) -> Result<(), Failure> {
        let groups = self.context.objective.term_groups();
        for block in self.blocks() {
            let graph = self.take_graph(&block)?;
            for (group, left) in groups.iter().zip((0..groups.len()).rev()) {
                let mut scalars = Vec::new();
                for (outputs, i) in graph.iter().zip(block.clone()) {
                    for &k in &group.terms {
                        scalars.push(inner(&outputs[k].value, &self.context.own(&output_grads[k].value, i)));
                        if let (Some(tangent), Some(output_grad)) = (&outputs[k].tangent, &output_grads[k].tangent) {
                            scalars.push(inner(tangent, &self.context.own(output_grad, i)));
                        }
                    }
                }
                let scalar: Tensor = scalars.into_iter().sum();
                let gradients = derivatives(scalar, &self.parameters(&block, group.reach), left > 0, false)?;
                add_block(grads, &block, group.reach, &gradients);
            }
        }
        Ok(())
    }

    /// Graphs are kept until they are used, instead of being recomputed.
    fn retains_graphs(&self) -> bool {
        self.context.objective.recompute == Recompute::None
    }

    fn index(&self, block: &Range<usize>) -> usize {
        if self.leaves.is_empty() { block.start } else { 0 }
    }

    fn leaves_of(&self, i: usize) -> &FlatTensors {
        self.leaves.get(i).unwrap_or_else(|| self.context.network.parameters())
    }

    fn run(&self, block: &Range<usize>, statistics: &[FlatTensors]) -> Result<Graph, Failure> {
        let StepContext { network, group, shards, .. } = self.context;
        let own: Vec<Shard<'_>> = block
            .clone()
            .zip(statistics)
            .map(|(i, statistics)| Shard { images: &self.images[i], parameters: self.leaves_of(i), statistics })
            .collect();
        let values = match network.syncs_batch_norm() {
            false => own.iter().map(|shard| self.run_shard(shard, block.start)).collect(),
            true => {
                let sync = SyncBatchNorm::new(group, shards.count);
                let values = network.forward_synced(&own, &sync, self.heads);
                sync.check()?;
                let output = |value| Output { value, tangent: None };
                values.into_iter().map(|heads| heads.into_iter().map(output).collect()).collect()
            }
        };
        Ok(Rc::new(values))
    }

    /// One shard by itself. Heads that have a tangent are differentiated along it.
    fn run_shard(&self, shard: &Shard<'_>, i: usize) -> Vec<Output> {
        let network = self.context.network;
        let duals: Vec<Option<(Tensor, Tensor)>> = (0..self.heads)
            .map(|k| {
                let tangent = self.tangents[i][k].as_ref()?;
                network.jvp(&Shard { images: &shard.images.detach(), ..*shard }, tangent, k)
            })
            .collect();
        // Heads above the highest one without a tangent need no plain forward pass.
        let heads = duals.iter().rposition(Option::is_none).map_or(0, |k| k + 1);
        let mut values = if heads > 0 { network.forward(shard, heads) } else { Vec::new() }.into_iter();
        let output = |dual| {
            let value = values.next();
            match dual {
                Some((value, tangent)) => Some(Output { value, tangent: Some(tangent) }),
                None => value.map(|value| Output { value, tangent: None }),
            }
        };
        duals.into_iter().filter_map(output).collect()
    }
}
