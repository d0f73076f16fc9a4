use super::fenced::CheckpointKind;
use crate::task::CheckpointRef;

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
