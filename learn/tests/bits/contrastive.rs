//! Contrastive pretraining, and the linear stage by L-BFGS.

use tandem_domain::spec::{
    Contrastive, Encoder, Head, Isolate, JobSpec, Layerwise, Linear, Monitor, Optimizer, OptimizerName, PenaltyMethod,
    Recompute, Schedule, Stage, Tikhonov,
};
use tandem_learn::Failure;
use tandem_learn::files::sha256;
use tandem_learn::report::{Event, Outcome};

use crate::together::{artifact, checkpoints, finished, job, losses, never, place, result, task, train};

pub(crate) fn contrastive(seed: u64) -> JobSpec {
    let stage = Contrastive {
        encoder: Encoder::ResNetTiny,
        epochs: 2,
        // Three steps an epoch of the 120 images.
        batch_size: 40,
        temperature: 0.5,
        self_term: false,
        head: Head { output: 16, ..Head::default() },
        optimizer: Optimizer { name: OptimizerName::Sgd, lr: 0.05, warmup_epochs: 0.5, ..Optimizer::default() },
        augment: Default::default(),
        precision: Default::default(),
        recompute: Default::default(),
        batch_norm: Default::default(),
        tikhonov: Default::default(),
        layerwise: None,
        views: Default::default(),
        validation: 0.0,
        monitor: Monitor { every_epochs: 1, neighbours: 5, bank: 60 },
        stop_on_collapse: false,
        pictures: 0,
        checkpoint_steps: 1,
        checkpoint_minutes: 0.0,
    };
    job("encoder", seed, Stage::Contrastive(stage))
}

#[test]
fn weights_are_the_same_bits_on_one_two_and_four_ranks() {
    let spec = contrastive(1);
    let runs: Vec<_> = [1, 2, 4]
        .map(|world_size| {
            let folder = place();
            let (events, ended) = train(&task(&spec, folder.path()), world_size, never);
            assert!(finished(&ended), "{ended:?}");
            let results = [result(&events, "loss").to_bits(), result(&events, "knn_accuracy").to_bits()];
            (artifact(&events, "encoder").sha256, losses(&events), results)
        })
        .into();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
    assert_eq!(runs[0].1.len(), 6, "one loss for each step");

    let folder = place();
    let (events, _) = train(&task(&contrastive(2), folder.path()), 1, never);
    let lines: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Log { line } => line.strip_prefix("epoch "),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 2, "a line for each epoch: {lines:?}");
    assert!(lines[1].starts_with("2/2, step 6: loss ") && lines[1].contains(", kNN "), "{lines:?}");
    assert_ne!(artifact(&events, "encoder").sha256, runs[0].0, "another seed, other bits");
}

/// Eqs. (3), (4) and (5), exactly and by finite differences; the graph of each shard kept or computed again.
#[test]
fn penalties_and_layers_are_the_same_bits_on_any_number_of_ranks() {
    let layers = Layerwise {
        alpha: vec![],
        ratio: Some(4.0),
        beta: vec![],
        beta_ratio: Some(2.0),
        isolate: Isolate::Overlap,
        force: false,
    };
    for (method, layerwise) in [(PenaltyMethod::Exact, Some(layers)), (PenaltyMethod::FiniteDifference, None)] {
        let spec = |recompute| {
            let mut spec = contrastive(6);
            if let Stage::Contrastive(stage) = &mut spec.stage {
                stage.epochs = 1;
                stage.tikhonov = Tikhonov { lambda: 0.1, method, ..Tikhonov::default() };
                (stage.layerwise, stage.recompute) = (layerwise.clone(), recompute);
            }
            spec
        };
        let runs: Vec<_> = [(Recompute::None, 1), (Recompute::None, 2), (Recompute::Shards, 2)]
            .map(|(recompute, world_size)| {
                let folder = place();
                let (events, ended) = train(&task(&spec(recompute), folder.path()), world_size, never);
                assert!(finished(&ended), "{ended:?}");
                let figures: Vec<(String, u64)> = events
                    .iter()
                    .filter_map(|event| match event {
                        Event::Metric { name, value, .. } if !name.contains("per_second") => {
                            Some((name.clone(), value.to_bits()))
                        }
                        _ => None,
                    })
                    .collect();
                (artifact(&events, "encoder").sha256, figures)
            })
            .into();
        assert_eq!(runs[0], runs[1], "{method:?}");
        assert_eq!(runs[0].1, runs[2].1, "{method:?}: another card in the artifact, the same numbers");
        let expected: &[&str] = match layerwise {
            Some(_) => &["penalty", "loss_layer1", "contrastive_accuracy_layer3", "knn_accuracy_layer4"],
            None => &["penalty", "penalty_share"],
        };
        let has = |name: &&str| runs[0].1.iter().any(|(found, bits)| found == name && f64::from_bits(*bits) > 0.0);
        assert!(expected.iter().all(has), "{:?}", runs[0].1);
    }
}

