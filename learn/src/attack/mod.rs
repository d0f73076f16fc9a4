//! Adversarial examples: how far an image must be moved until the classifier errs.
//!
//! Every attack treats each image as if it were alone: its random draws are keyed by its id, its step sizes are its own,
//! and images that are done leave the batch. A batch, a part of it or a permutation of it therefore gives the same
//! result image by image, up to the rounding of another batch size. Failures are infinite distances, never left out.

mod active;
pub mod apgd;
mod batch;
pub mod best_of;
pub mod curve;
pub mod fab;
pub mod fixed_radius;
pub mod gates;
pub mod loss;
mod noise;
pub mod norm;
pub mod pgd;
pub mod picture;
pub mod plb;
pub mod prox;
pub mod random_start;
mod segment;
pub mod square;
pub mod target;

pub use batch::{Adversarials, Batch, OwnedBatch};
pub use target::Target;

#[cfg(test)]
mod test_targets;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
