//! A training run at one step, on disk: `step-00000120-f17/` with `state.safetensors` and `manifest.json`, 17 being the
//! fence of the attempt that wrote it. Nothing in the files depends on the attempt.
//!
//! Written beside, forced to disk, renamed, so that a folder of that name is always whole. The manifest holds the sha256
//! of the state, and the row that the coordinator keeps holds the sha256 of the manifest: one chain from the database to
//! the bytes, checked before anything is loaded. Randomness needs no state (see `random`), so that is all there is.

pub(crate) mod fenced;
mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use fenced::Claim;
pub use read::newest;
pub use write::{Saved, save};

use crate::flat::FlatTensors;

/// Version of the folder's contents.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.safetensors";

/// The tensors of a training run, each vector with what begins its names in the file: "parameters.".
pub struct State<'a>(pub Vec<(&'static str, &'a FlatTensors)>);

/// How far the run is, and the figures of it that are still to be reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Updates done.
    pub step: u64,
    /// Over this epoch's steps so far.
    pub loss_sum: f64,
    pub loss_count: u64,
    /// Mean loss of the last whole epoch.
    pub epoch_loss: Option<f64>,
    pub knn_accuracy: Option<f64>,
    /// Training images of this epoch so far that a classifier was right about.
    #[serde(default)]
    pub hits: u64,
    #[serde(default)]
    pub best: Option<Best>,
    /// Training time over all attempts.
    pub seconds: f64,
    /// Of it, what training stood still for so that the run could be kept.
    #[serde(default)]
    pub stall_seconds: f64,
}

/// The look at held-out images that found most of them classified rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    /// Updates done then.
    pub step: u64,
    pub hits: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// Of the job's spec as JSON: a checkpoint continues one experiment and no other.
    spec_sha256: String,
    position: Position,
    files: Vec<ManifestFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ManifestFile {
    name: String,
    sha256: String,
    bytes: u64,
}

#[cfg(test)]
mod tests;
