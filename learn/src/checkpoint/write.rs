//! Saving: atomic, durable, and the newest two are kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FORMAT, MANIFEST, Manifest, ManifestFile, Position, STATE, State};
use crate::failure::Failure;
use crate::files::{At, FileError, sha256, sync_folder, write_synced};
use crate::weights;

/// Checkpoints kept of a job. The one before the newest is for the case that the newest is damaged.
const KEPT: usize = 2;
const PREFIX: &str = "step-";
const UNFINISHED: &str = ".unfinished-";

/// A checkpoint that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub path: PathBuf,
    /// Of the manifest, which holds those of the other files.
    pub sha256: String,
    /// Of all files together.
    pub bytes: u64,
}

/// Writes `job_dir/step-XXXXXXXX/`, then removes older checkpoints and what an interrupted save left behind.
pub fn save(job_dir: &Path, spec_sha256: &str, position: Position, state: &State<'_>) -> Result<Saved, Failure> {
    let step = position.step;
    let state =
        weights::encode(&state.0, "").map_err(|error| Failure::Job(format!("cannot encode a checkpoint: {error}")))?;
    let files = vec![ManifestFile { name: STATE.into(), sha256: sha256(&state), bytes: state.len() as u64 }];
    let manifest = Manifest { format: FORMAT, spec_sha256: spec_sha256.into(), position, files };
    let manifest = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Failure::Job(format!("cannot encode a checkpoint's manifest: {error}")))?;

    let path = job_dir.join(format!("{PREFIX}{step:08}"));
    let beside = job_dir.join(format!("{UNFINISHED}{step:08}"));
    let written = write_folder(job_dir, &beside, &path, &[(STATE, &state), (MANIFEST, &manifest)]);
    written.inspect_err(|_| drop(fs::remove_dir_all(&beside)))?;
    prune(job_dir, step)?;
    Ok(Saved { path, sha256: sha256(&manifest), bytes: (state.len() + manifest.len()) as u64 })
}

fn write_folder(job_dir: &Path, beside: &Path, path: &Path, files: &[(&str, &[u8])]) -> Result<(), FileError> {
    fs::create_dir_all(job_dir).at("create folder", job_dir)?;
    remove(beside)?;
    fs::create_dir(beside).at("create folder", beside)?;
    for (name, bytes) in files {
        write_synced(&beside.join(name), bytes)?;
    }
    sync_folder(beside)?;
    // Only an attempt that lost its worker between this rename and the report of it comes back to the same step.
    remove(path)?;
    fs::rename(beside, path).at("rename into place", path)?;
    sync_folder(job_dir)
}

/// Keeps the newest checkpoints up to `step`. Later ones are of a lost attempt that nobody went on from.
fn prune(job_dir: &Path, step: u64) -> Result<(), FileError> {
    let mut finished = Vec::new();
    for entry in fs::read_dir(job_dir).at("list", job_dir)? {
        let path = entry.at("list", job_dir)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(UNFINISHED) {
            remove(&path)?;
        } else if let Some(step) = name.strip_prefix(PREFIX).and_then(|digits| digits.parse::<u64>().ok()) {
            finished.push((step, path));
        }
    }
    finished.sort();
    let later = finished.split_off(finished.partition_point(|(of, _)| *of <= step));
    let old = finished.len().saturating_sub(KEPT);
    finished[..old].iter().chain(&later).try_for_each(|(_, path)| remove(path))
}

fn remove(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.at("remove", folder),
    }
}
