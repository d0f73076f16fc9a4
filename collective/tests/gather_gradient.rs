//! The differentiable all-gather against one process that holds everything, in float64.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ranks;

use ranks::{TIMEOUT, run};
use tandem_collective::Group;
use tch::{Device, Kind, Tensor, no_grad};

const ROWS: i64 = 8;
const WIDTH: i64 = 5;
const TEMPERATURE: f64 = 0.5;
const PENALTY: f64 = 0.7;
const TOLERANCE: f64 = 1e-12;

fn wave(sizes: &[i64], phase: f64) -> Tensor {
    let steps = Tensor::arange(sizes.iter().product::<i64>(), (Kind::Double, Device::Cpu));
    (steps * 0.73 + phase).sin().reshape(sizes)
}

/// A small network: rows of unit length.
fn embed(inputs: &Tensor, weights: &Tensor) -> Tensor {
    let hidden = inputs.matmul(weights).tanh();
    &hidden / hidden.square().sum_dim_intlist([1_i64].as_slice(), true, Kind::Double).sqrt()
}

/// NT-Xent of the `own` rows, which start at row `first` of `all`; row i's other view is row i xor 1.
fn nt_xent(own: &Tensor, all: &Tensor, first: i64) -> Tensor {
    let index = Tensor::arange_start(first, first + own.size()[0], (Kind::Int64, Device::Cpu));
    let logits = own.matmul(&all.transpose(0, 1)) / TEMPERATURE;
    let own_column = Tensor::zeros_like(&logits).scatter_value(1, &index.unsqueeze(1), f64::NEG_INFINITY);
    (logits + own_column).cross_entropy_loss(&index.bitwise_xor(1), None::<Tensor>, tch::Reduction::Sum, -100, 0.0)
}

struct Derivatives {
    /// Of the loss by the inputs.
    first: Tensor,
    /// Of loss + penalty on `first` by the inputs, then by the weights.
    second: [Tensor; 2],
}

fn derivatives(inputs: &Tensor, weights: &Tensor, loss: Tensor) -> Derivatives {
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
    let inputs = |first: i64, rows: i64| wave(&[ROWS, WIDTH], 1.1).slice(0, first, first + rows, 1).copy();

    let whole = inputs(0, ROWS).set_requires_grad(true);
    let shared = weights();
    let embedded = embed(&whole, &shared);
    let loss = nt_xent(&embedded, &embedded, 0);
    let expected = derivatives(&whole, &shared, loss);
    assert!(expected.first.abs().max().double_value(&[]) > 1e-3, "a gradient of zero would prove nothing");

    for world_size in [1, 2, 4] {
        let worst = run(world_size, TIMEOUT, |group: Group| {
            let rows = ROWS / i64::from(world_size);
            let first = rows * i64::from(group.rank());
            let own = inputs(first, rows).set_requires_grad(true);
            let weights = wave(&[WIDTH, WIDTH], 0.2).set_requires_grad(true);
            let embedded = embed(&own, &weights);
            let all = group.all_gather_grad(&embedded).unwrap();
            let found = derivatives(&own, &weights, nt_xent(&embedded, &all, first));
            no_grad(|| group.all_reduce_sum(&found.second[1])).unwrap();
            (found.first, found.second, first)
        })
        .into_iter()
        .map(|(found, second, start)| {
            let rows = second[0].size()[0];
            let [by_inputs, by_weights] = &second;
            let mine = |whole: &Tensor| whole.slice(0, start, start + rows, 1);
            distance(&found, &mine(&expected.first))
                .max(distance(by_inputs, &mine(&expected.second[0])))
                .max(distance(by_weights, &expected.second[1]))
        })
        .fold(0.0, f64::max);
        assert!(worst < TOLERANCE, "world size {world_size}: {worst:e}");
    }
}

#[test]
fn a_graph_may_outlive_its_group() {
    let gradients = run(2, TIMEOUT, |group| {
        let rows = Tensor::ones([1, 2], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let all = group.all_gather_grad(&rows).unwrap();
        let weight = f64::from(group.rank() + 1);
        drop(group);
        Tensor::run_backward(&[(all * weight).sum(Kind::Double)], &[&rows], false, false)[0].double_value(&[0, 0])
    });
    assert_eq!(gradients, [3.0, 3.0]);
}
