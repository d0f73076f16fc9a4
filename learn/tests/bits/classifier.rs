//! Classifiers: from scratch, fine-tuned, and one layer by SGD.

use std::collections::BTreeMap;
use std::path::Path;

use tandem_domain::spec::{JobSpec, Stage};
use tandem_learn::artifact::load_classifier;
use tandem_learn::report::{Event, Outcome};
use tandem_learn::task::{InputFile, Task};
use tandem_learn::{Failure, augment, data};
use tch::{Device, Kind, Tensor};

use crate::contrastive::contrastive;
use crate::together::{artifact, checkpoints, finished, job, losses, never, place, result, task, train};

/// A stage as an experiment file writes it.
fn stage(json: &str, changes: &str) -> Stage {
    let mut written: serde_json::Value = serde_json::from_str(json).unwrap();
    let changes: serde_json::Value = serde_json::from_str(changes).unwrap();
    written.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(written).unwrap()
}

/// 90 of 120 images are for training and 30 for validation: two steps of 40 an epoch.
fn supervised(seed: u64, changes: &str) -> JobSpec {
    let json = r#"{"stage": "supervised", "encoder": "resnet-tiny", "epochs": 3, "batch_size": 40, "validation": 0.25,
                   "optimizer": {"lr": 0.05}, "augment": {"pad": 2}, "checkpoint_steps": 1}"#;
    job("supervised", seed, stage(json, changes))
}

fn finetune(seed: u64, changes: &str) -> JobSpec {
    let json = r#"{"stage": "finetune", "epochs": 2, "batch_size": 40, "optimizer": {"lr": 0.05}}"#;
    job("finetune", seed, stage(json, changes))
}

fn linear(seed: u64, changes: &str) -> JobSpec {
    let json = r#"{"stage": "linear", "solver": "sgd", "epochs": 8, "batch_size": 40, "crop_area_min": 0.5}"#;
    job("linear", seed, stage(json, changes))
}

/// An encoder pretrained for an epoch, under `folder`.
fn encoder(folder: &Path) -> InputFile {
    let mut spec = contrastive(4);
    if let Stage::Contrastive(stage) = &mut spec.stage {
        stage.epochs = 1;
    }
    let (events, ended) = train(&task(&spec, folder), 2, never);
    assert!(finished(&ended), "{ended:?}");
    artifact(&events, "encoder")
}

fn on_top_of(encoder: &InputFile, spec: &JobSpec, folder: &Path) -> Task {
    Task { inputs: vec![encoder.clone()], ..task(spec, folder) }
}

/// Every tensor's bytes by its name.
fn tensors(file: &InputFile) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(&file.path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect()
}

/// Names of the encoder's tensors that differ between two files.
fn changed(encoder: &InputFile, classifier: &InputFile) -> Vec<String> {
    let (before, after) = (tensors(encoder), tensors(classifier));
    let own = before.into_iter().filter(|(name, _)| !name.starts_with("head."));
    own.filter(|(name, bytes)| after[name] != *bytes).map(|(name, _)| name).collect()
}

/// The test accuracy of the exported classifier, computed here in batches of another size.
fn accuracy_of(file: &InputFile, task: &Task) -> f64 {
    let (classifier, card) = load_classifier(file, Device::Cpu).unwrap();
    let data = data::load(&task.spec.dataset, &task.data_dir, task.spec.seed, Device::Cpu).unwrap();
    assert_eq!((card.classes.len() as i64, &card.classes), (classifier.classes(), &data.classes));
    let ids: Vec<i64> = (0..data.test.len() as i64).collect();
    let right = ids.chunks(7).map(|ids| {
        let labels: Vec<i64> = ids.iter().map(|&id| data.test.labels[id as usize]).collect();
        let guessed = classifier.logits(&augment::plain(&data.test, ids)).argmax(1, false);
        guessed.eq_tensor(&Tensor::from_slice(&labels)).sum(Kind::Int64).int64_value(&[])
    });
    right.sum::<i64>() as f64 / ids.len() as f64
}

