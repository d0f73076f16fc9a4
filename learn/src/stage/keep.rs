//! What a training run keeps on disk while it goes on, and how it goes on from there.

use tch::Tensor;

use super::Rank;
use super::health::keepable;
use crate::checkpoint::{self, Best, Position, State};
use crate::failure::Failure;
use crate::report::Event;

/// Where the run goes on. Rank 0 loads the newest good checkpoint into `state` and hands it to the others: no shared
/// folder is needed, and all ranks go on from the same step.
pub(super) fn resume(rank: &mut Rank<'_>, spec_sha256: &str, state: &State<'_>) -> Result<Position, Failure> {
    let mut position = Position::default();
    if rank.leads() {
        let (found, skipped) = checkpoint::newest(&rank.task.checkpoints, spec_sha256, state);
        skipped.into_iter().for_each(|message| rank.note("checkpoint_skipped", message));
        position = found.unwrap_or_default();
    }
    // What all ranks decide by; the other figures of a position are told by rank 0 alone.
    let best = position.best.map_or([-1, -1], |best| [best.step as i64, best.hits as i64]);
    let shared = Tensor::from_slice(&[position.step as i64, best[0], best[1]]).to_device(rank.device);
    rank.group.broadcast(&shared, 0)?;
    let number = |i: i64| u64::try_from(shared.int64_value(&[i])).ok();
    position.step = number(0).unwrap_or_default();
    position.best = number(1).zip(number(2)).map(|(step, hits)| Best { step, hits });
    for (_, flat) in &state.0 {
        rank.group.broadcast(flat.vector(), 0)?;
    }
    Ok(position)
}

/// Rank 0 saves the run as it is; no rank goes on from what is not finite.
pub(super) fn checkpoint(
    rank: &mut Rank<'_>,
    spec_sha256: &str,
    position: Position,
    state: &State<'_>,
) -> Result<(), Failure> {
    keepable(state, position.step)?;
    if rank.leads() {
        let saved = checkpoint::save(&rank.task.job_dir, spec_sha256, position, state)?;
        let (path, sha256, bytes) = (saved.path, saved.sha256, saved.bytes);
        rank.tell(Event::Checkpoint { step: position.step, path, sha256, bytes });
    }
    Ok(())
}
