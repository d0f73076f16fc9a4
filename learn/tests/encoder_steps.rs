//! Training steps of the real encoders in double precision: the penalty by a forward derivative against autograd's
//! double backward pass, and BatchNorm over all shards against one shard that is the whole batch.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::thread;
use std::time::Duration;

use tandem_collective::{ProcessGroup, RendezvousStore};
use tandem_domain::spec::{self, BatchNorm, Encoder, Isolate, PenaltyMethod, Precision, Recompute, Tikhonov};
use tandem_learn::encoder::{LayerwiseModel, Model};
use tandem_learn::flat::FlatTensors;
use tandem_learn::network::{Network, Shard};
use tandem_learn::nt_xent::nt_xent;
use tandem_learn::objective::{LossTerm, Objective, Views};
use tandem_learn::shards::{Shards, Step, step};
use tandem_learn::views_apart::ViewsApart;
use tch::{Device, Kind, Tensor};

const IMAGES: i64 = 8;
const TOLERANCE: f64 = 1e-9;

fn double(flat: &FlatTensors) -> FlatTensors {
    FlatTensors::over(flat.layout().clone(), flat.vector().detach().to_kind(Kind::Double))
}

/// Numbers without torch's generator, which tests and ranks on other threads share.
fn waves(like: &Tensor, phase: f64) -> Tensor {
    (Tensor::arange(like.numel() as i64, (Kind::Double, Device::Cpu)) * 1.7 + phase).sin().view_as(like)
}

/// First weights, but every BatchNorm scales and shifts.
fn net(encoder: Encoder, heads: usize) -> LayerwiseModel {
    let head = spec::Head { output: 6, ..spec::Head::default() };
    let mut net = LayerwiseModel::new(encoder, head, heads, 5, Device::Cpu).unwrap();
    net.model.parameters = double(&net.model.parameters).with_gradients();
    net.model.statistics = double(&net.model.statistics);
    for (i, view) in net.model.parameters.views().iter().enumerate() {
        if view.dim() == 1 {
            let _ = tch::no_grad(|| view.shallow_clone().g_add_(&(waves(view, i as f64) * 0.2)));
        }
    }
    net
}

/// A network without a jvp, so that penalties take the double backward pass.
struct WithoutJvp<N>(N);

impl<N: Network> Network for WithoutJvp<N> {
    fn parameters(&self) -> &FlatTensors {
        self.0.parameters()
    }

    fn statistics(&self) -> &FlatTensors {
        self.0.statistics()
    }

    fn forward(&self, shard: &Shard<'_>, heads: usize) -> Vec<Tensor> {
        self.0.forward(shard, heads)
    }
}

/// The batch as `count` shards: first views, then second views of each.
fn views(shard: u32, count: u32) -> Tensor {
    let all = Tensor::zeros([2, IMAGES, 3, 8, 8], (Kind::Double, Device::Cpu));
    let all = waves(&all, 0.4) * waves(&all, 9.1).square() * 0.5 + 0.5;
    let size = IMAGES / i64::from(count);
    all.narrow(1, i64::from(shard) * size, size).reshape([2 * size, 3, 8, 8])
}

fn contrastive(rows: &Tensor) -> Tensor {
    nt_xent(rows, 0.5, false)
}

fn penalty(method: PenaltyMethod) -> Tikhonov {
    Tikhonov { lambda: 5.0, method, ..Tikhonov::default() }
}

fn objective(method: Option<PenaltyMethod>) -> Objective<'static> {
    let plain = Objective::new(Views::Two, &contrastive);
    match method {
        None => plain,
        Some(method) => plain.tikhonov(&penalty(method), IMAGES as u32),
    }
}

fn taken(network: &dyn Network, group: &ProcessGroup, count: u32, objective: &Objective<'_>) -> Step {
    let shards = Shards::new(count, IMAGES as u32, group).unwrap();
    step(network, group, &shards, |shard| views(shard, count), objective, false).unwrap()
}

fn error(found: &Tensor, expected: &Tensor) -> f64 {
    let largest = |x: Tensor| x.abs().max().double_value(&[]);
    largest(found - expected) / largest(expected.shallow_clone())
}

fn compare(found: &Step, expected: &Step, case: &str) {
    assert!((found.loss / expected.loss - 1.0).abs() < TOLERANCE, "{case}: {} {}", found.loss, expected.loss);
    assert!((found.penalty - expected.penalty).abs() <= TOLERANCE * expected.penalty, "{case}");
    assert!(error(&found.statistics, &expected.statistics) < TOLERANCE, "{case}");
    let error = error(&found.gradient, &expected.gradient);
    assert!(error < TOLERANCE, "{case}: {error:e}");
}

