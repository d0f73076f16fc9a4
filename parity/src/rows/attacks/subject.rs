//! What is attacked: a classifier, trained once by a supervised job as a worker would run it and kept in `cache/`, and
//! test images.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use serde_json::json;
use tandem_collective::ProcessGroup;
use tandem_domain::spec::JobSpec;
use tandem_learn::artifact::load_classifier;
use tandem_learn::attack::{Adversarials, Batch};
use tandem_learn::augment::plain;
use tandem_learn::classifier::Classifier;
use tandem_learn::files::sha256;
use tandem_learn::report::Event;
use tandem_learn::task::{InputFile, Task};
use tch::{Device, Tensor};

use crate::environment::{Environment, SEED, folder};

/// Images that our attacks take at once.
const BATCH: usize = 250;

pub(super) struct Trained {
    pub(super) classifier: Classifier,
    pub(super) path: PathBuf,
}

impl Trained {
    /// From the cache, if the same job has been run before.
    pub(super) fn get(env: &Environment) -> Result<Self> {
        let threads = std::thread::available_parallelism()?.get();
        let spec: JobSpec = serde_json::from_value(json!({
            "name": "parity", "dataset": env.dataset(), "seed": SEED, "workers": { "min": 1, "max": 1 }, "shards": 1,
            "threads": threads, "inputs": [],
            "stage": {
                "stage": "supervised", "encoder": "resnet-tiny", "steps": 1200, "validation": 0.0,
                "optimizer": { "schedule": "cosine" },
            },
        }))?;
        let key = sha256(format!("{}{}", serde_json::to_string(&spec)?, tandem_domain::LEARN_VERSION).as_bytes());
        let job_dir = folder().join("cache").join(key.get(..16).unwrap_or_default());
        let path = job_dir.join("artifacts/f1/classifier.safetensors");
        if !path.exists() {
            train(env, &spec, &job_dir).context("training the classifier that is attacked")?;
        }
        let input = InputFile { kind: "classifier".into(), sha256: sha256(&std::fs::read(&path)?), path };
        let (classifier, _) = load_classifier(&input, Device::Cpu)?;
        Ok(Self { classifier, path: input.path })
    }
}

fn train(env: &Environment, spec: &JobSpec, job_dir: &Path) -> Result<()> {
    eprintln!("training a resnet-tiny on {} (once: it is kept in {})", spec.dataset, job_dir.display());
    // What an interrupted run left behind belongs to another attempt.
    if job_dir.exists() {
        std::fs::remove_dir_all(job_dir)?;
    }
    std::fs::create_dir_all(job_dir)?;
    let task = Task {
        job_id: "parity".into(),
        attempt_id: "parity".into(),
        fence: 1,
        rank: 0,
        world_size: 1,
        spec: spec.clone(),
        device: "cpu".into(),
        data_dir: env.data_dir().to_owned(),
        stored_data: None,
        replay: None,
        job_dir: job_dir.to_owned(),
        inputs: Vec::new(),
        images: String::new(),
        store_id: String::new(),
        checkpoints: Vec::new(),
        host: "127.0.0.1".into(),
        meet_ports: None,
        timing: String::new(),
    };
    let mut report = |event: Event| {
        if let Event::Result { name, value } = event {
            eprintln!("  {name} {value:.4}");
        }
    };
    tandem_learn::run(&task, &ProcessGroup::alone(), &mut report, &AtomicBool::new(false))?;
    Ok(())
}

/// The images under attack.
pub(super) struct Sample {
    pub(super) images: Tensor,
    pub(super) labels: Tensor,
    pub(super) ids: Vec<i64>,
}

impl Sample {
    pub(super) fn first(env: &Environment, count: usize) -> Result<Self> {
        let data = env.load()?;
        let ids: Vec<i64> = (0..count.min(data.test.len()) as i64).collect();
        let labels = Tensor::from_slice(data.test.labels.get(..ids.len()).context("every image has a label")?);
        Ok(Self { images: plain(&data.test, &ids), labels, ids })
    }

    /// Attacks batch by batch. Distances `[B]`, infinite where the attack failed.
    pub(super) fn attack(&self, mut attack: impl FnMut(&Batch<'_>) -> Adversarials) -> Tensor {
        let distances = (0..).step_by(BATCH).zip(self.ids.chunks(BATCH)).map(|(first, ids)| {
            let (first, count) = (first as i64, ids.len() as i64);
            let (images, labels) = (self.images.narrow(0, first, count), self.labels.narrow(0, first, count));
            attack(&Batch { images: &images, labels: &labels, ids }).distance
        });
        Tensor::cat(&distances.collect::<Vec<_>>(), 0)
    }
}
