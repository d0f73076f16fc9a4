//! What runs with several seeds say together, and whether two models differ on the same images.
//!
//! [`summary()`] has mean, spread and confidence interval of one configuration, [`difference()`] compares two of them, and
//! [`paired()`] two classifiers image by image. The distributions are those of `statrs`.

mod difference;
mod paired;
mod sample;

pub use difference::{Difference, difference};
pub use paired::{Paired, paired};
pub use sample::{CONFIDENCE, Interval, Summary, summary};

#[cfg(test)]
mod tests;
