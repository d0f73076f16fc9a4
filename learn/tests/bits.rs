//! The promise of DESIGN.md 5: the weights are the same bits on any number of ranks, and after a stop in the middle.
//!
//! Ranks are threads here, each with its own store connection and Gloo group on the loopback interface.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tandem_collective::{Group, Store};
use tandem_domain::spec::{
    Contrastive, Dataset, Encoder, Head, JobSpec, Linear, Monitor, Optimizer, OptimizerName, Stage, Workers,
};
use tandem_learn::files::sha256;
use tandem_learn::report::{Event, Outcome};
use tandem_learn::task::{CheckpointRef, InputFile, Task};
use tandem_learn::{Failure, run};

const TIMEOUT: Duration = Duration::from_secs(60);

fn contrastive(seed: u64) -> JobSpec {
    let stage = Contrastive {
        encoder: Encoder::ResNetTiny,
        epochs: 2,
        // Three steps an epoch of the 120 images.
        batch_size: 40,
        temperature: 0.5,
        self_term: false,
        head: Head { hidden: 0, output: 16 },
        optimizer: Optimizer { name: OptimizerName::Sgd, lr: 0.05, warmup_epochs: 0.5, ..Optimizer::default() },
        augment: Default::default(),
        precision: Default::default(),
        recompute: Default::default(),
        batch_norm: Default::default(),
        tikhonov: Default::default(),
        layerwise: None,
        monitor: Monitor { every_epochs: 1, neighbours: 5, bank: 60 },
        checkpoint_steps: 1,
    };
    job("encoder", seed, Stage::Contrastive(stage))
}

fn job(name: &str, seed: u64, stage: Stage) -> JobSpec {
    JobSpec {
        name: name.into(),
        dataset: Dataset::Folder("stripes".into()),
        seed,
        workers: Workers { min: 1, max: 4 },
        shards: 4,
        threads: 1,
        inputs: vec![],
        stage,
    }
}

/// 120 training and 30 test images of three classes: stripes across, stripes down, checks; each image of other shades.
fn make_images(data_dir: &Path) {
    for (half, count) in [("train", 40), ("test", 10)] {
        for (class, name) in ["across", "checks", "down"].iter().enumerate() {
            let folder = data_dir.join("stripes").join(half).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let (period, shade) = (3 + i % 5, (40 + 5 * i) as u8);
                let image = image::RgbImage::from_fn(32, 32, |x, y| {
                    let on = [y / period % 2, (x / period + y / period) % 2, x / period % 2][class] == 1;
                    image::Rgb(if on { [shade, 200, 255 - shade] } else { [10, shade, 90] })
                });
                image.save(folder.join(format!("{i:02}.png"))).unwrap();
            }
        }
    }
}

/// A folder for one run, with the images under `data/` and everything else under `job/`.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    make_images(&folder.path().join("data"));
    folder
}

fn task(spec: &JobSpec, folder: &Path) -> Task {
    Task {
        job_id: "job".into(),
        attempt_id: "attempt".into(),
        fence: 1,
        rank: 0,
        world_size: 1,
        spec: spec.clone(),
        device: "cpu".into(),
        data_dir: folder.join("data"),
        job_dir: folder.join("job"),
        inputs: vec![],
        checkpoints: vec![],
        host: "127.0.0.1".into(),
    }
}

/// What rank 0 reported and how each rank ended. `watch(rank, event)` true asks that rank to stop.
type Ended = (Vec<Event>, Vec<Result<Outcome, Failure>>);

