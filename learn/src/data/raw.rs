//! Picks the reader of a data set.

use tandem_domain::spec::Dataset;
use tandem_images::{RawData, decode};

use super::error::DataError;
use super::folders::Folders;
use super::{cifar, shapes};
use crate::progress;

/// Reads `dataset`, or draws it from `seed` if it is synthetic.
pub(super) fn read(dataset: &Dataset, folders: Folders<'_>, seed: u64) -> Result<RawData, DataError> {
    match dataset {
        Dataset::Cifar10 => cifar::read(cifar::TEN, folders.data),
        Dataset::Cifar100 => cifar::read(cifar::HUNDRED, folders.data),
        Dataset::Shapes => Ok(shapes::draw(seed)),
        Dataset::Folder(name) => Ok(decode(folders.place(name)?.list()?, &progress::work_done)?),
    }
}
