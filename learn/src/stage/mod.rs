//! What a rank does with its task: one module for each stage, and what they share.
//!
//! `checkpointing`, `training_state`, `model_copy`, `throughput`, `divergence` and `epoch_line` serve the stages that train, `predictions` those that classify; `classifier` is the training
//! that `supervised`, `finetune` and `linear` have in common.

pub(crate) mod attack;
mod checkpointing;
mod classifier;
pub(crate) mod contrastive;
mod divergence;
mod epoch_line;
pub(crate) mod finetune;
pub(crate) mod linear;
mod model_copy;
mod predictions;
pub(crate) mod supervised;
mod throughput;
mod training_state;

use std::sync::atomic::{AtomicBool, Ordering};

use tandem_collective::ProcessGroup;
use tandem_domain::spec::{Dataset, JobSpec};
use tch::{Device, Kind, Tensor};

use crate::artifact::{self, Card};
use crate::checkpoint::{self, CheckpointKind, Saved};
use crate::data::{self, Data};
use crate::encoder::Model;
use crate::failure::Failure;
use crate::files::sha256;
use crate::progress;
use crate::report::{Event, Report};
use crate::task::{CheckpointRef, Task};

/// Classes that a log names; of a hundred nobody reads more.
const CLASSES_NAMED: usize = 10;

/// What a stage runs with: the task, the other ranks, the device, and how to report and to notice a stop.
pub(crate) struct RankContext<'a> {
    pub task: &'a Task,
    pub group: &'a ProcessGroup,
    pub device: Device,
    report: &'a mut dyn Report,
    stop: &'a AtomicBool,
    /// One note that files cannot be removed is enough.
    not_removed_noted: bool,
}

impl<'a> RankContext<'a> {
    pub(crate) fn new(
        task: &'a Task,
        group: &'a ProcessGroup,
        device: Device,
        report: &'a mut dyn Report,
        stop: &'a AtomicBool,
    ) -> Self {
        Self { task, group, device, report, stop, not_removed_noted: false }
    }

    /// Rank 0 alone writes files and reports what is the same on all ranks.
    pub(crate) fn is_rank_zero(&self) -> bool {
        self.group.rank() == 0
    }

    pub(crate) fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a replay ends after this step.
    pub(crate) fn replay_ends(&self, step: u64) -> bool {
        self.task.replay.as_ref().is_some_and(|replay| replay.until_step == step)
    }

    /// See [`Report::committed`].
    pub(crate) fn committed(&self) -> Option<u64> {
        self.report.committed()
    }

    /// Reports what this rank does now; every rank does so.
    pub(crate) fn phase(&mut self, name: &str, first_step: u64) {
        progress::wait_done();
        self.report.event(Event::Phase { name: name.into(), first_step });
    }

    /// Reports an event that is the same on all ranks, once.
    pub(crate) fn emit(&mut self, event: Event) {
        if self.is_rank_zero() {
            self.report.event(event);
        }
    }

    /// Of `(done, all)` steps and epochs.
    pub(crate) fn progress(
        &mut self,
        steps: (u64, u64),
        epochs: (u32, u32),
        images_per_second: f64,
        seconds_left: f64,
    ) {
        let ((step, steps), (epoch, epochs)) = (steps, epochs);
        self.emit(Event::Progress { step, steps, epoch, epochs, images_per_second, seconds_left });
    }

    /// A line for the log, once.
    pub(crate) fn log(&mut self, line: String) {
        self.emit(Event::Log { line });
    }

    pub(crate) fn metric(&mut self, name: &str, step: u64, value: f64) {
        self.emit(Event::Metric { name: name.into(), step, value });
    }

    pub(crate) fn result(&mut self, name: &str, value: f64) {
        self.emit(Event::Result { name: name.into(), value });
    }

    pub(crate) fn note(&mut self, kind: &str, message: String) {
        self.emit(Event::Note { kind: kind.into(), message });
    }

    /// On rank 0, what `load` makes of the newest checkpoint that it accepts. Notes which ones were skipped.
    pub(crate) fn newest_checkpoint<T>(
        &mut self,
        kind: &CheckpointKind,
        load: impl Fn(&CheckpointRef) -> Result<T, String>,
    ) -> Option<T> {
        if !self.is_rank_zero() {
            return None;
        }
        let (found, skipped) = checkpoint::newest(kind, &self.task.checkpoints, load);
        skipped.into_iter().for_each(|message| self.note("checkpoint_skipped", message));
        found
    }

    /// Reports a checkpoint that is on disk.
    pub(crate) fn checkpoint(&mut self, step: u64, saved: Saved) {
        let Saved { path, sha256, state_sha256, bytes, not_removed } = saved;
        self.emit(Event::Checkpoint { step, path, sha256, bytes, state_sha256 });
        if !not_removed.is_empty() && !self.not_removed_noted {
            self.not_removed_noted = true;
            self.note("checkpoint_not_removed", format!("older checkpoints stay on disk: {}", not_removed.join("; ")));
        }
    }

