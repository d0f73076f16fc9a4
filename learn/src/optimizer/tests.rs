use std::sync::Arc;

use super::*;
use crate::flat::{Layout, Role};
use tch::Kind;

/// A 1x2 matrix and a norm weight, with padding between them.
fn parameters() -> FlatTensors {
    let mut layout = Layout::default();
    layout.add("fc.weight".into(), &[1, 2], Role::Linear);
    layout.add("bn.weight".into(), &[1], Role::NormWeight);
    let flat = FlatTensors::zeros(Arc::new(layout), Device::Cpu);
    set(&flat, [3.0, 4.0, 2.0]);
    flat.with_gradients()
}

fn set(flat: &FlatTensors, [a, b, c]: [f32; 3]) {
    tch::no_grad(|| {
        flat.get(0).shallow_clone().copy_(&Tensor::from_slice(&[a, b]).view([1, 2]));
        flat.get(1).shallow_clone().copy_(&Tensor::from_slice(&[c]));
    });
}

fn get(flat: &FlatTensors) -> [f64; 3] {
    [flat.get(0).double_value(&[0, 0]), flat.get(0).double_value(&[0, 1]), flat.get(1).double_value(&[0])]
}

fn gradient(like: &FlatTensors, values: [f32; 3]) -> Tensor {
    let flat = FlatTensors::zeros(like.layout().clone(), Device::Cpu);
    set(&flat, values);
    flat.vector().shallow_clone()
}

fn spec(name: spec::OptimizerName, nesterov: bool) -> spec::Optimizer {
    spec::Optimizer { name, momentum: 0.9, nesterov, weight_decay: 0.1, trust: 0.01, ..spec::Optimizer::default() }
}

fn close(found: [f64; 3], expected: [f64; 3]) {
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} instead of {expected:?}");
}

/// What torch.optim.SGD documents, element by element in f64, over two steps.
#[test]
fn sgd_follows_torch() {
    for nesterov in [false, true] {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Sgd, nesterov), &parameters);
        let (mut w, mut v) = ([3.0, 4.0, 2.0], [0.0; 3]);
        for (update, (g, lr)) in (0..).zip([([0.5, -1.0, 0.25], 0.3), ([-0.5, 2.0, 1.0], 0.1)]) {
            optimizer.step(&parameters, gradient(&parameters, g.map(|x| x as f32)), lr, update);
            for i in 0..3 {
                let decayed = g[i] + 0.1 * w[i];
                v[i] = 0.9 * v[i] + decayed;
                w[i] -= lr * if nesterov { decayed + 0.9 * v[i] } else { v[i] };
            }
            close(get(&parameters), w);
        }
    }
}

/// By hand: ‖w‖ = 5 and, without decay, ‖g‖ = 10, so the matrix moves by lr · 0.01 · 5/10 of its gradient; the norm
/// weight by lr of its own; and a layer without gradient stays.
#[test]
fn lars_scales_matrices_only_and_survives_a_zero_gradient() {
    let parameters = parameters();
    let undecayed = spec::Optimizer { weight_decay: 0.0, ..spec(spec::OptimizerName::Lars, false) };
    let mut optimizer = Optimizer::new(&undecayed, &parameters);
    optimizer.step(&parameters, gradient(&parameters, [6.0, 8.0, 1.0]), 2.0, 0);
    close(get(&parameters), [3.0 - 2.0 * 0.005 * 6.0, 4.0 - 2.0 * 0.005 * 8.0, 0.0]);
    optimizer.step(&parameters, gradient(&parameters, [0.0, 0.0, 0.0]), 2.0, 1);
    close(get(&parameters), [2.94 - 0.9 * 0.06, 3.92 - 0.9 * 0.08, -1.8]);
}

#[test]
fn lars_decays_matrices_only() {
    let parameters = parameters();
    let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Lars, false), &parameters);
    optimizer.step(&parameters, gradient(&parameters, [0.0, 0.0, 0.0]), 1.0, 0);
    // g + d w = (0.3, 0.4), of norm 0.5: scaled by 0.01 · 5 / 0.5 = 0.1.
    close(get(&parameters), [2.97, 3.96, 2.0]);
}

/// Algorithm 1 of Kingma & Ba with torch's L2 decay, element by element in f64, over three steps.
#[test]
fn adam_follows_torch() {
    let parameters = parameters();
    let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Adam, false), &parameters);
    let (mut w, mut m, mut v) = ([3.0, 4.0, 2.0], [0.0; 3], [0.0; 3]);
    let steps = [([0.5, -1.0, 0.25], 0.3), ([-0.5, 2.0, 1.0], 0.1), ([0.1, 0.0, -2.0], 0.2)];
    for (update, (g, lr)) in (0..).zip(steps) {
        optimizer.step(&parameters, gradient(&parameters, g.map(|x: f64| x as f32)), lr, update);
        let t = update as i32 + 1;
        for i in 0..3 {
            let decayed = g[i] + 0.1 * w[i];
            m[i] = 0.9 * m[i] + 0.1 * decayed;
            v[i] = 0.999 * v[i] + 0.001 * decayed * decayed;
            let (unbiased_m, unbiased_v) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
            w[i] -= lr * unbiased_m / (unbiased_v.sqrt() + 1e-8);
        }
        close(get(&parameters), w);
    }
    let state: Vec<_> = optimizer.state().map(|(name, flat)| (name, flat.get(1).double_value(&[0]))).collect();
    assert!((state[0].1 - m[2]).abs() < 1e-6 && (state[1].1 - v[2]).abs() < 1e-6, "{state:?}");
    assert_eq!([state[0].0, state[1].0], ["velocity.", "square."]);
}