fn metrics(events: &[Event], wanted: &str) -> Vec<(u64, f64)> {
    let metric = |event: &Event| match event {
        Event::Metric { name, step, value } if name == wanted => Some((*step, *value)),
        _ => None,
    };
    events.iter().filter_map(metric).collect()
}

#[test]
fn a_classifier_is_the_same_bits_on_one_two_and_four_ranks() {
    let spec = supervised(1, r#"{"epochs": 12}"#);
    let runs: Vec<_> = [1, 2, 4]
        .map(|world_size| {
            let folder = place();
            let task = task(&spec, folder.path());
            let (events, ended) = train(&task, world_size, never);
            assert!(finished(&ended), "{ended:?}");
            assert_eq!((result(&events, "labels"), result(&events, "held_out")), (90.0, 30.0));
            let accuracy = result(&events, "test_accuracy");
            assert!(accuracy > 0.6, "three classes by chance are 0.33: {accuracy}");
            assert_eq!(accuracy_of(&artifact(&events, "classifier"), &task), accuracy, "what is exported is evaluated");
            (artifact(&events, "classifier").sha256, losses(&events), metrics(&events, "validation_accuracy"))
        })
        .into();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
    assert_eq!((runs[0].1.len(), runs[0].2.len()), (24, 12), "a loss for each step, a validation for each epoch");
}

/// The best model is older than the checkpoint that the run goes on from, and the optimiser has two moments. The checkpoint
/// must restore both.
#[test]
fn a_stopped_classifier_goes_on_with_the_same_bits_and_the_same_best() {
    // Late in the run the learning rate becomes too high, but nothing explodes: the best epoch is not the last.
    let spec = supervised(
        2,
        r#"{"epochs": 16, "optimizer": {"name": "adam", "lr": 0.01, "schedule": "step", "milestones": [0.75],
            "factor": 100.0}}"#,
    );
    let whole = place();
    let (expected, ended) = train(&task(&spec, whole.path()), 1, never);
    assert!(finished(&ended), "{ended:?}");
    let validations = metrics(&expected, "validation_accuracy");
    let best = result(&expected, "best_epoch") as u64;
    assert!(best < 15, "too late to be lost by a stop: {validations:?}");
    let stop_after = 2 * best + 3;

    let folder = place();
    let mut task = task(&spec, folder.path());
    let (first, ended) = train(&task, 2, |rank, event| {
        rank == 0 && matches!(event, Event::Metric { name, step, .. } if name == "loss" && *step == stop_after - 1)
    });
    assert_eq!(ended, [Ok(Outcome::Stopped), Ok(Outcome::Stopped)]);
    assert_eq!(losses(&first).len() as u64, stop_after, "{validations:?}");

    task.checkpoints = checkpoints(&first);
    let (second, ended) = train(&task, 4, never);
    assert!(finished(&ended), "{ended:?}");
    assert_eq!([losses(&first), losses(&second)].concat(), losses(&expected));
    let classifier = |events| artifact(events, "classifier").sha256;
    assert_eq!(accuracy_of(&artifact(&second, "classifier"), &task), result(&second, "test_accuracy"));
    assert!(result(&second, "test_accuracy") > result(&second, "last_accuracy"), "the best is kept, not the last");
    assert_eq!(classifier(&second), classifier(&expected));
    for name in ["test_accuracy", "last_accuracy", "validation_accuracy", "best_epoch", "loss"] {
        assert_eq!(result(&second, name).to_bits(), result(&expected, name).to_bits(), "{name}");
    }
    let highest = validations.iter().map(|validation| validation.1).fold(0.0, f64::max);
    assert_eq!(result(&expected, "validation_accuracy"), highest, "{validations:?}");
    assert_eq!(
        validations.iter().rfind(|validation| validation.1 == highest).unwrap().0,
        2 * best,
        "of equals, the last"
    );
}