#[test]
fn the_jvp_gives_what_the_double_backward_pass_gives() {
    let alone = ProcessGroup::alone();
    // Basic blocks; bottlenecks behind transitions.
    for (encoder, recompute) in [(Encoder::ResNetTiny, Recompute::Shards), (Encoder::ResNetPaper, Recompute::None)] {
        let objective = Objective { recompute, ..objective(Some(PenaltyMethod::Exact)) };
        let found = taken(&net(encoder, 1), &alone, 2, &objective);
        compare(&found, &taken(&WithoutJvp(net(encoder, 1)), &alone, 2, &objective), &format!("{encoder:?}"));
        let plain = taken(&net(encoder, 1), &alone, 2, &self::objective(None));
        assert!(error(&plain.gradient, &found.gradient) > 1e-3, "{encoder:?}: the penalty moves something");
    }
}

/// A head that trains alone sees the encoder as it is evaluated, and so does its penalty.
#[test]
fn the_jvp_is_right_on_a_frozen_encoder() {
    let classifier = || {
        let mut model = Model::classifier(Encoder::ResNetTiny, 2, 6, 5, Device::Cpu).unwrap();
        model.parameters = double(&model.parameters).with_gradients();
        model.statistics = double(&model.statistics);
        model.encoder_frozen = true;
        model
    };
    let objective = objective(Some(PenaltyMethod::Exact));
    let alone = ProcessGroup::alone();
    compare(
        &taken(&classifier(), &alone, 2, &objective),
        &taken(&WithoutJvp(classifier()), &alone, 2, &objective),
        "frozen",
    );
}

#[test]
fn the_jvp_is_right_layer_by_layer() {
    let alone = ProcessGroup::alone();
    for (isolate, recompute) in [(Isolate::None, Recompute::None), (Isolate::Detach, Recompute::Shards)] {
        // The third head has no penalty and takes the plain pass.
        let layered = |net: &LayerwiseModel| {
            let penalties = [0.3, 1.0, 0.0, 4.0];
            let terms = (0..4).map(|k| LossTerm {
                weight: 1.0 + k as f64,
                penalty: penalties[k],
                reach: net.reach(isolate, k),
            });
            Objective { terms: terms.collect(), recompute, ..Objective::new(Views::Two, &contrastive) }
        };
        let (net, without_jvp) = (net(Encoder::ResNetTiny, 4), WithoutJvp(net(Encoder::ResNetTiny, 4)));
        let expected = taken(&without_jvp, &alone, 2, &layered(&net));
        compare(&taken(&net, &alone, 2, &layered(&net)), &expected, &format!("{isolate:?} {recompute:?}"));
    }
}

/// Against `model(x_i)`, then `model(x_j)`, of each shard, and autograd through all of it.
#[test]
fn views_apart_are_two_passes_one_after_the_other() {
    let alone = ProcessGroup::alone();
    for method in [None, Some(PenaltyMethod::Exact)] {
        let net = net(Encoder::ResNetTiny, 1);
        let inputs = [0, 1].map(|shard| views(shard, 2).set_requires_grad(true));
        let statistics =
            [(); 2].map(|()| FlatTensors::over(net.statistics().layout().clone(), net.statistics().vector().copy()));
        let pass = |view: i64| {
            let rows = inputs.iter().zip(&statistics).map(|(images, statistics)| {
                let each = images.size()[0] / 2;
                let (images, parameters) = (images.narrow(0, view * each, each), net.parameters());
                net.forward(&Shard { images: &images, parameters, statistics }, 1).remove(0)
            });
            Tensor::cat(&rows.collect::<Vec<_>>(), 0)
        };
        let loss = contrastive(&Tensor::cat(&[pass(0), pass(1)], 0));
        let penalty = method.map_or(loss.zeros_like(), |_| {
            let gradients = Tensor::run_backward(&[&loss], &inputs, true, true);
            // lambda/2 of the mean of the two views.
            gradients.iter().map(|g| g.square().sum(None::<Kind>)).sum::<Tensor>() * (5.0 / 2.0 * 0.5)
        });
        let by_weights = Tensor::run_backward(&[&loss + &penalty], net.parameters().views(), false, false);
        let gradient = net.parameters().vector().zeros_like();
        for (slot, by_weight) in net.parameters().layout().slots().iter().zip(by_weights) {
            slot.view(&gradient).copy_(&by_weight);
        }
        let expected = Step {
            loss: loss.double_value(&[]),
            losses: vec![],
            penalty: penalty.double_value(&[]),
            outputs: vec![],
            gradient,
            statistics: (statistics[0].vector() + statistics[1].vector()) / 2.0,
            stop: false,
        };
        for recompute in [Recompute::None, Recompute::Shards] {
            let objective = || Objective { recompute, ..objective(method) };
            let apart = ViewsApart(&net);
            compare(&taken(&apart, &alone, 2, &objective()), &expected, &format!("{method:?} {recompute:?}"));
            let together = taken(&net, &alone, 2, &objective());
            assert!(error(&together.gradient, &expected.gradient) > 1e-3, "together they are something else");
            assert!(error(&together.statistics, &expected.statistics) > 1e-3, "and the statistics move once");
        }
    }
}

