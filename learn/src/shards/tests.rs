use tandem_collective::ProcessGroup;
use tandem_domain::spec::{self, Isolate};
use tch::{Device, Kind, Tensor};

use super::rows::by_view;
use super::*;
use crate::encoder::{LayerwiseModel, Model};
use crate::flat::FlatTensors;
use crate::nt_xent::nt_xent;
use crate::objective::{LossTerm, Objective, Views};

#[test]
fn a_rank_runs_a_contiguous_block_and_shards_cut_the_batch() {
    let shards = Shards { count: 4, rank: 1, world_size: 2 };
    assert_eq!(shards.own(), 2..4);
    assert_eq!(shards.part(&[10, 11, 12, 13, 14, 15, 16, 17], 3), [16, 17]);
    assert!(Shards::new(3, 10, &ProcessGroup::alone()).is_err());
}

fn tiny() -> Model {
    let head = spec::Head { output: 8, ..spec::Head::default() };
    Model::new(spec::Encoder::ResNetTiny, Some(head), 3, Device::Cpu).expect("resnet-tiny can be built")
}

/// Four shards of four images by two views, as `step` asks for them.
fn views(shard: u32) -> Tensor {
    tch::manual_seed(i64::from(shard));
    Tensor::rand([8, 3, 32, 32], (Kind::Float, Device::Cpu))
}

fn largest(x: Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

/// Against autograd through all shards at once: the step only exchanges projections.
#[test]
fn the_gradient_is_that_of_the_whole_batch() {
    let model = tiny();
    let shards = Shards { count: 4, rank: 0, world_size: 1 };
    let objective = |z: &Tensor| nt_xent(z, 0.5, false);
    let step =
        step(&model, &ProcessGroup::alone(), &shards, views, &Objective::new(Views::Two, &objective), false).unwrap();

    let statistics = || FlatTensors::over(model.statistics.layout().clone(), model.statistics.vector().copy());
    let (mut projections, mut means) = (vec![], model.statistics.vector().zeros_like());
    for shard in 0..4 {
        let statistics = statistics();
        projections.push(model.project(&views(shard), &statistics));
        means += statistics.vector() / 4.0;
    }
    let loss = objective(&by_view(&Tensor::stack(&projections, 0), 2));
    let gradients = Tensor::run_backward(&[&loss], model.parameters.views(), false, false);

    assert!((step.loss - loss.double_value(&[])).abs() < 1e-6);
    assert!(largest(step.statistics - means) < 1e-6);
    for (slot, expected) in model.parameters.layout().slots().iter().zip(gradients) {
        let scale = largest(expected.shallow_clone()).max(1e-3);
        assert!(largest(slot.view(&step.gradient) - expected) < 1e-4 * scale, "{}", slot.name);
    }
    assert!(!step.stop);
}

#[test]
fn a_stop_flag_reaches_every_rank() {
    let shards = Shards { count: 4, rank: 0, world_size: 1 };
    let loss = |z: &Tensor| nt_xent(z, 0.5, false);
    let step = step(&tiny(), &ProcessGroup::alone(), &shards, views, &Objective::new(Views::Two, &loss), true).unwrap();
    assert!(step.stop);
}

/// The last stage's loss alone, kept from the stages below: they stay where they are; with one stage more, the third
/// moves too; and without isolation all do.
#[test]
fn isolation_keeps_a_loss_from_the_stages_below() {
    let head = spec::Head { output: 8, ..spec::Head::default() };
    let net = LayerwiseModel::new(spec::Encoder::ResNetTiny, head, 4, 3, Device::Cpu).unwrap();
    let loss = |z: &Tensor| nt_xent(z, 0.5, false);
    for (isolate, lowest) in [(Isolate::Detach, 4), (Isolate::Overlap, 3), (Isolate::None, 1)] {
        let term = |k: usize| LossTerm {
            weight: if k == 3 { 1.0 } else { 0.0 },
            penalty: if k == 3 { 0.1 } else { 0.0 },
            reach: net.reach(isolate, k),
        };
        let objective = Objective { terms: (0..4).map(term).collect(), ..Objective::new(Views::Two, &loss) };
        let shards = Shards { count: 1, rank: 0, world_size: 1 };
        let step = step(&net, &ProcessGroup::alone(), &shards, views, &objective, false).unwrap();
        for slot in net.model.parameters.layout().slots() {
            let stage = slot.name.strip_prefix("layer").and_then(|rest| rest[..1].parse::<i32>().ok());
            let moves = match stage {
                Some(stage) => stage >= lowest,
                None if slot.name.starts_with("head") => slot.name.starts_with("head."),
                None => lowest == 1,
            };
            assert_eq!(largest(slot.view(&step.gradient)) > 0.0, moves, "{isolate:?} {}", slot.name);
        }
    }
}
