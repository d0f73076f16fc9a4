//! What a training run keeps in a checkpoint: the folder `step-00000120-f17/` with `state.safetensors`, the tensors, and
//! `manifest.json`, how far the run is. The manifest holds the SHA-256 of the state, and the coordinator's row holds that of
//! the manifest, so that all bytes are proved from the database down.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointKind, Written};
use crate::failure::Failure;
use crate::files::{At, Writing, read_verified, sha256, sync_folder, write_synced};
use crate::flat::FlatTensors;
use crate::task::CheckpointRef;
use crate::weights::{self, Encoding};

pub(super) const TRAINING: CheckpointKind = CheckpointKind {
    finished: ("step-", ""),
    unfinished: (".unfinished-", ""),
    unit: "step",
    remove: |path| fs::remove_dir_all(path),
};

/// Version of the folder's contents.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.safetensors";

/// How far the run is, and figures that are reported later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Updates done.
    pub(super) step: u64,
    /// Over this epoch's steps so far.
    pub(super) loss_sum: f64,
    pub(super) loss_count: u64,
    /// Mean loss of the last whole epoch.
    pub(super) epoch_loss: Option<f64>,
    pub(super) knn_accuracy: Option<f64>,
    /// Of a classifier: training images of this epoch so far that it classified rightly.
    #[serde(default)]
    pub(super) hits: u64,
    #[serde(default)]
    pub(super) best: Option<Best>,
    /// Of pretraining that holds images out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lowest: Option<Lowest>,
    /// Training time over all attempts.
    pub(super) seconds: f64,
    /// Of it, the time in which training stood still for a checkpoint.
    #[serde(default)]
    pub(super) stall_seconds: f64,
}

/// The validation in which most of the held-out images were classified rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Best {
    /// Updates done at that time.
    pub(super) step: u64,
    pub(super) hits: u64,
}

/// The end of an epoch at which the loss on the held-out images was lowest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lowest {
    /// Updates done at that time.
    pub(super) step: u64,
    pub(super) loss: f64,
}

/// What a training belongs to: its checkpoints continue this and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) spec_sha256: String,
    /// Checksum of the training images.
    pub(super) images: String,
}

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Loaded {
    pub(super) position: Position,
    /// Checksum of the images that it was trained on, if it is known.
    pub(super) images: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// Of the job's spec as JSON: a checkpoint continues one job and no other.
    spec_sha256: String,
    /// Checksum of the training images. Earlier versions did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    images: Option<String>,
    position: Position,
    files: Vec<ManifestFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ManifestFile {
    name: String,
    sha256: String,
    bytes: u64,
}

/// The tensors of a training run: each vector with the prefix of its names in the file, such as "parameters.".
pub(super) struct TrainingState<'a>(pub(super) Vec<(&'static str, &'a FlatTensors)>);

impl TrainingState<'_> {
    /// Takes over the tensors of `candidate`, if it is whole and of this job; else they are unchanged.
    pub(super) fn load(&self, candidate: &CheckpointRef, spec_sha256: &str) -> Result<Loaded, String> {
        let verified = |name: &str, sha256: &str, bytes| {
            let folder = candidate.path.file_name().unwrap_or_default().to_string_lossy();
            read_verified(&candidate.path.join(name), &format!("{folder}/{name}"), sha256, bytes)
        };
        let manifest = verified(MANIFEST, &candidate.sha256, None)?;
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| format!("{MANIFEST}: {error}"))?;
        if manifest.format != FORMAT {
            return Err(format!("its format is {}, this version reads {FORMAT}", manifest.format));
        }
        if manifest.spec_sha256 != spec_sha256 {
            return Err("it belongs to another experiment".into());
        }
        if manifest.position.step != candidate.step {
            return Err(format!("it is of step {}", manifest.position.step));
        }
        let file = manifest.files.iter().find(|file| file.name == STATE);
        let file = file.ok_or(format!("its manifest has no {STATE}"))?;
        let bytes = verified(STATE, &file.sha256, Some(file.bytes))?;
        weights::decode(&bytes, &self.0).map_err(|error| format!("{STATE}: {error}"))?;
        Ok(Loaded { position: manifest.position, images: manifest.images })
    }

    /// Writes both files into the new `folder`. Calls `written` as bytes reach the disk.
    pub(super) fn write(
        &self,
        folder: &Path,
        origin: &Origin,
        position: Position,
        written: impl Fn(),
    ) -> Result<Written, Failure> {
        fs::create_dir_all(folder).at("create folder", folder)?;
        let file = self.write_tensors(&folder.join(STATE), position.step, written)?;
        let (bytes, state_sha256) = (file.bytes, file.sha256.clone());
        let Origin { spec_sha256, images } = origin.clone();
        let manifest = Manifest { format: FORMAT, spec_sha256, images: Some(images), position, files: vec![file] };
        let manifest = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Failure::Unknown(format!("cannot encode a checkpoint's manifest: {error}")))?;
        write_synced(&folder.join(MANIFEST), &manifest)?;
        sync_folder(folder)?;
        Ok(Written { sha256: sha256(&manifest), state_sha256, bytes: bytes + manifest.len() as u64 })
    }

    /// Tensor by tensor: there is no second copy of the state in memory. Refuses a state that no run can go on from; an
    /// update may overflow although its gradient is finite.
    fn write_tensors(&self, path: &Path, step: u64, written: impl Fn()) -> Result<ManifestFile, Failure> {
        let encoding = Encoding::new(&self.0, "")
            .map_err(|error| Failure::Unknown(format!("cannot encode a checkpoint: {error}")))?;
        let mut file = Writing::create(path)?;
        file.push(encoding.header())?;
        for bytes in encoding.tensors() {
            if !bytes.as_chunks::<4>().0.iter().all(|value| f32::from_le_bytes(*value).is_finite()) {
                return Err(Failure::Job(format!(
                    "a weight or a moment is not finite after step {step}: most often the learning rate is too high; \
                     lower optimizer.lr or lengthen optimizer.warmup_epochs. The checkpoints before it are kept"
                )));
            }
            file.push(&bytes)?;
            written();
        }
        let (sha256, bytes) = file.finish()?;
        Ok(ManifestFile { name: STATE.into(), sha256, bytes })
    }
}

#[cfg(test)]
mod tests;
