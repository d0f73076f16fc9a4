//! Runs of `tandem_learn::run` on several ranks at once. Ranks are threads, each with a store connection and a Gloo group of
//! its own on the loopback interface.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tandem_collective::{ProcessGroup, RendezvousStore};
use tandem_domain::spec::{Dataset, JobSpec, Stage, Workers};
use tandem_learn::report::{Event, Outcome};
use tandem_learn::task::{CheckpointRef, InputFile, Task};
use tandem_learn::{Failure, run};

const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn job(name: &str, seed: u64, stage: Stage) -> JobSpec {
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

/// 120 training and 30 test images of three classes: horizontal stripes, vertical stripes and checks, in many shades.
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
pub(crate) fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    make_images(&folder.path().join("data"));
    folder
}

pub(crate) fn task(spec: &JobSpec, folder: &Path) -> Task {
    Task {
        job_id: "job".into(),
        attempt_id: "attempt".into(),
        fence: 1,
        rank: 0,
        world_size: 1,
        spec: spec.clone(),
        device: "cpu".into(),
        data_dir: folder.join("data"),
        stored_data: None,
        replay: None,
        job_dir: folder.join("job"),
        inputs: vec![],
        checkpoints: vec![],
        images: String::new(),
        store_id: String::new(),
        host: "127.0.0.1".into(),
        meet_ports: None,
        timing: String::new(),
    }
}

/// What rank 0 reported and how each rank ended.
pub(crate) type Ended = (Vec<Event>, Vec<Result<Outcome, Failure>>);

/// Runs the task on so many ranks. A rank is asked to stop when `watch(rank, event)` is true.
pub(crate) fn train(task: &Task, world_size: u32, watch: impl Fn(u32, &Event) -> bool + Sync) -> Ended {
    let store = RendezvousStore::listen("127.0.0.1", TIMEOUT).unwrap();
    let port = store.port();
    let rank = |rank: u32| {
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

pub(crate) fn never(_: u32, _: &Event) -> bool {
    false
}

pub(crate) fn finished(ended: &[Result<Outcome, Failure>]) -> bool {
    ended.iter().all(|end| *end == Ok(Outcome::Finished))
}

pub(crate) fn artifact(events: &[Event], wanted: &str) -> InputFile {
    let found = events.iter().find_map(|event| match event {
        Event::Artifact { kind, path, sha256, .. } if kind == wanted => {
            Some(InputFile { kind: kind.clone(), path: path.clone(), sha256: sha256.clone() })
        }
        _ => None,
    });
    found.unwrap()
}

pub(crate) fn losses(events: &[Event]) -> Vec<(u64, u64)> {
    let loss = |event: &Event| match event {
        Event::Metric { name, step, value } if name == "loss" => Some((*step, value.to_bits())),
        _ => None,
    };
    events.iter().filter_map(loss).collect()
}

pub(crate) fn result(events: &[Event], wanted: &str) -> f64 {
    let found = events.iter().find_map(|event| match event {
        Event::Result { name, value } if name == wanted => Some(*value),
        _ => None,
    });
    found.unwrap()
}

pub(crate) fn checkpoints(events: &[Event]) -> Vec<CheckpointRef> {
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
