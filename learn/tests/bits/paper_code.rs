//! What the code behind the paper does otherwise in pretraining: views apart, and the encoder of the lowest held-out loss.

use tandem_domain::spec::{BatchNorm, Contrastive, JobSpec, PenaltyMethod, Recompute, Stage, Tikhonov, ViewPasses};
use tandem_learn::encoder::Model;
use tandem_learn::nt_xent::nt_xent;
use tandem_learn::report::{Event, Outcome};
use tandem_learn::{Failure, augment, data, weights};
use tch::{Device, Tensor};

use crate::contrastive::contrastive;
use crate::together::{artifact, checkpoints, finished, losses, never, place, result, task, train};

fn changed(seed: u64, change: impl FnOnce(&mut Contrastive)) -> JobSpec {
    let mut spec = contrastive(seed);
    if let Stage::Contrastive(stage) = &mut spec.stage {
        change(stage);
    }
    spec
}

#[test]
fn views_apart_are_the_same_bits_on_any_number_of_ranks() {
    for (batch_norm, method, lambda) in [
        (BatchNorm::Shard, PenaltyMethod::Exact, 0.1),
        (BatchNorm::Global, PenaltyMethod::Exact, 0.0),
        (BatchNorm::Shard, PenaltyMethod::FiniteDifference, 0.1),
    ] {
        let spec = |recompute, views| {
            changed(11, |stage| {
                (stage.epochs, stage.batch_norm, stage.recompute, stage.views) = (1, batch_norm, recompute, views);
                (stage.batch_size, stage.monitor.every_epochs) = (16, 0);
                stage.tikhonov = Tikhonov { lambda, method, ..Tikhonov::default() };
            })
        };
        let run = |spec: JobSpec, world_size| {
            let folder = place();
            let (events, ended) = train(&task(&spec, folder.path()), world_size, never);
            assert!(finished(&ended), "{ended:?}");
            (losses(&events), artifact(&events, "encoder").sha256)
        };
        let case = format!("{batch_norm:?} {method:?} {lambda}");
        let alone = run(spec(Recompute::None, ViewPasses::Apart), 1);
        for world_size in [2, 4] {
            assert_eq!(run(spec(Recompute::None, ViewPasses::Apart), world_size), alone, "{case} on {world_size}");
        }
        assert_eq!(run(spec(Recompute::Shards, ViewPasses::Apart), 2).0, alone.0, "{case}, computed again");
        assert_ne!(run(spec(Recompute::None, ViewPasses::Together), 1).0, alone.0, "{case}");
    }
}

/// 90 of 120 images are for training, three steps of 24 an epoch. Late in the run the learning rate becomes too high, but
/// nothing explodes: the best epoch is not the last.
fn held_out(seed: u64) -> JobSpec {
    changed(seed, |stage| {
        (stage.epochs, stage.batch_size, stage.validation) = (8, 24, 0.25);
        stage.monitor.bank = 40;
        stage.optimizer = serde_json::from_str(
            r#"{"name": "adam", "lr": 0.003, "weight_decay": 0.0, "warmup_epochs": 0.0, "schedule": "step",
                "milestones": [0.6], "factor": 1000.0}"#,
        )
        .unwrap();
    })
}

fn validations(events: &[Event]) -> Vec<(u64, f64)> {
    let validation = |event: &Event| match event {
        Event::Metric { name, step, value } if name == "validation_loss" => Some((*step, *value)),
        _ => None,
    };
    events.iter().filter_map(validation).collect()
}

#[test]
fn the_encoder_of_the_lowest_held_out_loss_is_kept_on_any_ranks_and_after_a_stop() {
    let spec = held_out(12);
    let folder = place();
    let whole = task(&spec, folder.path());
    let (expected, ended) = train(&whole, 1, never);
    assert!(finished(&ended), "{ended:?}");
    let measured = validations(&expected);
    assert_eq!((measured.len(), losses(&expected).len(), result(&expected, "held_out")), (8, 24, 30.0));
    let (step, lowest) = *measured.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert!(step < 24, "else this shows nothing: {measured:?}");
    assert_eq!((result(&expected, "validation_loss"), result(&expected, "kept_epoch")), (lowest, (step / 3) as f64));

    // The exported weights have this loss: computed here, in one piece.
    let file = artifact(&expected, "encoder");
    let Stage::Contrastive(stage) = &spec.stage else { unreachable!() };
    let model = Model::build(stage.encoder, Some(stage.head.into()), Device::Cpu).unwrap();
    let bytes = std::fs::read(&file.path).unwrap();
    weights::decode(&bytes, &[("", &model.parameters), ("", &model.statistics)]).unwrap();
    let images = data::load(&spec.dataset, &whole.data_dir, spec.seed, Device::Cpu).unwrap().train;
    let (_, held) = data::hold_out_images(120, 0.25, spec.seed);
    // A batch of 24; the six that are left are no batch.
    let rows = [0, 1].map(|view| {
        model.evaluate(&augment::views(&images, &held[..24], view, &stage.augment, spec.seed, 0, 1)).detach()
    });
    let loss = nt_xent(&Tensor::cat(&rows, 0), stage.temperature, false).double_value(&[]);
    assert!((loss / lowest - 1.0).abs() < 1e-5, "{loss} {lowest}");

    for world_size in [2, 4] {
        let folder = place();
        let (events, ended) = train(&task(&spec, folder.path()), world_size, never);
        assert!(finished(&ended), "{ended:?}");
        assert_eq!(
            (validations(&events), artifact(&events, "encoder").sha256),
            (measured.clone(), file.sha256.clone())
        );
    }

    // A stop after the best epoch: its weights are in the checkpoint.
    let folder = place();
    let mut stopped = task(&spec, folder.path());
    let (first, ended) = train(&stopped, 2, |rank, event| {
        rank == 0 && matches!(event, Event::Metric { name, step: at, .. } if name == "loss" && *at == step + 1)
    });
    assert_eq!(ended, [Ok(Outcome::Stopped), Ok(Outcome::Stopped)]);
    stopped.checkpoints = checkpoints(&first);
    let (second, ended) = train(&stopped, 1, never);
    assert!(finished(&ended), "{ended:?}");
    assert_eq!([losses(&first), losses(&second)].concat(), losses(&expected));
    assert_eq!(artifact(&second, "encoder").sha256, file.sha256);
    for name in ["validation_loss", "kept_epoch", "knn_accuracy"] {
        assert_eq!(result(&second, name).to_bits(), result(&expected, name).to_bits(), "{name}");
    }
}

#[test]
fn a_share_that_leaves_too_little_says_so() {
    let fails = |validation| {
        let spec = changed(13, |stage| (stage.batch_size, stage.validation) = (100, validation));
        match train(&task(&spec, place().path()), 1, never).1.remove(0) {
            Err(Failure::Job(why)) => why,
            other => panic!("expected the job's fault, got {other:?}"),
        }
    };
    assert!(fails(0.25).contains("120 training images, less 30 that are held out"));
    assert!(fails(0.001).contains("needs 2"));
}