fn train(task: &Task, world_size: u32, watch: impl Fn(u32, &Event) -> bool + Sync) -> Ended {
    let store = Store::listen("127.0.0.1", TIMEOUT).unwrap();
    let port = store.port();
    let rank = |rank: u32| {
        let store = Store::connect("127.0.0.1", port, TIMEOUT).unwrap();
        let group = Group::gloo(&store, "test", rank, world_size, "127.0.0.1", TIMEOUT).unwrap();
        let (mut events, stop) = (Vec::new(), AtomicBool::new(false));
        let mut report = |event: Event| {
            if watch(rank, &event) {
                stop.store(true, Ordering::Relaxed);
            }
            events.push(event);
        };
        let ended = run(&Task { rank, world_size, ..task.clone() }, &group, &mut report, &stop);
        (events, ended)
    };
    thread::scope(|scope| {
        let ranks: Vec<_> = (0..world_size).map(|r| scope.spawn(move || rank(r))).collect();
        let (mut events, ended): (Vec<_>, Vec<_>) = ranks.into_iter().map(|rank| rank.join().unwrap()).unzip();
        (events.swap_remove(0), ended)
    })
}

fn never(_: u32, _: &Event) -> bool {
    false
}

fn finished(ended: &[Result<Outcome, Failure>]) -> bool {
    ended.iter().all(|end| *end == Ok(Outcome::Finished))
}

fn artifact(events: &[Event], wanted: &str) -> InputFile {
    let found = events.iter().find_map(|event| match event {
        Event::Artifact { kind, path, sha256, .. } if kind == wanted => {
            Some(InputFile { kind: kind.clone(), path: path.clone(), sha256: sha256.clone() })
        }
        _ => None,
    });
    found.unwrap()
}

fn losses(events: &[Event]) -> Vec<(u64, u64)> {
    let loss = |event: &Event| match event {
        Event::Metric { name, step, value } if name == "loss" => Some((*step, value.to_bits())),
        _ => None,
    };
    events.iter().filter_map(loss).collect()
}

fn result(events: &[Event], wanted: &str) -> f64 {
    let found = events.iter().find_map(|event| match event {
        Event::Result { name, value } if name == wanted => Some(*value),
        _ => None,
    });
    found.unwrap()
}

fn checkpoints(events: &[Event]) -> Vec<CheckpointRef> {
    let saved = events.iter().filter_map(|event| match event {
        Event::Checkpoint { step, path, sha256, .. } => {
            Some(CheckpointRef { step: *step, path: path.clone(), sha256: sha256.clone() })
        }
        _ => None,
    });
    let mut newest_first: Vec<_> = saved.collect();
    newest_first.reverse();
    newest_first
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
    assert_ne!(artifact(&events, "encoder").sha256, runs[0].0, "another seed, other bits");
}

#[test]
fn a_run_stopped_in_the_middle_and_resumed_gives_the_same_bits() {
    let whole = place();
    let mut task_whole = task(&contrastive(3), whole.path());
    let (expected, ended) = train(&task_whole, 1, never);
    assert!(finished(&ended), "{ended:?}");

    // Rank 1 alone is asked to stop as soon as it trains: all stop after the same step, in the middle of an epoch.
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

    // A finished run that is asked again (its report was lost) exports the same once more; a damaged newest checkpoint
    // costs one step and a note.
    task_whole.checkpoints = checkpoints(&expected);
    std::fs::write(task_whole.checkpoints[0].path.join("state.safetensors"), "damaged").unwrap();
    let (again, ended) = train(&task_whole, 2, never);
    assert!(finished(&ended), "{ended:?}");
    assert!(matches!(&again[..], [_, Event::Note { kind, .. }, ..] if kind == "checkpoint_skipped"), "{again:?}");
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
    assert!(matches!(&ended[0], Err(Failure::Machine(why)) if why.contains("damaged or replaced")), "{ended:?}");
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
    assert!(fails(&|stage| stage.encoder = Encoder::ResNetPaper).contains("cannot build"));
    let exploded = fails(&|stage| {
        stage.optimizer.lr = 1e30;
        stage.monitor.every_epochs = 0;
    });
    assert!(exploded.contains("not finite at step") && exploded.contains("optimizer.lr"), "{exploded}");
}
