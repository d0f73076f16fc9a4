//! Checkpoints of a job: which one a run goes on from, how one is written, and which older ones are removed.
//!
//! A checkpoint is a file or a folder whose name holds the step and the fence of the attempt that wrote it; nothing in it
//! depends on the attempt. It is written beside, forced to disk and renamed, so that what has its final name is whole. The
//! coordinator's row holds a SHA-256 that is checked before anything is loaded.
//!
//! Stages supply what is in a checkpoint: `stage::training_state` a folder of weights, `stage::attack::resume` a table of
//! attacked images. Randomness needs no state (see [`crate::random`]).

mod fenced;
mod newest;
mod save;

pub(crate) use fenced::{CheckpointKind, PruneScope};
pub(crate) use newest::newest;
pub(crate) use save::{Saved, Written, save};