#[test]
fn a_run_stopped_in_the_middle_and_resumed_gives_the_same_bits() {
    let whole = place();
    let mut task_whole = task(&contrastive(3), whole.path());
    let (expected, ended) = train(&task_whole, 1, never);
    assert!(finished(&ended), "{ended:?}");

    // Rank 1 alone is asked to stop when it begins to train: all stop after the same step, within an epoch.
    let folder = place();
    let mut task = task(&contrastive(3), folder.path());
    let (first, ended) =
        train(&task, 2, |rank, event| rank == 1 && matches!(event, Event::Phase { name, .. } if name == "training"));
    assert_eq!(ended, [Ok(Outcome::Stopped), Ok(Outcome::Stopped)]);
    assert_eq!(losses(&first).len(), 1);

    task.checkpoints = checkpoints(&first);
    let (second, ended) = train(&task, 1, never);
    assert!(finished(&ended), "{ended:?}");
    assert!(second.contains(&Event::Phase { name: "training".into(), first_step: 1 }));
    assert_eq!([losses(&first), losses(&second)].concat(), losses(&expected));
    assert_eq!(artifact(&second, "encoder").sha256, artifact(&expected, "encoder").sha256);
    assert_eq!(result(&second, "loss").to_bits(), result(&expected, "loss").to_bits());

    // A finished run that is started again (its report was lost) exports the same files. If the newest checkpoint is
    // damaged, one step is repeated, and a note says so.
    task_whole.checkpoints = checkpoints(&expected);
    std::fs::write(task_whole.checkpoints[0].path.join("state.safetensors"), "damaged").unwrap();
    let (again, ended) = train(&task_whole, 2, never);
    assert!(finished(&ended), "{ended:?}");
    let begun = again.iter().position(|event| matches!(event, Event::Phase { name, .. } if name == "training"));
    let skipped =
        again.iter().position(|event| matches!(event, Event::Note { kind, .. } if kind == "checkpoint_skipped"));
    assert!(skipped.is_some() && skipped < begun, "{again:?}");
    assert_eq!(losses(&again).len(), 1);
    assert_eq!(artifact(&again, "encoder").sha256, artifact(&expected, "encoder").sha256);
}

#[test]
fn the_linear_stage_reads_a_frozen_encoder() {
    let folder = place();
    let mut spec = contrastive(4);
    if let Stage::Contrastive(stage) = &mut spec.stage {
        stage.epochs = 1;
    }
    let (events, _) = train(&task(&spec, folder.path()), 2, never);
    let encoder = artifact(&events, "encoder");
    let before = std::fs::read(&encoder.path).unwrap();
    assert_eq!(sha256(&before), encoder.sha256);

    let linear = serde_json::from_str::<Linear>(r#"{"epochs": 50, "label_fraction": 0.5}"#).unwrap();
    let mut task = task(&job("linear", 4, Stage::Linear(linear)), folder.path());
    task.inputs = vec![encoder.clone()];
    let runs: Vec<_> = [1, 2]
        .map(|world_size| {
            let (events, ended) = train(&task, world_size, never);
            assert!(finished(&ended), "{ended:?}");
            assert_eq!(result(&events, "labels"), 60.0);
            let accuracy = result(&events, "linear_accuracy");
            assert!((0.6..=1.0).contains(&accuracy), "three classes by chance are 0.33: {accuracy}");
            (artifact(&events, "classifier").sha256, accuracy.to_bits())
        })
        .into();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(std::fs::read(&encoder.path).unwrap(), before, "the encoder is frozen");

    std::fs::write(&encoder.path, &before[..before.len() - 1]).unwrap();
    let (_, ended) = train(&task, 1, never);
    assert!(matches!(&ended[0], Err(Failure::InputMissing(why)) if why.contains("damaged or replaced")), "{ended:?}");
}

/// Weights decay by half in each step until only the last layer's bias is left and all images have the same output.
#[test]
fn a_collapse_is_noted_and_ends_the_job_if_asked() {
    let run = |stop_on_collapse: bool| {
        let mut spec = contrastive(5);
        if let Stage::Contrastive(stage) = &mut spec.stage {
            stage.epochs = 8;
            stage.stop_on_collapse = stop_on_collapse;
            stage.monitor.every_epochs = 0;
            let schedule = Schedule::Constant;
            let (lr, momentum, weight_decay, warmup_epochs) = (0.01, 0.0, 50.0, 0.0);
            stage.optimizer =
                Optimizer { lr, momentum, weight_decay, warmup_epochs, schedule, ..stage.optimizer.clone() };
        }
        train(&task(&spec, place().path()), 2, never)
    };
    let (events, ended) = run(false);
    assert!(finished(&ended), "{ended:?}");
    let noted = events.iter().filter(|event| matches!(event, Event::Note { kind, .. } if kind == "collapse")).count();
    assert_eq!(noted, 1, "once");
    let (_, ended) = run(true);
    let stopped = |end: &_| matches!(end, Err(Failure::Job(why)) if why.contains("has collapsed at step"));
    assert!(ended.iter().all(stopped), "{ended:?}");
}

#[test]
fn a_hopeless_job_says_why() {
    let folder = place();
    let fails = |change: &dyn Fn(&mut Contrastive)| {
        let mut spec = contrastive(5);
        if let Stage::Contrastive(stage) = &mut spec.stage {
            change(stage);
        }
        match train(&task(&spec, folder.path()), 1, never).1.remove(0) {
            Err(Failure::Job(why)) => why,
            other => panic!("expected the job's fault, got {other:?}"),
        }
    };
    assert!(fails(&|stage| stage.batch_size = 124).contains("larger than folder:stripes's 120"));
    assert!(fails(&|stage| stage.batch_size = 42).contains("4 equal shards"));
    let exploded = fails(&|stage| {
        stage.optimizer.lr = 1e30;
        stage.monitor.every_epochs = 0;
    });
    assert!(exploded.contains("not finite at step") && exploded.contains("optimizer.lr"), "{exploded}");
    assert!(!exploded.contains("tikhonov"), "{exploded}");
    let punished = fails(&|stage| stage.tikhonov.lambda = 1e60);
    assert!(punished.contains("not finite at step") && punished.contains("tikhonov.lambda"), "{punished}");
}
