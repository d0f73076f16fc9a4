//! What is done of one job: [`LocalRun`], with its checkpoints, and a file of points beside it.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use tandem_domain::{
    local::{LEDGER, LocalFile, LocalPoint, LocalRun, METRICS},
    plan::PlannedJob,
    receipt::Environment,
};
use tandem_learn::{
    files::publish,
    report::Event,
    task::{CheckpointRef, InputFile},
};

pub(super) struct Ledger {
    folder: PathBuf,
    saved: Saved,
    /// Opened with the first point. Points after the last checkpoint of a call are written again by the next call.
    metrics: Option<File>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Saved {
    #[serde(flatten)]
    run: LocalRun,
    /// Newest first.
    checkpoints: Vec<CheckpointRef>,
}

impl Ledger {
    /// The ledger of this job, whether it has run or not.
    pub(super) fn open(out: &Path, job: &PlannedJob) -> anyhow::Result<Self> {
        let mut ledger = Self::read(out, &job.spec.name)?;
        if ledger.saved.run.content_key.is_empty() {
            ledger.saved.run.content_key.clone_from(&job.content_key);
        }
        if ledger.saved.run.content_key != job.content_key {
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
        let path = folder.join(LEDGER);
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
        self.saved.run.finished
    }

    pub(super) fn results(&self) -> &BTreeMap<String, f64> {
        &self.saved.run.results
    }

    pub(super) fn artifacts(&self) -> Vec<InputFile> {
        let input = |file: &LocalFile| InputFile {
            kind: file.kind.clone(),
            path: file.place(&self.folder),
            sha256: file.sha256.clone(),
        };
        self.saved.run.artifacts.iter().map(input).collect()
    }

    /// A call begins, in this environment.
    pub(super) fn begin(&mut self, environment: Environment) {
        let run = &mut self.saved.run;
        run.began = run.began.or_else(|| Some(Utc::now()));
        run.environment = Some(environment);
    }

    pub(super) fn checkpoints(&self) -> Vec<CheckpointRef> {
        self.saved.checkpoints.clone()
    }

    /// Records what must outlive the process.
    pub(super) fn record(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Result { name, value } => drop(self.saved.run.results.insert(name, value)),
            Event::Metric { name, step, value } => {
                let point = LocalPoint { metric: name, step, value: Some(value).filter(|value| value.is_finite()) };
                let line = serde_json::to_string(&point)?;
                writeln!(self.metrics()?, "{line}").with_context(|| format!("cannot write {METRICS}"))?;
            }
            Event::Images { sha256 } => self.saved.run.images = sha256,
            Event::Artifact { kind, name, path, sha256, .. } => {
                let path = path.strip_prefix(&self.folder).map(Path::to_owned).unwrap_or(path);
                self.saved.run.artifacts.push(LocalFile { kind, name, path, sha256 });
            }
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
            let file = open_at_a_line(&path).with_context(|| format!("cannot open {}", path.display()))?;
            self.metrics = Some(file);
        }
        self.metrics.as_mut().context("just opened")
    }

    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.saved.run.finished = true;
        self.saved.run.ended = Some(Utc::now());
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        publish(&self.folder, LEDGER, &serde_json::to_vec_pretty(&self.saved)?)?;
        Ok(())
    }
}

/// Opens a file of lines for more of them. A call that was killed may have ended within one, which the next must not go on with.
fn open_at_a_line(path: &Path) -> std::io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_is_not_gone_on_with_and_no_line_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS);
        for (before, after) in [("", "b\n"), ("a\n", "a\nb\n"), ("a\n{\"me", "a\n{\"me\nb\n")] {
            std::fs::write(&path, before).unwrap();
            open_at_a_line(&path).unwrap().write_all(b"b\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }
}
