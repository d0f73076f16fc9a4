//! The classifier that is attacked: a supervised job of `learn` on `shapes`, run to its end; and its test images.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tandem_collective::ProcessGroup;
use tandem_domain::spec::{Dataset, JobSpec, Stage, Workers};
use tandem_learn::data;
use tandem_learn::report::Event;
use tandem_learn::task::{InputFile, Task};
use tch::{Device, Tensor};

use super::batches::SEED;
use super::work::{Work, timed};

/// `folder` receives the classifier, and `attacked.safetensors` with the first `images` of the test set: `pixels`, u8
/// `[images, 3, 32, 32]`, and `labels`, i64.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClassifierSetup {
    pub(crate) steps: u32,
    pub(crate) images: u32,
    pub(crate) threads: u32,
    pub(crate) folder: PathBuf,
}

/// Everything happens in the set-up; there is no work to time.
pub(crate) fn prepare(setup: ClassifierSetup) -> Result<(Value, Work)> {
    let test = data::load(&Dataset::Shapes, Path::new("."), SEED, Device::Cpu)?.test;
    let pixels = test.pixels.narrow(0, 0, i64::from(setup.images)).contiguous();
    let labels = Tensor::from_slice(&test.labels).narrow(0, 0, i64::from(setup.images)).contiguous();
    Tensor::write_safetensors(&[("pixels", pixels), ("labels", labels)], setup.folder.join("attacked.safetensors"))
        .context("writing the images")?;

    let mut made = None;
    let mut report = |event| {
        if let Event::Artifact { kind, path, sha256, .. } = event {
            made = Some(InputFile { kind, path, sha256 });
        }
    };
    let supervised = json!({
        "stage": "supervised", "encoder": "resnet-tiny", "steps": setup.steps, "batch_size": 128, "validation": 0.0,
    });
    let task = task(supervised, setup.threads, &setup.folder)?;
    tandem_learn::run(&task, &ProcessGroup::alone(), &mut report, &AtomicBool::new(false))
        .map_err(|failure| anyhow::anyhow!("training the classifier failed: {failure}"))?;
    let made = made.context("the supervised job left no classifier")?;
    Ok((serde_json::to_value(made)?, timed(|| Ok(()))))
}

/// A supervised job of one process on `shapes`, whose files go to `folder`.
pub(super) fn task(supervised: Value, threads: u32, folder: &Path) -> Result<Task> {
    let spec = JobSpec {
        name: "classifier".into(),
        dataset: Dataset::Shapes,
        seed: SEED,
        workers: Workers { min: 1, max: 1 },
        shards: 1,
        threads,
        inputs: Vec::new(),
        stage: serde_json::from_value::<Stage>(supervised).context("the supervised job's settings")?,
    };
    Ok(Task {
        job_id: "bench".into(),
        attempt_id: "bench".into(),
        fence: 1,
        rank: 0,
        world_size: 1,
        spec,
        device: "cpu".into(),
        data_dir: folder.to_owned(),
        stored_data: None,
        replay: None,
        job_dir: folder.to_owned(),
        inputs: Vec::new(),
        checkpoints: Vec::new(),
        images: String::new(),
        store_id: String::new(),
        timing: tandem_domain::timing::DEFAULT.name.into(),
        host: "127.0.0.1".into(),
        meet_ports: None,
    })
}
