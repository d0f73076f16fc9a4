//! A training step whose bits depend on the number of logical shards and on nothing else.
//!
//! A batch is cut into equal parts by position. Each shard has BatchNorm statistics of its own, over all views of its
//! images; a rank runs a contiguous block of shards one after the other. What must be the same everywhere is computed
//! from all shards' outputs on every rank alike; what is summed over shards (gradients, statistics, the wish to stop) is
//! summed once, along the fixed tree of `tandem_collective::tree_sum`. So the weights after a step are the same bits on
//! 1, 2 or 4 ranks, and all ranks stop at the same step.
//!
//! `forward` is a forward pass of all ranks. The penalties of eqs.
//! (2), (3) and (5) are differentiated in `exact` and `finite`; `shard_gradient` is what is summed in the end.

mod backward;
mod context;
mod exact;
mod finite;
mod forward;
mod partition;
mod rows;
mod shard_gradient;
mod step;

pub use partition::Shards;
pub use step::{Step, step};

#[cfg(test)]
mod tests;