/// A probe changes no byte of the encoder, nor of BatchNorm's statistics; fine-tuning changes all from its first step on.
#[test]
fn probes_are_frozen_and_fine_tuning_is_not() {
    let folder = place();
    let encoder = encoder(folder.path());
    let run = |spec: &JobSpec| {
        let task = on_top_of(&encoder, spec, folder.path());
        let (events, ended) = train(&task, 2, never);
        assert!(finished(&ended), "{ended:?}");
        let classifier = artifact(&events, "classifier");
        assert_eq!(accuracy_of(&classifier, &task), result(&events, "test_accuracy"), "{}", task.spec.name);
        (changed(&encoder, &classifier), events)
    };
    for spec in [linear(4, "{}"), linear(4, r#"{"solver": "lbfgs"}"#), finetune(4, r#"{"head_epochs": 2.0}"#)] {
        let (changed, events) = run(&spec);
        assert_eq!(changed, [""; 0], "{}", spec.name);
        if spec.name == "linear" {
            assert_eq!(result(&events, "linear_accuracy"), result(&events, "test_accuracy"));
            assert!(result(&events, "test_accuracy") > 0.6, "three classes by chance are 0.33");
        }
    }
    let (changed, events) = run(&finetune(4, r#"{"steps": 1, "rate_decay": 0.5}"#));
    assert_eq!(losses(&events).len(), 1);
    let all = tensors(&encoder).keys().filter(|name| !name.starts_with("head.")).count();
    assert_eq!(changed.len(), all, "every weight and every statistic moves: {changed:?}");

    // Trains the head alone for an epoch of two steps, then everything for another.
    let thawed = run(&finetune(4, r#"{"head_epochs": 1.0}"#)).0;
    assert_eq!(thawed.len(), all);
}

/// A frozen encoder gives the same features in training as in evaluation: without augmentation and at learning rate 0 the
/// first loss is that of the exported classifier on the same images. BatchNorm by the batch's statistics would differ.
#[test]
fn a_frozen_encoder_is_in_evaluation_mode() {
    let folder = place();
    let spec = finetune(
        9,
        r#"{"steps": 1, "head_epochs": 1.0, "batch_size": 120, "validation": 0.0, "optimizer": {"lr": 0.0},
            "augment": {"pad": 0, "flip": 0.0}}"#,
    );
    let task = on_top_of(&encoder(folder.path()), &spec, folder.path());
    let (events, ended) = train(&task, 1, never);
    assert!(finished(&ended), "{ended:?}");
    let (classifier, _) = load_classifier(&artifact(&events, "classifier"), Device::Cpu).unwrap();
    let train = data::load(&spec.dataset, &task.data_dir, spec.seed, Device::Cpu).unwrap().train;
    let logits = classifier.logits(&augment::plain(&train, &(0..120).collect::<Vec<_>>()));
    let expected = logits.cross_entropy_for_logits(&Tensor::from_slice(&train.labels)).double_value(&[]);
    let loss = result(&events, "loss");
    assert!((loss - expected).abs() < 1e-5 * expected, "{loss} instead of {expected}");
}

#[test]
fn a_linear_layer_learns_by_sgd_the_same_on_any_ranks() {
    let folder = place();
    let encoder = encoder(folder.path());
    let runs: Vec<_> = [1, 4]
        .map(|world_size| {
            let task = on_top_of(&encoder, &linear(5, r#"{"label_fraction": 0.5}"#), folder.path());
            let (events, ended) = train(&task, world_size, never);
            assert!(finished(&ended), "{ended:?}");
            assert_eq!((result(&events, "labels"), result(&events, "steps")), (60.0, 8.0));
            let losses = metrics(&events, "epoch_loss");
            assert!(losses[7].1 < losses[0].1, "{losses:?}");
            (artifact(&events, "classifier").sha256, losses.len())
        })
        .into();
    assert_eq!(runs[0], runs[1]);
}

/// Every stage of an experiment sees the same labelled images, balanced over classes and listed beside the weights.
#[test]
fn every_stage_has_the_same_labelled_images() {
    let folder = place();
    let encoder = encoder(folder.path());
    let labelled = |spec: &JobSpec| {
        let (events, ended) = train(&on_top_of(&encoder, spec, folder.path()), 1, never);
        assert!(finished(&ended), "{ended:?}");
        let labelled = load_classifier(&artifact(&events, "classifier"), Device::Cpu).unwrap().1.labelled;
        let seen = result(&events, "labels") + result(&events, "held_out");
        assert_eq!(seen, labelled.as_ref().map_or(120, Vec::len) as f64, "{}", spec.name);
        labelled
    };
    let supervised = supervised(3, r#"{"steps": 1, "label_fraction": 0.2}"#);
    let expected = labelled(&supervised).unwrap();
    // 40 images of each class, one class after the other.
    let of_class = |class: i64| expected.iter().filter(|&&id| id / 40 == class).count();
    assert_eq!([0, 1, 2].map(of_class), [8; 3]);
    let few = r#"{"epochs": 1, "label_fraction": 0.2}"#;
    let by_lbfgs = linear(3, r#"{"epochs": 1, "label_fraction": 0.2, "solver": "lbfgs"}"#);
    for spec in [linear(3, few), by_lbfgs, finetune(3, few)] {
        assert_eq!(labelled(&spec).unwrap(), expected, "{}", spec.name);
    }
    assert_ne!(labelled(&finetune(30, few)).unwrap(), expected, "another seed, other images");
    assert_eq!(labelled(&linear(3, r#"{"epochs": 1}"#)), None, "all of them are not listed");
}

#[test]
fn a_budget_in_steps_is_kept_to_the_step() {
    let folder = place();
    // 30 labelled images, 6 of them held out: one step of 24 an epoch, and at most 50 validations.
    let spec = supervised(6, r#"{"steps": 101, "label_fraction": 0.25, "validation": 0.2, "checkpoint_steps": 0}"#);
    let (events, ended) = train(&task(&spec, folder.path()), 1, never);
    assert!(finished(&ended), "{ended:?}");
    assert_eq!((losses(&events).len(), result(&events, "steps")), (101, 101.0));
    assert_eq!((result(&events, "labels"), result(&events, "held_out")), (24.0, 6.0));
    let validations = metrics(&events, "validation_accuracy");
    assert_eq!(validations.len(), 34, "every third epoch, and the last one");
    assert_eq!(validations.last().unwrap().0, 101);
    assert_eq!(checkpoints(&events).len(), 34, "and so are checkpoints");
    let cut = events.iter().find_map(|event| match event {
        Event::Note { kind, message } if kind == "batch_cut" => Some(message.clone()),
        _ => None,
    });
    assert!(cut.unwrap().contains("is cut to 24"));
    let rates = metrics(&events, "lr");
    assert!(rates[0].1 > 0.04 && rates[100].1 < 1e-4, "the cosine ends with the budget, not with the epochs");
}

#[test]
fn without_a_held_out_part_the_last_model_is_kept() {
    let folder = place();
    let spec = supervised(7, r#"{"validation": 0.0}"#);
    let (events, ended) = train(&task(&spec, folder.path()), 1, never);
    assert!(finished(&ended), "{ended:?}");
    assert!(metrics(&events, "validation_accuracy").is_empty());
    assert_eq!(result(&events, "test_accuracy"), result(&events, "last_accuracy"));
    assert_eq!((result(&events, "best_epoch"), result(&events, "steps")), (3.0, 9.0), "three steps of 40 an epoch");
}

#[test]
fn a_hopeless_job_says_why() {
    let folder = place();
    let fails = |spec: &JobSpec| match train(&task(spec, folder.path()), 1, never).1.remove(0) {
        Err(Failure::Job(why)) => why,
        other => panic!("expected the job's fault, got {other:?}"),
    };
    let few = fails(&supervised(8, r#"{"label_fraction": 0.025, "validation": 0.5}"#));
    assert!(few.contains("none of class 0") && few.contains("validation = 0"), "{few}");
    let fewer = fails(&supervised(8, r#"{"label_fraction": 0.025, "validation": 0.0}"#));
    assert!(fewer.contains("3 labelled images to train on are fewer than the 4 shards"), "{fewer}");
    let exploded = fails(&supervised(8, r#"{"optimizer": {"lr": 1e30}}"#));
    assert!(exploded.contains("not finite at step") && exploded.contains("optimizer.lr"), "{exploded}");
    assert!(fails(&finetune(8, "{}")).contains("needs the encoder of a contrastive job"));
}
