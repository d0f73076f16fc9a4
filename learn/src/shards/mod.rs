//! A training step whose bits depend on the number of shards and on nothing else.
//!
//! A batch is cut into equal parts by position: the shards. Each shard has BatchNorm statistics of its own, over all
//! views of its images; a rank runs a contiguous block of shards, one after the other. What must be equal everywhere is
//! computed on every rank from the outputs of all shards. What is summed over shards (gradients, statistics, stop
//! flags) is summed once, along the fixed tree of `tandem_collective::tree_sum`. So the weights after a step have the
//! same bits on 1, 2 or 4 ranks, and all ranks stop after the same step.
//!
//! In reading order: `partition` cuts the batch, `step` is the whole step, `context` what its parts know, `forward` its
//! forward and backward pass, `rows` the two orders of outputs; `exact` and `finite` differentiate the
//! penalties of eqs. (2), (3) and (5), and `agreement` compares the two; `shard_gradient` is what is summed in the end.

mod agreement;
mod context;
mod exact;
mod finite;
mod forward;
mod partition;
mod rows;
mod shard_gradient;
mod step;

pub use agreement::penalty_cosine;
pub use partition::Shards;
pub use step::{Step, step};

#[cfg(test)]
mod tests;
