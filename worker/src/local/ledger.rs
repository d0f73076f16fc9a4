//! What is done of one job: `OUT/JOB/ledger.json`, which is replaced as a whole at every change, and `metrics.jsonl`
//! beside it, with one point a line.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tandem_domain::plan::PlannedJob;
use tandem_learn::{
    files::publish,
    report::Event,
    task::{CheckpointRef, InputFile},
};

const NAME: &str = "ledger.json";
const METRICS: &str = "metrics.jsonl";

pub(super) struct Ledger {
    folder: PathBuf,
    saved: Saved,
    /// Opened with the first point. Points after the last checkpoint of a call are written again by the next call.
    metrics: Option<File>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Saved {
    /// Another key in the same folder means another experiment.
    content_key: String,
    finished: bool,
    results: BTreeMap<String, f64>,
    artifacts: Vec<InputFile>,
    /// Newest first.
    checkpoints: Vec<CheckpointRef>,
}

impl Ledger {
    /// The ledger of this job, whether it has run or not.
    pub(super) fn open(out: &Path, job: &PlannedJob) -> anyhow::Result<Self> {
        let mut ledger = Self::read(out, &job.spec.name)?;
        if ledger.saved.content_key.is_empty() {
            ledger.saved.content_key.clone_from(&job.content_key);
        }
        if ledger.saved.content_key != job.content_key {
            bail!(
                "{} holds a job of this name with other parameters, or of a version whose mathematics give other bits; choose \
                 another --out, or remove that folder",
                ledger.folder.display()
            );
        }
        Ok(ledger)
    }

    /// The ledger as it is on disk; empty if the job has not begun.
    pub(super) fn read(out: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = std::path::absolute(out.join(name))?;
        let path = folder.join(NAME);
        let saved = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Saved::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self { folder, saved, metrics: None })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn is_finished(&self) -> bool {
        self.saved.finished
    }

    pub(super) fn results(&self) -> &BTreeMap<String, f64> {
        &self.saved.results
    }

    pub(super) fn artifacts(&self) -> Vec<InputFile> {
        self.saved.artifacts.clone()
    }

    pub(super) fn checkpoints(&self) -> Vec<CheckpointRef> {
        self.saved.checkpoints.clone()
    }

    /// Records what must outlive the process.
    pub(super) fn record(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Result { name, value } => drop(self.saved.results.insert(name, value)),
            Event::Metric { name, step, value } => {
                let line = serde_json::json!({ "metric": name, "step": step, "value": value });
                writeln!(self.metrics()?, "{line}").with_context(|| format!("cannot write {METRICS}"))?;
            }
            Event::Artifact { kind, path, sha256, .. } => self.saved.artifacts.push(InputFile { kind, path, sha256 }),
            Event::Checkpoint { step, path, sha256, .. } => {
                self.saved.checkpoints.insert(0, CheckpointRef { step, path, sha256 });
                self.save()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn metrics(&mut self) -> anyhow::Result<&mut File> {
        if self.metrics.is_none() {
            std::fs::create_dir_all(&self.folder)?;
            let path = self.folder.join(METRICS);
            let file = OpenOptions::new().create(true).append(true).open(&path);
            self.metrics = Some(file.with_context(|| format!("cannot open {}", path.display()))?);
        }
        self.metrics.as_mut().context("just opened")
    }

    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.saved.finished = true;
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        publish(&self.folder, NAME, &serde_json::to_vec_pretty(&self.saved)?)?;
        Ok(())
    }
}
