//! Picks the reader of a data set.

use std::path::Path;

use tandem_domain::spec::Dataset;

use super::error::DataError;
use super::images::RawData;
use super::{cifar, folder, shapes};

/// Reads `dataset` below `dir`, or draws it from `seed` if it is synthetic.
pub(super) fn read(dataset: &Dataset, dir: &Path, seed: u64) -> Result<RawData, DataError> {
    match dataset {
        Dataset::Cifar10 => cifar::read(cifar::TEN, dir),
        Dataset::Cifar100 => cifar::read(cifar::HUNDRED, dir),
        Dataset::Shapes => Ok(shapes::draw(seed)),
        Dataset::Folder(name) => folder::read(&dir.join(name)),
    }
}
