//! Checkpoints of a job: which one a run goes on from, how one is written, and which older ones are removed.
//!
//! A checkpoint is a file or a folder whose name holds the step and the fence of the attempt that wrote it; nothing in it
//! depends on the attempt. It is written beside, forced to disk and renamed, so that what has its final name is whole. The
//! coordinator's row holds a SHA-256 that is checked before anything is loaded.
//!
//! Stages supply what is in a checkpoint: `stage::training_state` a folder of weights, `stage::attack::resume` a table of
//! attacked images. Randomness needs no state (see [`crate::random`]).

mod fenced;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::files::{At, sync_folder};
use crate::task::CheckpointRef;
use fenced::CheckpointName;
pub(crate) use fenced::{CheckpointKind, PruneScope};

/// What `load` makes of the first of `candidates` (newest first) that it accepts; `None` if it accepts none. Also says why
/// each candidate before that one was skipped.
pub(crate) fn newest<T>(
    kind: &CheckpointKind,
    candidates: &[CheckpointRef],
    load: impl Fn(&CheckpointRef) -> Result<T, String>,
) -> (Option<T>, Vec<String>) {
    let (unit, mut skipped) = (kind.unit, Vec::new());
    let found = candidates.iter().find_map(|candidate| {
        let step = candidate.step;
        let loaded = load(candidate).map(|loaded| (step, loaded));
        loaded.map_err(|why| skipped.push(format!("checkpoint of {unit} {step} skipped: {why}"))).ok()
    });
    let next = match &found {
        Some((step, _)) => format!("going on from {unit} {step}"),
        None => "starting from the beginning".to_owned(),
    };
    (found.map(|(_, loaded)| loaded), skipped.into_iter().map(|note| format!("{note}; {next}")).collect())
}

/// What a stage has written and forced to disk, before it is renamed.
pub(crate) struct Written {
    /// Proves the whole checkpoint: of its file, or of the manifest that holds those of its files.
    pub(crate) sha256: String,
    /// Of the state alone, without the times that are kept with it: equal runs have the same.
    pub(crate) state_sha256: String,
    /// Of all files together.
    pub(crate) bytes: u64,
}

/// A checkpoint that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) path: PathBuf,
    /// See [`Written::sha256`].
    pub(crate) sha256: String,
    /// See [`Written::state_sha256`].
    pub(crate) state_sha256: String,
    pub(crate) bytes: u64,
    /// Why older files are still there although they should be gone. That harms nobody but the disk.
    pub(crate) not_removed: Vec<String>,
}

/// Saves the checkpoint of `step` in `job_dir`: `write` writes it whole and durably under the path that it is given, which
/// is then renamed. Afterwards removes what is surplus ([`PruneScope::surplus`]) and what interrupted saves left behind.
///
/// # Errors
/// What `write` returns, or that the checkpoint could not be renamed into place. Never that something could not be removed.
pub(crate) fn save(
    kind: &CheckpointKind,
    job_dir: &Path,
    scope: &PruneScope,
    step: u64,
    write: impl FnOnce(&Path) -> Result<Written, Failure>,
) -> Result<Saved, Failure> {
    let name = CheckpointName { step, fence: scope.fence };
    let [unfinished, path] = [kind.unfinished, kind.finished].map(|affixes| job_dir.join(name.file_name(affixes)));
    fs::create_dir_all(job_dir).at("create folder", job_dir)?;
    let _ = (kind.remove)(&unfinished);
    let written = write(&unfinished).and_then(|written| {
        if path.is_dir() {
            // Only an attempt without a coordinator comes back to a step under the same fence. A rename replaces no folder,
            // so the old one is set aside, under an unfinished name that may be pruned.
            let aside = job_dir.join(CheckpointName { step, fence: 0 }.file_name(kind.unfinished));
            let _ = (kind.remove)(&aside);
            fs::rename(&path, &aside).at("set aside", &path)?;
        }
        fs::rename(&unfinished, &path).at("rename into place", &path)?;
        sync_folder(job_dir)?;
        Ok(written)
    });
    let Written { sha256, state_sha256, bytes } = written.inspect_err(|_| drop((kind.remove)(&unfinished)))?;
    Ok(Saved { path, sha256, state_sha256, bytes, not_removed: prune(kind, job_dir, scope, step) })
}

/// Returns why something could not be removed.
fn prune(kind: &CheckpointKind, job_dir: &Path, scope: &PruneScope, step: u64) -> Vec<String> {
    let entries = match fs::read_dir(job_dir).at("list", job_dir) {
        Ok(entries) => entries,
        Err(error) => return vec![error.to_string()],
    };
    let (mut finished, mut surplus) = (Vec::new(), Vec::new());
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        if let Some(parsed) = CheckpointName::parse(&name, kind.finished) {
            finished.push((parsed, name));
        } else if CheckpointName::parse(&name, kind.unfinished).is_some_and(|parsed| parsed.fence <= scope.fence) {
            surplus.push(name);
        }
    }
    surplus.extend(scope.surplus(step, finished));
    let not_removed = surplus.iter().filter_map(|name| {
        let path = job_dir.join(name);
        (kind.remove)(&path).at("remove", &path).err().filter(|error| error.source.kind() != ErrorKind::NotFound)
    });
    not_removed.map(|error| error.to_string()).collect()
}
