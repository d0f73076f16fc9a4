//! Adversarial examples: how far an image must be moved until the classifier errs.
//!
//! Every attack treats each image as if it were alone: the image's id keys its random draws, its step sizes are its own,
//! and it leaves the batch when it is done. An image therefore gets the same result in any batch and at any place in it, up
//! to the rounding of another batch size. The distance of an attack that failed is infinite; no image is left out.
//!
//! [`Target`] is what is attacked, [`Batch`] the images, `active` those of them that are still under attack. [`pgd`],
//! [`apgd`] and [`square`] search at a [`fixed_radius`]; [`plb`], [`fmn`], [`ddn`] and [`fab`] search for the smallest distance;
//! [`best_of`] picks what the experiment file names. [`curve`] and [`picture`] are made of the result; [`gates`] doubt it.

mod active;
pub mod apgd;
mod ball;
mod batch;
pub mod best_of;
pub mod curve;
pub mod ddn;
pub mod fab;
pub mod fixed_radius;
pub mod fmn;
pub mod gates;
pub mod loss;
mod noise;
pub mod norm;
pub mod pgd;
pub mod picture;
pub mod plb;
pub mod prox;
pub mod square;
pub mod target;

pub use batch::{Adversarials, Batch, OwnedBatch};
pub use target::Target;

#[cfg(test)]
mod nearest_tests;
#[cfg(test)]
mod test_targets;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
