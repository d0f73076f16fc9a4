//! The attack stage from end to end. Ranks are threads; the stages before it train the classifier.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tandem_collective::{ProcessGroup, RendezvousStore};
use tandem_domain::spec::{Dataset, JobSpec, Stage, Workers};
use tandem_learn::report::{Event, Outcome};
use tandem_learn::task::{CheckpointRef, InputFile, Task};
use tandem_learn::{Failure, run};

const TIMEOUT: Duration = Duration::from_secs(60);
const TEST_IMAGES: usize = 30;

/// 60 training and 30 test images of three classes: horizontal stripes, vertical stripes and checks, in many shades.
fn make_images(data_dir: &Path) {
    for (half, count) in [("train", 20), ("test", 10)] {
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

fn task(folder: &Path, stage: &str, inputs: Vec<InputFile>) -> Task {
    let stage: Stage = serde_json::from_str(stage).unwrap();
    let spec = JobSpec {
        name: stage.name().into(),
        dataset: Dataset::Folder("stripes".into()),
        seed: 4,
        workers: Workers { min: 1, max: 2 },
        shards: 2,
        threads: 1,
        inputs: vec![],
        stage,
    };
    Task {
        job_id: "job".into(),
        attempt_id: "attempt".into(),
        fence: 1,
        rank: 0,
        world_size: 1,
        job_dir: folder.join(&spec.name),
        spec,
        device: "cpu".into(),
        data_dir: folder.join("data"),
        stored_data: None,
        replay: None,
        inputs,
        checkpoints: vec![],
        images: String::new(),
        store_id: String::new(),
        host: "127.0.0.1".into(),
        meet_ports: None,
        timing: String::new(),
    }
}

/// What rank 0 reported and how each rank ended.
type Ended = (Vec<Event>, Vec<Result<Outcome, Failure>>);

/// Runs the task on so many ranks. A rank is asked to stop when `watch(rank, event)` is true.
fn execute(task: &Task, world_size: u32, watch: impl Fn(u32, &Event) -> bool + Sync) -> Ended {
    let store = RendezvousStore::listen("127.0.0.1", TIMEOUT).unwrap();
    let port = store.port();
    let watch = &watch;
    let rank = move |rank: u32| {
        let store = RendezvousStore::connect("127.0.0.1", port, TIMEOUT).unwrap();
        let group = ProcessGroup::gloo(&store, "test", rank, world_size, "127.0.0.1", TIMEOUT).unwrap();
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

fn finish(task: &Task, world_size: u32) -> Vec<Event> {
    let (events, ended) = execute(task, world_size, |_, _| false);
    assert!(ended.iter().all(|end| *end == Ok(Outcome::Finished)), "{ended:?}");
    events
}

fn artifacts(events: &[Event]) -> Vec<InputFile> {
    let made = events.iter().filter_map(|event| match event {
        Event::Artifact { kind, path, sha256, .. } => {
            Some(InputFile { kind: kind.clone(), path: path.clone(), sha256: sha256.clone() })
        }
        _ => None,
    });
    made.collect()
}

fn artifact(events: &[Event], kind: &str) -> InputFile {
    artifacts(events).into_iter().find(|file| file.kind == kind).unwrap()
}

fn result(events: &[Event], wanted: &str) -> f64 {
    let found = events.iter().find_map(|event| match event {
        Event::Result { name, value } if name == wanted => Some(*value),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no result {wanted}: {events:#?}"))
}

/// Kinds and checksums of all artifacts.
fn left(events: &[Event]) -> Vec<(String, String)> {
    artifacts(events).into_iter().map(|file| (file.kind, file.sha256)).collect()
}

/// A folder with images, a classifier that is right about most of them, and its test accuracy.
fn classifier() -> (tempfile::TempDir, InputFile, f64) {
    let folder = tempfile::tempdir().unwrap();
    make_images(&folder.path().join("data"));
    let contrastive = r#"{"stage": "contrastive", "encoder": "resnet-tiny", "epochs": 2, "batch_size": 20,
        "optimizer": {"name": "sgd", "lr": 0.05}, "monitor": {"every_epochs": 0}}"#;
    let encoder = artifact(&finish(&task(folder.path(), contrastive, vec![]), 1), "encoder");
    let linear = task(folder.path(), r#"{"stage": "linear", "epochs": 50}"#, vec![encoder]);
    let events = finish(&linear, 1);
    let accuracy = result(&events, "linear_accuracy");
    assert!(accuracy > 0.6, "three classes by chance are 0.33: {accuracy}");
    (folder, artifact(&events, "classifier"), accuracy)
}

const PGD: &str = r#"{"stage": "attack", "attack": "pgd", "norm": "l2", "steps": 5, "batch_size": 4,
    "radii": [0.05, 0.2, 20.0]}"#;

fn table(path: &PathBuf) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn figures_and_files_are_the_same_on_one_and_two_ranks_and_agree_with_each_other() {
    let (folder, classifier, accuracy) = classifier();
    let task = task(folder.path(), PGD, vec![classifier]);
    let [one, two] = [1, 2].map(|world_size| finish(&task, world_size));
    assert_eq!(left(&one), left(&two));
    let kinds: Vec<_> = left(&one).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["attack", "curve", "adversarial", "picture"]);

    // The classifier that is attacked is the one that was evaluated.
    assert!((result(&one, "clean_error") - (1.0 - accuracy)).abs() < 1e-9);
    let images = table(&artifact(&one, "attack").path);
    assert_eq!(images.len(), TEST_IMAGES);
    for row in &images {
        let [_, label, prediction, distance, by] = row.as_slice() else { panic!("{row:?}") };
        let clean_error = label != prediction;
        assert_eq!(clean_error, distance == "0", "{row:?}");
        assert_eq!(by.is_empty(), clean_error || distance.is_empty(), "{row:?}");
    }
    let curve: Vec<Vec<f64>> = table(&artifact(&one, "curve").path)
        .iter()
        .map(|row| row.iter().map(|value| value.parse().unwrap()).collect())
        .collect();
    assert_eq!(curve.iter().map(|point| point[0]).collect::<Vec<_>>(), [0.0, 0.05, 0.2, 20.0]);
    assert!(curve.is_sorted_by(|a, b| a[1] <= b[1] && a[2] <= b[2]), "{curve:?}");
    assert!((curve[0][2] - 100.0 * (1.0 - accuracy)).abs() < 1e-4 && curve[0][1] == 0.0);
    assert!(curve[3][2] >= 99.0 && curve[3][1] == 100.0, "{curve:?}");
    assert!((result(&one, "misclassified_at_0.2") - curve[2][2] / 100.0).abs() < 1e-6);
    assert_eq!((result(&one, "attacked"), result(&one, "failed")), (30.0, 0.0));
    assert_eq!((result(&one, "gate_zero_gradient"), result(&one, "gate_large_radius")), (0.0, 1.0));
    assert!(result(&one, "gate_batch_alone") < 1e-3);
    let done: Vec<u64> = one
        .iter()
        .filter_map(|event| match event {
            Event::Progress { step, steps: 30, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(done, [4, 8, 12, 16, 20, 24, 28, 30]);
}

#[test]
fn an_attack_that_was_stopped_goes_on_with_the_next_image() {
    let (folder, classifier, _) = classifier();
    let mut task = task(folder.path(), PGD, vec![classifier]);
    let whole = left(&finish(&task, 1));

    // Rank 0 alone is asked to stop after the first round of 2 batches of 4: all stop in the second round or at its end.
    let rounds = |rank, event: &Event| rank == 0 && matches!(event, Event::Progress { step: 8, .. });
    let (events, ended) = execute(&task, 2, rounds);
    assert_eq!(ended, [Ok(Outcome::Stopped), Ok(Outcome::Stopped)]);
    let saved: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Checkpoint { step, path, sha256, .. } => {
                Some(CheckpointRef { step: *step, path: path.clone(), sha256: sha256.clone() })
            }
            _ => None,
        })
        .collect();
    let attacked = saved.last().unwrap().step;
    assert!(attacked == 8 || attacked == 16, "{saved:?}");

    task.checkpoints = saved;
    let resumed = finish(&task, 1);
    assert!(resumed.contains(&Event::Phase { name: "attacking".into(), first_step: attacked }));
    assert_eq!(left(&resumed), whole);

    // Another attack does not go on from it.
    let other = PGD.replace("\"steps\": 5", "\"steps\": 6");
    task.spec.stage = serde_json::from_str(&other).unwrap();
    // It need not come to its end to show that.
    let (fresh, _) = execute(&task, 1, |_, event| matches!(event, Event::Progress { .. }));
    assert!(fresh.contains(&Event::Phase { name: "attacking".into(), first_step: 0 }));
    assert!(fresh.iter().any(|event| matches!(event, Event::Note { kind, .. } if kind == "checkpoint_skipped")));
}

#[test]
fn an_attack_that_makes_no_sense_says_why() {
    let (folder, classifier, _) = classifier();
    let fails =
        |stage: &str, inputs: Vec<InputFile>| match execute(&task(folder.path(), stage, inputs), 1, |_, _| false)
            .1
            .remove(0)
        {
            Err(Failure::Job(why)) => why,
            other => panic!("expected the job's fault, got {other:?}"),
        };
    let encoder = InputFile { kind: "encoder".into(), ..classifier.clone() };
    let why = fails(PGD, vec![encoder]);
    assert!(why.contains("needs a classifier and got encoder"), "{why}");
    let why = fails(PGD, vec![]);
    assert!(why.contains("got nothing"), "{why}");
    for radii in ["[0.2, 0.1]", "[-1.0]", "[0.0, 1.0]"] {
        let why = fails(&PGD.replace("[0.05, 0.2, 20.0]", radii), vec![classifier.clone()]);
        assert!(why.contains("radii must be above 0"), "{why}");
    }
    let why = fails(&PGD.replace("l2", "l1"), vec![classifier.clone()]);
    assert!(why.contains("cannot search in L1"), "{why}");
}
