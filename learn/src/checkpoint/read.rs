//! Loading: the newest checkpoint that proves whole, from the row in the database down to the bytes.

use std::path::Path;

use super::{FORMAT, MANIFEST, Manifest, Position, STATE, State};
use crate::files::{read, sha256};
use crate::task::CheckpointRef;
use crate::weights;

/// Loads the first of `candidates` (newest first) that verifies into `state`.
///
/// Returns where the run goes on, `None` if no candidate was good (`state` is unchanged then), and why each one before
/// it was skipped.
pub fn newest(candidates: &[CheckpointRef], spec_sha256: &str, state: &State<'_>) -> (Option<Position>, Vec<String>) {
    let mut skipped = Vec::new();
    for candidate in candidates {
        match load(candidate, spec_sha256, state) {
            Ok(position) => return (Some(position), skipped),
            Err(why) => {
                skipped.push(format!(
                    "checkpoint of step {} at {} skipped: {why}",
                    candidate.step,
                    candidate.path.display()
                ));
            }
        }
    }
    (None, skipped)
}

fn load(candidate: &CheckpointRef, spec_sha256: &str, state: &State<'_>) -> Result<Position, String> {
    let manifest = verified(&candidate.path, MANIFEST, &candidate.sha256)?;
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
    let bytes = verified(&candidate.path, STATE, &file.sha256)?;
    weights::decode(&bytes, &state.0).map_err(|error| format!("{STATE}: {error}"))?;
    Ok(manifest.position)
}

fn verified(folder: &Path, name: &str, expected: &str) -> Result<Vec<u8>, String> {
    let bytes = read(&folder.join(name)).map_err(|error| error.to_string())?;
    let found = sha256(&bytes);
    if found == expected {
        return Ok(bytes);
    }
    Err(format!(
        "{name} has {} bytes of sha256 {found}, expected {expected}: it is damaged or was replaced",
        bytes.len()
    ))
}
