//! What a rank reports to its worker: one JSON object a line on stdout. The worker adds fence and sequence number and sends
//! it to the coordinator.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_domain::receipt::Environment;

/// Everything that people or the coordinator learn from a running rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Rank 0 only: where the other ranks reach the rendezvous store.
    Rendezvous {
        host: String,
        port: u16,
    },
    /// What the rank does now: "started", "data", "training", "evaluating"; `first_step` is where a resumed run goes on.
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
    /// A checkpoint is durable: its files were fsynced, it was renamed, and the folder was fsynced.
    Checkpoint {
        step: u64,
        path: PathBuf,
        sha256: String,
        bytes: u64,
        /// Of the state alone: equal runs have the same, and times are not in it.
        #[serde(default)]
        state_sha256: String,
    },
    /// What the rank runs in, as far as it knows: its worker adds device, program and names.
    Environment(Box<Environment>),
    /// Checksum of the images and labels that were loaded from files, for whoever did not know it.
    Images {
        sha256: String,
    },
    /// A file that outlives the job; of kind "encoder", "classifier", "attack", "curve", "adversarial", "embedding" or "picture".
    Artifact {
        kind: String,
        name: String,
        path: PathBuf,
        sha256: String,
        bytes: u64,
    },
    /// A result of the job: "test_accuracy" (of a linear job also "linear_accuracy"), "loss", "knn_accuracy", "seconds".
    Result {
        name: String,
        value: f64,
    },
    /// Something that people should know about the job: a skipped checkpoint, a collapse.
    Note {
        kind: String,
        message: String,
    },
    /// A line for the job's log.
    Log {
        line: String,
    },
    /// Work was done since the last one; the worker does not pass it on. `slowest_ms` is the time of the slowest piece of
    /// work so far, 0 while the rank still loads.
    KeepAlive {
        slowest_ms: u64,
    },
}

/// Where events go: in a rank to stdout, in tests and benches to a Vec.
pub trait Report {
    fn event(&mut self, event: Event);

    /// The newest step of this attempt whose checkpoint the coordinator has committed, 0 before the first. `None` without a
    /// coordinator: a checkpoint counts once it is on disk.
    fn committed(&self) -> Option<u64> {
        None
    }
}

impl<F: FnMut(Event)> Report for F {
    fn event(&mut self, event: Event) {
        self(event);
    }
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Finished,
    /// It was asked to stop. A checkpoint of the last finished step is on disk.
    Stopped,
}
