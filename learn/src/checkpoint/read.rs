//! Loading: the newest checkpoint that proves whole, from the row in the database down to the bytes.

use super::{FORMAT, MANIFEST, Manifest, Position, STATE, State};
use crate::files::read_verified;
use crate::task::CheckpointRef;
use crate::weights;

/// Loads the first of `candidates` (newest first) that verifies into `state`.
///
/// Returns where the run goes on, `None` if no candidate was good (`state` is unchanged then), and why each one before
/// it was skipped.
pub fn newest(candidates: &[CheckpointRef], spec_sha256: &str, state: &State<'_>) -> (Option<Position>, Vec<String>) {
    let mut skipped = Vec::new();
    let found = candidates.iter().find_map(|candidate| {
        let loaded = load(candidate, spec_sha256, state);
        loaded.map_err(|why| skipped.push(format!("checkpoint of step {} skipped: {why}", candidate.step))).ok()
    });
    let onward = match &found {
        Some(position) => format!("going on from step {}", position.step),
        None => "starting from the beginning".to_owned(),
    };
    (found, skipped.into_iter().map(|note| format!("{note}; {onward}")).collect())
}

fn load(candidate: &CheckpointRef, spec_sha256: &str, state: &State<'_>) -> Result<Position, String> {
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
    let file = manifest.files.iter().find(|file| file.name == STATE).ok_or(format!("its manifest has no {STATE}"))?;
    let bytes = verified(STATE, &file.sha256, Some(file.bytes))?;
    weights::decode(&bytes, &state.0).map_err(|error| format!("{STATE}: {error}"))?;
    Ok(manifest.position)
}
