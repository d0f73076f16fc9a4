//! The differentiable sum over shards against one process that holds everything, in float64.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ranks;

use ranks::{TIMEOUT, run};
use tandem_collective::ProcessGroup;
use tch::{Device, Kind, Tensor, no_grad};

const SHARDS: i64 = 8;
const WIDTH: i64 = 5;
const PENALTY: f64 = 0.7;
const TOLERANCE: f64 = 1e-12;

fn wave(sizes: &[i64], phase: f64) -> Tensor {
    let steps = Tensor::arange(sizes.iter().product::<i64>(), (Kind::Double, Device::Cpu));
    (steps * 0.73 + phase).sin().reshape(sizes)
}

/// Losses of these shards: each bends what it has and what all have together, so that all depend on each other. Shard by
/// shard, as a kernel's bits may depend on how many rows it is given.
fn loss(own: &Tensor, total: &Tensor, weights: &Tensor) -> Tensor {
    let one = |shard: i64| {
        let wave = total.narrow(0, shard, 1).matmul(weights).tanh();
        ((own.narrow(0, shard, 1) * &wave).square() + wave).sum(Kind::Double)
    };
    (0..own.size()[0]).map(one).sum()
}

struct Derivatives {
    /// Of the loss by the inputs.
    first: Tensor,
    /// Of loss + penalty on `first` by the inputs, then by the weights.
    second: [Tensor; 2],
}

fn derivatives(inputs: &Tensor, weights: &Tensor, total: &Tensor) -> Derivatives {
    let loss = loss(inputs, total, weights);
    let first = Tensor::run_backward(&[&loss], &[inputs], true, true).remove(0);
    let penalised = loss + first.square().sum(Kind::Double) * PENALTY;
    let second = Tensor::run_backward(&[&penalised], &[inputs, weights], false, false);
    Derivatives { first, second: second.try_into().unwrap() }
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn derivatives_of_first_and_second_order_equal_one_process() {
    let weights = || wave(&[WIDTH, WIDTH], 0.2).set_requires_grad(true);
    let inputs = |first: i64, rows: i64| wave(&[SHARDS, WIDTH], 1.1).slice(0, first, first + rows, 1).copy();

    let whole = inputs(0, SHARDS).set_requires_grad(true);
    let dims: &[i64] = &[0];
    let expected = derivatives(&whole, &weights(), &whole.sum_dim_intlist(dims, true, Kind::Double).expand_as(&whole));
    assert!(expected.first.abs().max().double_value(&[]) > 1e-3, "a gradient of zero would prove nothing");

    let mut bits: Vec<Tensor> = Vec::new();
    for world_size in [1, 2, 4] {
        let ranks = run(world_size, TIMEOUT, |group: ProcessGroup| {
            let rows = SHARDS / i64::from(world_size);
            let first = rows * i64::from(group.rank());
            let own = inputs(first, rows).set_requires_grad(true);
            let weights = weights();
            let found = derivatives(&own, &weights, &group.shard_sum(&own).unwrap());
            no_grad(|| group.all_reduce_sum(&found.second[1])).unwrap();
            (found.first, found.second, first)
        });
        for (found, second, start) in &ranks {
            let rows = second[0].size()[0];
            let mine = |whole: &Tensor| whole.slice(0, *start, start + rows, 1);
            let worst = distance(found, &mine(&expected.first))
                .max(distance(&second[0], &mine(&expected.second[0])))
                .max(distance(&second[1], &expected.second[1]));
            assert!(worst < TOLERANCE, "world size {world_size}: {worst:e}");
        }
        let all = |pick: fn(&(Tensor, [Tensor; 2], i64)) -> &Tensor| {
            Tensor::cat(&ranks.iter().map(pick).collect::<Vec<_>>(), 0)
        };
        bits.push(Tensor::cat(&[all(|rank| &rank.0), all(|rank| &rank.1[0])], 1));
    }
    assert!(bits[1].equal(&bits[0]) && bits[2].equal(&bits[0]), "the same bits on any number of ranks");
}

#[test]
fn a_graph_may_outlive_its_group() {
    let gradients = run(2, TIMEOUT, |group| {
        let rows = Tensor::ones([1, 2], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let all = group.shard_sum(&rows).unwrap();
        let weight = f64::from(group.rank() + 1);
        drop(group);
        Tensor::run_backward(&[(all * weight).sum(Kind::Double)], &[&rows], false, false)[0].double_value(&[0, 0])
    });
    assert_eq!(gradients, [3.0, 3.0]);
}