/// BatchNorm over the first views of all shards, then over the second ones.
#[test]
fn views_apart_by_the_statistics_of_all_shards_are_those_of_one_shard() {
    let alone = ProcessGroup::alone();
    for method in [None, Some(PenaltyMethod::Exact)] {
        let expected = taken(&ViewsApart(&net(Encoder::ResNetTiny, 1)), &alone, 1, &objective(method));
        compare(&taken(&ViewsApart(&global(1)), &alone, 4, &objective(method)), &expected, &format!("{method:?}"));
    }
}

fn global(heads: usize) -> LayerwiseModel {
    let mut net = net(Encoder::ResNetTiny, heads);
    net.model.batch_norm = BatchNorm::Global;
    net
}

#[test]
fn statistics_of_all_shards_are_those_of_one_shard_that_is_the_batch() {
    let alone = ProcessGroup::alone();
    for heads in [1, 4] {
        for method in [None, Some(PenaltyMethod::Exact), Some(PenaltyMethod::FiniteDifference)] {
            let recompute = if heads == 1 { Recompute::None } else { Recompute::Shards };
            let objective = || {
                let one = objective(method);
                let terms = vec![one.terms[0].clone(); heads];
                Objective { terms, recompute, ..one }
            };
            let expected = taken(&net(Encoder::ResNetTiny, heads), &alone, 1, &objective());
            let found = taken(&global(heads), &alone, 4, &objective());
            compare(&found, &expected, &format!("{heads} heads, {method:?}"));
            let apart = taken(&net(Encoder::ResNetTiny, heads), &alone, 4, &objective());
            assert!(error(&apart.gradient, &expected.gradient) > 1e-3, "by the shard it is something else");
        }
    }
}

#[test]
fn bits_of_global_statistics_depend_on_shards_never_on_ranks() {
    for method in [None, Some(PenaltyMethod::Exact), Some(PenaltyMethod::FiniteDifference)] {
        let expected = taken(&global(1), &ProcessGroup::alone(), 4, &objective(method));
        for world_size in [2, 4] {
            let timeout = Duration::from_secs(60);
            let store = RendezvousStore::listen("127.0.0.1", timeout).unwrap();
            let port = store.port();
            let run = move |rank| {
                let store = RendezvousStore::connect("127.0.0.1", port, timeout).unwrap();
                let group = ProcessGroup::gloo(&store, "test", rank, world_size, "127.0.0.1", timeout).unwrap();
                taken(&global(1), &group, 4, &objective(method))
            };
            let steps = thread::scope(|scope| {
                let ranks: Vec<_> = (0..world_size).map(|rank| scope.spawn(move || run(rank))).collect();
                ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>()
            });
            for step in steps {
                let case = format!("{method:?} on {world_size} ranks");
                assert!(step.gradient.equal(&expected.gradient), "{case}");
                assert!(step.statistics.equal(&expected.statistics), "{case}");
                assert_eq!(step.penalty.to_bits(), expected.penalty.to_bits(), "{case}");
            }
        }
    }
}

/// Convolutions round to eight bits; losses, BatchNorm and sums do not.
#[test]
fn bf16_is_the_same_step_but_for_its_rounding() {
    let single = |net: LayerwiseModel, precision| {
        let flat =
            |flat: &FlatTensors| FlatTensors::over(flat.layout().clone(), flat.vector().detach().to_kind(Kind::Float));
        let mut net = net;
        net.model.parameters = flat(&net.model.parameters).with_gradients();
        net.model.statistics = flat(&net.model.statistics);
        let batch_norm = net.model.batch_norm;
        net.model.set_training(batch_norm, precision).unwrap();
        net
    };
    for make in [|| net(Encoder::ResNetTiny, 1), || global(1)] {
        for method in [None, Some(PenaltyMethod::Exact), Some(PenaltyMethod::FiniteDifference)] {
            let run = |precision| {
                let shards = Shards::new(2, IMAGES as u32, &ProcessGroup::alone()).unwrap();
                let images = |shard| views(shard, 2).to_kind(Kind::Float);
                step(&single(make(), precision), &ProcessGroup::alone(), &shards, images, &objective(method), false)
                    .unwrap()
            };
            let (found, expected) = (run(Precision::Bf16), run(Precision::F32));
            assert!(found.gradient.kind() == Kind::Float && found.loss != expected.loss, "{method:?}: it was used");
            assert!((found.loss / expected.loss - 1.0).abs() < 0.005, "{method:?}: {} {}", found.loss, expected.loss);
            let dot = |a: &Tensor, b: &Tensor| (a * b).sum(Kind::Double).double_value(&[]);
            let (a, b) = (&found.gradient, &expected.gradient);
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            // A difference of gradients a small step apart consists mainly of their rounding.
            let least = match method {
                None => 0.95,
                Some(PenaltyMethod::Exact) => 0.92,
                Some(PenaltyMethod::FiniteDifference) => 0.5,
            };
            assert!(cosine > least, "{method:?}: {cosine}");
        }
    }
}