    /// Identifies this job: a checkpoint of another one is not loaded.
    pub(crate) fn spec_sha256(&self) -> Result<String, Failure> {
        Ok(sha256(&self.spec_json()?))
    }

    pub(crate) fn spec_json(&self) -> Result<Vec<u8>, Failure> {
        let json = serde_json::to_vec(&self.task.spec);
        json.map_err(|error| Failure::Unknown(format!("cannot encode the spec: {error}")))
    }

    /// The pretrained encoder that this job starts from, its card and its file's SHA-256.
    pub(crate) fn encoder(&self) -> Result<(Model, Card, String), Failure> {
        let stage = self.task.spec.stage.name();
        let input = self.task.inputs.iter().find(|input| input.kind == "encoder").ok_or_else(|| {
            Failure::Job(format!("a {stage} job needs the encoder of a contrastive job in `from`, and got none"))
        })?;
        let (model, card) = artifact::load_encoder(input, self.device)?;
        Ok((model, card, input.sha256.clone()))
    }

    /// Loads the task's images and fails if ranks hold different ones.
    pub(crate) fn load_data(&mut self) -> Result<Data, Failure> {
        self.phase("data", 0);
        let task = self.task;
        let spec = &task.spec;
        let data = data::load(&spec.dataset, task.folders(), spec.seed, self.device)?;
        if !task.images.is_empty() && task.images != data.sha256 {
            return Err(Failure::InputMissing(format!(
                "{} in {} has other images than the job was submitted with (checksum {}, here {}): put those back, or submit \
                 again",
                spec.dataset,
                task.folders().shown(&spec.dataset),
                task.images,
                data.sha256
            )));
        }
        if self.is_rank_zero() && spec.dataset != Dataset::Shapes {
            self.emit(Event::Images { sha256: data.sha256.clone() });
        }
        self.log(described(spec, task, &data));
        data.left_out.iter().for_each(|sentence| self.note("left_out", sentence.clone()));
        data.squeezed.iter().for_each(|sentence| self.note("squeezed", sentence.clone()));
        let checksums = Tensor::from_slice(&[checksum_bits(&data.train.checksum), checksum_bits(&data.test.checksum)]);
        progress::work_done();
        let all = self.group.all_gather(&checksums.view([1, 2]).to_device(self.device))?;
        progress::wait_done();
        if bool::try_from(all.eq_tensor(&all.narrow(0, 0, 1)).all()).unwrap_or(false) {
            return Ok(data);
        }
        Err(Failure::InputMissing(format!(
            "the workers hold different images for {} (training images here: {}, in {}): make their data folders equal",
            spec.dataset,
            data.train.checksum,
            self.task.folders().shown(&spec.dataset)
        )))
    }

    /// Notes if the `kind` that this job starts from was trained on other images, whose checksum is `trained`.
    pub(crate) fn note_other_images(&mut self, kind: &str, trained: &str, data: &Data) {
        let dataset = &self.task.spec.dataset;
        // Each seed has shapes of its own.
        if *dataset != Dataset::Shapes && trained != data.train.checksum {
            let why = format!(
                "the {kind} was trained on other images of {dataset} than are here now; submit with --fresh to train it again"
            );
            self.note("other_images", why);
        }
    }
}

/// `cifar10 in /data: 50000 images to train on and 10000 to test on, in 10 classes (airplane, automobile, ..), checksum 1f2e3d4c`.
fn described(spec: &JobSpec, task: &Task, data: &Data) -> String {
    let Data { train, test, classes, sha256, .. } = data;
    let mut named: Vec<&str> = classes.iter().map(String::as_str).take(CLASSES_NAMED).collect();
    if classes.len() > CLASSES_NAMED {
        named.push("..");
    }
    let place = match &spec.dataset {
        Dataset::Shapes => "made here".to_owned(),
        dataset => format!("in {}", task.folders().shown(dataset)),
    };
    format!(
        "{} {place}: {} images to train on and {} to test on, in {} classes ({}), checksum {}",
        spec.dataset,
        train.len(),
        test.len(),
        classes.len(),
        named.join(", "),
        sha256.get(..8).unwrap_or(sha256)
    )
}

/// The first 63 bits of a checksum in hex, for ranks to compare.
fn checksum_bits(hex: &str) -> i64 {
    hex.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).map_or(0, |bits| (bits >> 1) as i64)
}

/// The labels of these images, i64 `[samples]`, on their device.
pub(crate) fn labels(images: &data::Images, samples: &[i64]) -> Tensor {
    let labels: Vec<i64> = samples.iter().map(|&id| images.labels[id as usize]).collect();
    Tensor::from_slice(&labels).to_kind(Kind::Int64).to_device(images.pixels.device())
}
