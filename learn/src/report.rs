//! What a rank tells its worker, one JSON object a line on stdout. The worker adds fence and sequence and sends it on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything a person or the coordinator can learn from a rank while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Rank 0 only: where the other ranks find the store.
    Rendezvous {
        host: String,
        port: u16,
    },
    /// "started", "data", "training", "evaluating"; `first_step` is where a resumed run goes on.
    Phase {
        name: String,
        first_step: u64,
    },
    Progress {
        step: u64,
        steps: u64,
        epoch: u32,
        epochs: u32,
        images_per_second: f64,
        seconds_left: f64,
    },
    Metric {
        name: String,
        step: u64,
        value: f64,
    },
    /// Durable on disk: files fsynced, renamed, folder fsynced.
    Checkpoint {
        step: u64,
        path: PathBuf,
        sha256: String,
        bytes: u64,
    },
    /// A file that outlives the job: kind is "encoder" or "classifier".
    Artifact {
        kind: String,
        name: String,
        path: PathBuf,
        sha256: String,
        bytes: u64,
    },
    /// A final figure: "test_accuracy" (of a linear job also "linear_accuracy"), "loss", "knn_accuracy", "seconds".
    Result {
        name: String,
        value: f64,
    },
    /// A person should read this beside the job: a skipped checkpoint, a collapse.
    Note {
        kind: String,
        message: String,
    },
    /// Work was done since the last one; the worker does not pass it on. `slowest_ms` is the time of the slowest piece of
    /// work so far, 0 while the rank still loads.
    KeepAlive {
        slowest_ms: u64,
    },
}

/// Where events go. In a rank: stdout; in tests and benches: a Vec.
pub trait Report {
    fn event(&mut self, event: Event);

    /// The newest step of this attempt whose checkpoint is known to be committed, 0 before the first, where somebody
    /// commits; `None`: nobody does, a checkpoint counts once it is on disk.
    fn committed(&self) -> Option<u64> {
        None
    }
}

impl<F: FnMut(Event)> Report for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}

/// How a stage came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Finished,
    /// Asked to stop: a checkpoint of the last finished step is on disk.
    Stopped,
}
