//! What `tandem-worker local` keeps of each job of an experiment file, and `tandem import` brings into a house:
//! `OUT/JOB/ledger.json` and `OUT/JOB/metrics.jsonl`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::receipt::Environment;

/// In the folder of a job: a [`LocalRun`] as JSON, replaced as a whole at every change.
pub const LEDGER: &str = "ledger.json";
/// Beside it: a [`LocalPoint`] a line.
pub const METRICS: &str = "metrics.jsonl";

/// Points of one import, of all curves: a hundred jobs with three curves of 20,000 steps.
pub const POINTS_MAX: usize = 6_000_000;
/// Curves of one job.
pub const CURVES_MAX: usize = 1000;

/// What is done of one job. Ledgers from before there was an import lack what has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalRun {
    /// Of spec and inputs, without images. Another key in the same folder means another experiment.
    pub content_key: String,
    pub finished: bool,
    /// Checksum of the images and labels; empty of synthetic ones.
    #[serde(default)]
    pub images: String,
    /// Of the call that ended it.
    #[serde(default)]
    pub environment: Option<Environment>,
    /// When its first call began, by the clock of the machine that ran it.
    #[serde(default)]
    pub began: Option<DateTime<Utc>>,
    #[serde(default)]
    pub ended: Option<DateTime<Utc>>,
    pub results: BTreeMap<String, f64>,
    pub artifacts: Vec<LocalFile>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalFile {
    pub kind: String,
    #[serde(default)]
    pub name: String,
    /// From the job's folder on, so that the folder may be moved to another machine; earlier versions wrote full paths.
    pub path: PathBuf,
    pub sha256: String,
}

impl LocalFile {
    /// Where it is, of a job whose folder is `folder`.
    #[must_use]
    pub fn place(&self, folder: &Path) -> PathBuf {
        folder.join(&self.path)
    }
}

/// One value of a curve. Steps after the last checkpoint of a call are there again of the next call: the last one counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalPoint {
    pub metric: String,
    pub step: u64,
    /// `None`: not finite, which JSON cannot say.
    pub value: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_of_earlier_versions_are_read_and_paths_are_of_the_folder() {
        let earlier = r#"{"content_key": "k", "finished": true, "results": {"loss": 0.5}, "checkpoints": [],
            "artifacts": [{"kind": "encoder", "path": "/out/a/e.safetensors", "sha256": "5"}]}"#;
        let run: LocalRun = serde_json::from_str(earlier).unwrap();
        assert_eq!((run.images.as_str(), run.environment, run.began), ("", None, None));
        assert_eq!(run.artifacts[0].place(Path::new("/moved/a")), Path::new("/out/a/e.safetensors"));
        let file = LocalFile { path: "artifacts/e.safetensors".into(), ..LocalFile::default() };
        assert_eq!(file.place(Path::new("/moved/a")), Path::new("/moved/a/artifacts/e.safetensors"));
    }
}
