//! A small smooth network in double precision, for which the formulas hold to the last digits, and the reference:
//! autograd over the whole batch at once.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tandem_collective::{ProcessGroup, RendezvousStore};
use tandem_learn::flat::{FlatTensors, Layout, Role};
use tandem_learn::network::{Network, Shard};
use tandem_learn::objective::{Objective, Views};
use tandem_learn::shards::{Shards, Step, step};
use tch::{Device, Kind, Tensor};

pub(crate) const SHARDS: u32 = 4;
const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
/// BatchNorm's, large beside the variance of so few and similar images, so that the function bends gently.
const EPSILON: f64 = 0.3;
/// Elements of an image, width of the hidden layers, rows' width.
const SIZES: [i64; 3] = [3 * 2 * 2, 7, 5];

/// Images to two hidden layers of tanh, each with a linear head.
pub(crate) struct Smooth {
    pub(crate) parameters: FlatTensors,
    pub(crate) statistics: FlatTensors,
    /// BatchNorm before each tanh: the images of a shard then depend on each other.
    pub(crate) normed: bool,
    /// Both heads' rows are returned; otherwise only the second one's.
    pub(crate) layered: bool,
}

impl Smooth {
    pub(crate) fn new(normed: bool, layered: bool) -> Self {
        let [image, hidden, rows] = SIZES;
        let (mut parameters, mut statistics) = (Layout::default(), Layout::default());
        for (name, shape) in [("a", [hidden, image]), ("head_a", [rows, hidden]), ("b", [hidden, hidden])] {
            parameters.add(name.into(), &shape, Role::Linear);
        }
        parameters.add("head_b".into(), &[rows, hidden], Role::Linear);
        for name in ["a", "b"] {
            statistics.add(format!("{name}.mean"), &[hidden], Role::RunningMean);
            statistics.add(format!("{name}.variance"), &[hidden], Role::RunningVariance);
        }
        let vector = |layout: &Layout, phase: f64| (Tensor::arange(layout.len(), DOUBLE) * 1.7 + phase).sin();
        let weights = vector(&parameters, 0.3) * 0.6;
        let running = vector(&statistics, 0.9).abs() + 0.5;
        Self {
            parameters: FlatTensors::over(Arc::new(parameters), weights).with_gradients(),
            statistics: FlatTensors::over(Arc::new(statistics), running),
            normed,
            layered,
        }
    }

    fn hidden(&self, x: &Tensor, layer: usize, statistics: &FlatTensors) -> Tensor {
        let x = x.linear(self.parameters.get(2 * layer), None::<Tensor>);
        let (mean, variance) = (statistics.get(2 * layer), statistics.get(2 * layer + 1));
        if !self.normed {
            return x.tanh();
        }
        x.batch_norm(None::<&Tensor>, None::<&Tensor>, Some(mean), Some(variance), true, 0.1, EPSILON, false).tanh()
    }

    pub(crate) fn statistics_copy(&self) -> FlatTensors {
        FlatTensors::over(self.statistics.layout().clone(), self.statistics.vector().copy())
    }
}

impl Network for Smooth {
    fn parameters(&self) -> &FlatTensors {
        &self.parameters
    }

    fn statistics(&self) -> &FlatTensors {
        &self.statistics
    }

    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor> {
        let a = self.hidden(&shard.images.flatten(1, -1), 0, shard.statistics);
        let b = self.hidden(&a, 1, shard.statistics);
        // Rows far from zero, where their direction, all that NT-Xent depends on, has no derivative.
        let head = |x: &Tensor, index| x.linear(self.parameters.get(index), None::<Tensor>) + 1.5;
        let mut rows = if self.layered { vec![head(&a, 1), head(&b, 3)] } else { vec![head(&b, 3)] };
        rows.truncate(heads);
        rows
    }
}

/// A shard's images, `[rows, 3, 2, 2]`.
pub(crate) fn images(shard: u32, rows: i64) -> Tensor {
    let numbers = Tensor::arange(rows * SIZES[0], DOUBLE) * 0.37 + 11.3 * f64::from(shard);
    ((numbers.sin() + (&numbers * 3.1).cos()) / 4.0 + 0.5).view([rows, 3, 2, 2])
}

/// A step of `world_size` ranks, each a thread, on `SHARDS` shards of `rows` rows; what rank 0 knows after it.
pub(crate) fn ranks(
    network: impl Fn() -> Smooth + Sync,
    world_size: u32,
    rows: i64,
    objective: impl Fn() -> Objective<'static> + Sync,
) -> Step {
    let timeout = Duration::from_secs(60);
    let store = RendezvousStore::listen("127.0.0.1", timeout).unwrap();
    let (port, network, objective) = (store.port(), &network, &objective);
    let run = move |rank| {
        let store = RendezvousStore::connect("127.0.0.1", port, timeout).unwrap();
        let group = ProcessGroup::gloo(&store, "test", rank, world_size, "127.0.0.1", timeout).unwrap();
        let shards = Shards::new(SHARDS, SHARDS, &group).unwrap();
        step(&network(), &group, &shards, |shard| images(shard, rows), &objective(), false).unwrap()
    };
    thread::scope(|scope| {
        let ranks: Vec<_> = (0..world_size).map(|rank| scope.spawn(move || run(rank))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>().swap_remove(0)
    })
}

/// The same step by one process without group.
pub(crate) fn alone(network: &Smooth, rows: i64, objective: &Objective<'_>) -> Step {
    let shards = Shards { count: SHARDS, rank: 0, world_size: 1 };
    step(network, &ProcessGroup::alone(), &shards, |shard| images(shard, rows), objective, false).unwrap()
}

/// Everything at once: each shard's images as leaves, and each head's rows as `views` orders them, with one graph.
pub(crate) fn whole(network: &Smooth, rows: i64, views: Views) -> (Vec<Tensor>, Vec<Tensor>) {
    let inputs: Vec<Tensor> = (0..SHARDS).map(|shard| images(shard, rows).set_requires_grad(true)).collect();
    let statistics: Vec<FlatTensors> = inputs.iter().map(|_| network.statistics_copy()).collect();
    let outputs: Vec<Vec<Tensor>> = inputs
        .iter()
        .zip(&statistics)
        .map(|(images, statistics)| network.forward(&Shard { images, parameters: &network.parameters, statistics }, 2))
        .collect();
    let each = rows / views.count();
    let heads = (0..outputs[0].len()).map(|head| {
        let parts: Vec<Tensor> = (0..views.count())
            .flat_map(|view| outputs.iter().map(move |shard| shard[head].narrow(0, view * each, each)))
            .collect();
        Tensor::cat(&parts, 0)
    });
    let heads = heads.collect();
    (inputs, heads)
}

/// Laid out as the parameters; what autograd left undefined is zero.
pub(crate) fn flat(network: &Smooth, gradients: &[Tensor]) -> Tensor {
    let vector = network.parameters.vector().zeros_like();
    for (slot, gradient) in network.parameters.layout().slots().iter().zip(gradients) {
        if gradient.defined() {
            slot.view(&vector).copy_(gradient);
        }
    }
    vector
}

/// The largest difference, as a share of the largest element.
pub(crate) fn error(found: &Tensor, expected: &Tensor) -> f64 {
    let largest = |x: Tensor| x.abs().max().double_value(&[]);
    largest(found - expected) / largest(expected.shallow_clone())
}
