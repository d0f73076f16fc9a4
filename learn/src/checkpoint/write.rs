//! Saving: atomic, durable, under a name of this attempt alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::fenced::{Claim, Mark};
use super::{FORMAT, MANIFEST, Manifest, ManifestFile, Position, STATE, State};
use crate::failure::Failure;
use crate::files::{At, FileError, Writing, sha256, sync_folder, write_synced};
use crate::weights::Encoding;

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
    /// Why older files are still there although they should be gone. That harms nobody but the disk.
    pub not_removed: Vec<String>,
}

/// Writes `job_dir/step-XXXXXXXX-fN/`, then removes what is surplus now ([`Claim::surplus`]) and what an interrupted save
/// left behind. `written` is called as bytes reach the disk.
pub fn save(
    job_dir: &Path,
    claim: &Claim,
    spec_sha256: &str,
    position: Position,
    state: &State<'_>,
    written: impl Fn(),
) -> Result<Saved, Failure> {
    let mark = Mark { step: position.step, fence: claim.fence };
    let path = job_dir.join(mark.name(PREFIX, ""));
    let beside = job_dir.join(mark.name(UNFINISHED, ""));
    let folder = Folder { job_dir, beside: &beside, path: &path };
    let saved = folder.write(spec_sha256, position, state, &written);
    let (sha256, bytes) = saved.inspect_err(|_| drop(fs::remove_dir_all(&beside)))?;
    Ok(Saved { path, sha256, bytes, not_removed: prune(job_dir, claim, position.step) })
}

struct Folder<'a> {
    job_dir: &'a Path,
    beside: &'a Path,
    path: &'a Path,
}

impl Folder<'_> {
    /// The manifest's SHA-256, and the bytes of all files.
    fn write(
        &self,
        spec_sha256: &str,
        position: Position,
        state: &State<'_>,
        written: &dyn Fn(),
    ) -> Result<(String, u64), Failure> {
        let Self { job_dir, beside, path } = self;
        fs::create_dir_all(job_dir).at("create folder", job_dir)?;
        remove(beside)?;
        fs::create_dir(beside).at("create folder", beside)?;
        let file = write_state(&beside.join(STATE), state, position.step, written)?;
        let bytes = file.bytes;
        let manifest = Manifest { format: FORMAT, spec_sha256: spec_sha256.into(), position, files: vec![file] };
        let manifest = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Failure::Job(format!("cannot encode a checkpoint's manifest: {error}")))?;
        write_synced(&beside.join(MANIFEST), &manifest)?;
        sync_folder(beside)?;
        // Only without a coordinator does an attempt come back to a step under the same fence.
        remove(path)?;
        fs::rename(beside, path).at("rename into place", path)?;
        sync_folder(job_dir)?;
        Ok((sha256(&manifest), bytes + manifest.len() as u64))
    }
}

/// Tensor by tensor, so that the state is in memory no second time. Refuses to keep what no run can go on from: an update
/// may overflow although its gradient is finite.
fn write_state(path: &Path, state: &State<'_>, step: u64, written: &dyn Fn()) -> Result<ManifestFile, Failure> {
    let encoding =
        Encoding::new(&state.0, "").map_err(|error| Failure::Job(format!("cannot encode a checkpoint: {error}")))?;
    let mut file = Writing::create(path)?;
    file.push(encoding.header())?;
    for bytes in encoding.tensors() {
        if !bytes.as_chunks::<4>().0.iter().all(|value| f32::from_le_bytes(*value).is_finite()) {
            return Err(Failure::Job(format!(
                "a weight or a moment is not finite after step {step}: most often the learning rate is too high; lower \
                 optimizer.lr or lengthen optimizer.warmup_epochs. The checkpoints before it are kept"
            )));
        }
        file.push(&bytes)?;
        written();
    }
    let (sha256, bytes) = file.finish()?;
    Ok(ManifestFile { name: STATE.into(), sha256, bytes })
}

/// Returns why something could not be removed.
fn prune(job_dir: &Path, claim: &Claim, step: u64) -> Vec<String> {
    let entries = match fs::read_dir(job_dir).at("list", job_dir) {
        Ok(entries) => entries,
        Err(error) => return vec![error.to_string()],
    };
    let (mut finished, mut surplus) = (Vec::new(), Vec::new());
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        if let Some(mark) = Mark::parse(&name, PREFIX, "") {
            finished.push((mark, name));
        } else if Mark::parse(&name, UNFINISHED, "").is_some_and(|mark| mark.fence <= claim.fence) {
            surplus.push(name);
        }
    }
    surplus.extend(claim.surplus(step, finished));
    let errors = surplus.iter().filter_map(|name| remove(&job_dir.join(name)).err());
    errors.map(|error| error.to_string()).collect()
}

fn remove(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.at("remove", folder),
    }
}
