//! Weights are the same bits on any number of ranks, and after a stop in the middle.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod classifier;
mod contrastive;
mod paper_code;
mod together;
