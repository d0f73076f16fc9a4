//! A small smooth network in double precision, for steps whose derivatives are compared to nine digits.
//!
//! Four stages of linear, BatchNorm, tanh; a linear head on each. `peers/losses.py` has the same.

use std::sync::Arc;

use serde_json::{Value, json};
use tandem_collective::BatchNorm;
use tandem_learn::flat::{FlatTensors, Layout, Role};
use tandem_learn::network::{Network, Shard};
use tandem_learn::sync_batch_norm::SyncBatchNorm;
use tch::{Device, Kind, Tensor};

use crate::environment::SEED;

/// Shape of an image, and its number of elements.
pub(super) const IMAGE: [i64; 3] = [3, 4, 4];
const INPUTS: i64 = 48;
const WIDTH: i64 = 10;
const STAGES: usize = 4;

pub(super) struct Smooth {
    parameters: FlatTensors,
    statistics: FlatTensors,
    stages: Vec<Stage>,
    outputs: i64,
    /// A head on each stage; otherwise one on the last.
    layered: bool,
    /// BatchNorm by the statistics of all shards; otherwise of each.
    pub(super) global: bool,
}

/// Slots of the flat vectors.
struct Stage {
    weight: usize,
    scale: usize,
    shift: usize,
    mean: usize,
    variance: usize,
    head: usize,
    bias: usize,
}

impl Smooth {
    /// Weights are drawn, not trained, so that their derivatives are not small.
    pub(super) fn new(outputs: i64, layered: bool) -> Self {
        let drawn = Self::blank(outputs, layered);
        tch::manual_seed(SEED as i64);
        tch::no_grad(|| {
            // Tensor by tensor, so that the padding between them stays zero.
            for (slot, view) in drawn.parameters.named() {
                let mut view = view.shallow_clone();
                let _ = match slot.role {
                    // Small, so that the network is nearly linear over differences of h = 1e-2.
                    Role::NormWeight => view.uniform_(0.2, 0.5),
                    Role::NormBias => view.normal_(0.0, 0.2),
                    _ => view.normal_(0.0, 0.5),
                };
            }
            for view in drawn.statistics.views() {
                let _ = view.shallow_clone().uniform_(0.5, 1.5);
            }
        });
        drawn
    }

    fn blank(outputs: i64, layered: bool) -> Self {
        let (mut parameters, mut statistics) = (Layout::default(), Layout::default());
        let stages = (0..STAGES).map(|k| {
            let inputs = if k == 0 { INPUTS } else { WIDTH };
            Stage {
                weight: parameters.add(format!("{k}.weight"), &[WIDTH, inputs], Role::Linear),
                scale: parameters.add(format!("{k}.scale"), &[WIDTH], Role::NormWeight),
                shift: parameters.add(format!("{k}.shift"), &[WIDTH], Role::NormBias),
                mean: statistics.add(format!("{k}.mean"), &[WIDTH], Role::RunningMean),
                variance: statistics.add(format!("{k}.variance"), &[WIDTH], Role::RunningVariance),
                head: parameters.add(format!("{k}.head"), &[outputs, WIDTH], Role::Linear),
                bias: parameters.add(format!("{k}.bias"), &[outputs], Role::Bias { inputs: WIDTH }),
            }
        });
        let stages = stages.collect();
        let zeros = |layout: Layout| {
            let vector = Tensor::zeros([layout.len()], (Kind::Double, Device::Cpu));
            FlatTensors::over(Arc::new(layout), vector)
        };
        let (parameters, statistics) = (zeros(parameters).with_gradients(), zeros(statistics));
        Self { parameters, statistics, stages, outputs, layered, global: false }
    }

    /// The same weights in other memory, for another rank: the leaves of a graph belong to one thread.
    pub(super) fn copy(&self) -> Self {
        let copy = Self { global: self.global, ..Self::blank(self.outputs, self.layered) };
        tch::no_grad(|| {
            copy.parameters.vector().shallow_clone().copy_(self.parameters.vector());
            copy.statistics.vector().shallow_clone().copy_(self.statistics.vector());
        });
        copy
    }

    /// Tensors by name, as the peer keeps them.
    pub(super) fn named(&self) -> Vec<(&str, &Tensor)> {
        let all = self.parameters.named().chain(self.statistics.named());
        all.map(|(slot, view)| (slot.name.as_str(), view)).collect()
    }

    /// Where each tensor is in its flat vector.
    pub(super) fn layout(&self) -> Value {
        let places = |flat: &FlatTensors| {
            let offsets = flat.layout().slots().iter().map(|slot| (slot.name.clone(), slot.offset.into())).collect();
            json!({ "length": flat.layout().len(), "offsets": Value::Object(offsets) })
        };
        json!({ "parameters": places(&self.parameters), "statistics": places(&self.statistics) })
    }
}

impl Smooth {
    /// Outputs of this rank's shards; `normalise` runs a BatchNorm on all of them.
    fn run(
        &self,
        shards: &[Shard<'_>],
        heads: usize,
        normalise: impl Fn(&[Tensor], &[BatchNorm<'_>]) -> Vec<Tensor>,
    ) -> Vec<Vec<Tensor>> {
        let mut x: Vec<Tensor> = shards.iter().map(|shard| shard.images.flatten(1, -1)).collect();
        let mut outputs: Vec<Vec<Tensor>> = shards.iter().map(|_| Vec::new()).collect();
        for (k, stage) in self.stages.iter().enumerate() {
            let norms = shards.iter().map(|shard| BatchNorm {
                scale: shard.parameters.get(stage.scale),
                shift: shard.parameters.get(stage.shift),
                running_mean: shard.statistics.get(stage.mean),
                running_variance: shard.statistics.get(stage.variance),
                momentum: 0.1,
                epsilon: 1e-5,
            });
            let linear =
                shards.iter().zip(&x).map(|(shard, x)| x.linear(shard.parameters.get(stage.weight), None::<Tensor>));
            x = normalise(&linear.collect::<Vec<_>>(), &norms.collect::<Vec<_>>()).iter().map(Tensor::tanh).collect();
            if self.layered || k + 1 == STAGES {
                for ((shard, x), outputs) in shards.iter().zip(&x).zip(&mut outputs) {
                    let get = |index| shard.parameters.get(index);
                    outputs.push(x.linear(get(stage.head), Some(get(stage.bias))));
                }
            }
        }
        outputs.iter_mut().for_each(|outputs| outputs.truncate(heads));
        outputs
    }
}

fn batch_norm(x: &Tensor, norm: &BatchNorm<'_>) -> Tensor {
    x.batch_norm(
        Some(norm.scale),
        Some(norm.shift),
        Some(norm.running_mean),
        Some(norm.running_variance),
        true,
        norm.momentum,
        norm.epsilon,
        false,
    )
}

impl Network for Smooth {
    fn parameters(&self) -> &FlatTensors {
        &self.parameters
    }

    fn statistics(&self) -> &FlatTensors {
        &self.statistics
    }

    fn syncs_batch_norm(&self) -> bool {
        self.global
    }

    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor> {
        let alone =
            |x: &[Tensor], norms: &[BatchNorm<'_>]| x.iter().zip(norms).map(|(x, norm)| batch_norm(x, norm)).collect();
        self.run(&[*shard], heads, alone).remove(0)
    }

    fn forward_synced(&self, shards: &[Shard<'_>], sync: &SyncBatchNorm<'_>, heads: usize) -> Vec<Vec<Tensor>> {
        self.run(shards, heads, |x, norms| sync.normalise(x, norms))
    }
}
