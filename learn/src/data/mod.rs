//! The images that a job trains on, resident on its device as bytes.
//!
//! Every data set has the same form: 32x32 RGB, one byte a value, channel planes first. CIFAR-10 is 184 MB that way, so
//! it stays on the device for the whole job and a batch is one gather. `images` holds them, `cifar` and `folder` read
//! files, `shapes` draws synthetic images, `split` chooses which images a job sees, and in which order.

mod cifar;
mod error;
mod folder;
mod images;
mod shapes;
mod split;

use std::path::Path;

use tandem_domain::spec::Dataset;
use tch::Device;

pub use error::DataError;
pub use images::{IMAGE, Images, PLANE, SIDE};
pub use shapes::{SHAPES_TEST, SHAPES_TRAIN};
pub use split::{balanced_subset, epoch_order, hold_out};

/// A data set on its device.
#[derive(Debug)]
pub struct Data {
    pub train: Images,
    pub test: Images,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
}

/// Reads `dataset` below `dir` (the data folder), or draws it from `seed` if it is synthetic.
pub fn load(dataset: &Dataset, dir: &Path, seed: u64, device: Device) -> Result<Data, DataError> {
    let raw = match dataset {
        Dataset::Cifar10 => cifar::read(cifar::TEN, dir)?,
        Dataset::Cifar100 => cifar::read(cifar::HUNDRED, dir)?,
        Dataset::Shapes => shapes::draw(seed),
        Dataset::Folder(name) => folder::read(&dir.join(name))?,
    };
    Ok(Data {
        train: Images::new(&raw.train.pixels, raw.train.labels, device)?,
        test: Images::new(&raw.test.pixels, raw.test.labels, device)?,
        classes: raw.classes,
    })
}
