//! The task of one rank in one attempt. The worker writes it to the rank's stdin as one JSON line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_collective::PortRange;
use tandem_domain::spec::JobSpec;

use crate::data::Folders;

/// Everything that a rank needs. It holds no way to reach the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub job_id: String,
    pub attempt_id: String,
    /// Of the attempt: the prefix of every key in the rendezvous store and part of the name of every file, so that no attempt
    /// writes where another one does.
    pub fence: i64,
    pub rank: u32,
    pub world_size: u32,
    pub spec: JobSpec,
    /// "cpu" or "cuda:0".
    pub device: String,
    /// Folder that holds `cifar-10-batches-bin/`, image folders, ...
    pub data_dir: PathBuf,
    /// Folder of the store with the data sets that people put there; `None` where there is no coordinator.
    #[serde(default)]
    pub stored_data: Option<PathBuf>,
    /// Folder of this job, for checkpoints (`step-00000120-f17/`) and artifacts (`artifacts/f17/`).
    pub job_dir: PathBuf,
    /// Files that the jobs before this one made, such as the encoder.
    pub inputs: Vec<InputFile>,
    /// Committed checkpoints, newest first.
    pub checkpoints: Vec<CheckpointRef>,
    /// Set of a job that only replays a part of another one, to see whether its bits come again.
    #[serde(default)]
    pub replay: Option<Replay>,
    /// Checksum of the data set that the job was submitted with, as in [`Facts`](crate::data::Facts); empty if not known.
    #[serde(default)]
    pub images: String,
    /// What the file `.tandem-store` in the store holds; empty where there is no coordinator.
    #[serde(default)]
    pub store_id: String,
    /// Interface or address on which ranks reach each other ("127.0.0.1").
    pub host: String,
    /// Ports that it may listen on for them; any if `None`.
    #[serde(default)]
    pub meet_ports: Option<PortRange>,
    /// Name of the profile of timeouts; see `tandem_domain::timing`.
    #[serde(default)]
    pub timing: String,
}

impl Task {
    /// Where this machine has data sets.
    pub fn folders(&self) -> Folders<'_> {
        Folders { data: &self.data_dir, stored: self.stored_data.as_deref() }
    }

    /// Where this attempt writes its artifacts.
    pub fn artifacts_dir(&self) -> PathBuf {
        self.job_dir.join("artifacts").join(format!("f{}", self.fence))
    }
}

/// What a replay ends with: a checkpoint after this step, and the exported model evaluated again. It exports none itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    pub until_step: u64,
    /// The encoder or classifier that the job exported; `None` if it left none.
    pub model: Option<InputFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputFile {
    pub kind: String,
    pub path: PathBuf,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRef {
    pub step: u64,
    pub path: PathBuf,
    pub sha256: String,
}

/// What the worker sends to a rank after its task, one JSON object a line on its stdin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// To ranks other than 0, once: rank 0 listens here.
    Rendezvous { host: String, port: u16 },
    /// To rank 0: the coordinator has stored the row of this checkpoint; older ones may be removed.
    Committed { step: u64 },
}