/// A group at half the rate that begins with the third update does, from then on, what one that is alone does at half
/// the rate from its first; before, neither its weights nor its moments move.
#[test]
fn a_group_has_its_own_rate_and_beginning() {
    use spec::OptimizerName::{Adam, Lars, Sgd};
    for name in [Sgd, Lars, Adam] {
        let (together, alone) = (parameters(), parameters());
        let groups = vec![
            ParamGroup { slots: 0..1, lr_factor: 0.5, first_update: 2 },
            ParamGroup { slots: 1..2, lr_factor: 1.0, first_update: 0 },
        ];
        let mut grouped = Optimizer::new(&spec(name, true), &together).with_groups(groups);
        let mut plain = Optimizer::new(&spec(name, true), &alone);
        let g = |update: u64| gradient(&together, [0.5 + update as f32, -1.0, 0.25]);
        for update in 0..2 {
            grouped.step(&together, g(update), 0.2, update);
            assert_eq!(get(&together)[..2], [3.0, 4.0]);
        }
        assert!(get(&together)[2] != 2.0, "the head moves");
        assert!(grouped.state().all(|(_, moment)| moment.get(0).abs().max().double_value(&[]) == 0.0));
        for update in 2..5 {
            grouped.step(&together, g(update), 0.2, update);
            plain.step(&alone, g(update), 0.1, update - 2);
            assert_eq!(get(&together)[..2], get(&alone)[..2], "{name:?}");
        }
    }
}

#[test]
fn padding_stays_zero() {
    for name in [spec::OptimizerName::Sgd, spec::OptimizerName::Adam] {
        let parameters = parameters();
        let mut optimizer = Optimizer::new(&spec(name, true), &parameters);
        optimizer.step(&parameters, gradient(&parameters, [1.0, 1.0, 1.0]), 0.1, 0);
        let padding = parameters.vector().narrow(0, 2, 14);
        assert_eq!(padding.abs().sum(Kind::Float).double_value(&[]), 0.0);
    }
}

/// Neither the cut into pieces nor the number of threads changes a bit, and the last piece is not forgotten.
#[test]
fn pieces_and_threads_change_no_bit() {
    let vector = |seed| {
        tch::manual_seed(seed);
        Tensor::randn([(5 * PIECE + 7) as i64], (Kind::Float, Device::Cpu))
    };
    let update = |weights: &Tensor, gradient: &Tensor| Decay(0.1).of(gradient, weights) * 0.3;
    let whole = vector(1) - update(&vector(1), &vector(2));
    let before = tch::get_num_threads();
    for threads in [1, 2, 3] {
        tch::set_num_threads(threads);
        let weights = vector(1);
        in_pieces([weights.shallow_clone(), vector(2)], |[mut weights, gradient]| {
            let change = update(&weights, &gradient);
            let _ = weights.g_sub_(&change);
        });
        assert!(weights.equal(&whole), "{threads} threads");
    }
    tch::set_num_threads(before);
}

/// A layer of many pieces has one norm: against the formula on the whole layer, in f64.
#[test]
fn lars_sees_a_large_layer_whole() {
    let rows = (3 * PIECE + 5) as i64;
    let mut layout = Layout::default();
    layout.add("fc.weight".into(), &[rows, 1], Role::Linear);
    let parameters = FlatTensors::zeros(Arc::new(layout), Device::Cpu).with_gradients();
    tch::manual_seed(3);
    let random = || Tensor::randn([rows, 1], (Kind::Float, Device::Cpu));
    let (weights, slope) = (random(), random());
    tch::no_grad(|| parameters.get(0).shallow_clone().copy_(&weights));
    let gradient = FlatTensors::zeros(parameters.layout().clone(), Device::Cpu);
    gradient.get(0).shallow_clone().copy_(&slope);

    let mut optimizer = Optimizer::new(&spec(spec::OptimizerName::Lars, false), &parameters);
    optimizer.step(&parameters, gradient.vector().shallow_clone(), 2.0, 0);
    let (weights, slope) = (weights.to_kind(Kind::Double), slope.to_kind(Kind::Double));
    let decayed = slope + &weights * 0.1;
    let expected = &weights - &decayed * (2.0 * 0.01) * (weights.norm() / decayed.norm());
    let apart = (parameters.get(0).detach() - expected).abs().max().double_value(&[]);
    assert!(apart < 1e-6, "{apart}");
}
