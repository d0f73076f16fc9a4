//! The images that a job trains on, resident on its device as bytes.
//!
//! Every data set has the same form: 32x32 RGB, one byte a value, channel planes first. CIFAR-10 is 184 MB that way, so
//! it stays on the device for the whole job and a batch is one gather. `images` holds them; `cifar` and `folders` (by the crate
//! `tandem-images`) read files, `shapes` draws synthetic images, `raw` picks one of the three; `split` and `draw` choose
//! which images a job sees, and in which order. `facts` is what a worker can say of a data set,
//! and `survey` of all that it has.

mod cifar;
mod draw;
mod error;
mod facts;
mod folders;
mod images;
mod raw;
mod shapes;
mod split;
mod survey;

use tandem_domain::spec::Dataset;
use tandem_images::sha256;
use tch::Device;

pub use draw::draw;
pub use error::DataError;
pub use facts::facts;
pub use folders::Folders;
pub use images::Images;
pub use shapes::{SHAPES_TEST, SHAPES_TRAIN};
pub use split::{balanced_subset, epoch_order, hold_out, hold_out_images};
pub use survey::survey;
pub use tandem_images::{Blame, Facts, IMAGE, PLANE, SIDE};

/// A data set on its device.
#[derive(Debug)]
pub struct Data {
    pub train: Images,
    pub test: Images,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// As in [`Facts`].
    pub sha256: String,
    /// A sentence for people on files that are no images by their names, if there are any.
    pub left_out: Option<String>,
    /// A sentence for people on images of another aspect than 1:1, if there are any.
    pub squeezed: Option<String>,
}

/// Reads `dataset` from `folders`, or draws it from `seed` if it is synthetic.
pub fn load<'a>(
    dataset: &Dataset,
    folders: impl Into<Folders<'a>>,
    seed: u64,
    device: Device,
) -> Result<Data, DataError> {
    let raw = raw::read(dataset, folders.into(), seed)?;
    let train = Images::new(&raw.train.pixels, raw.train.labels, device)?;
    let test = Images::new(&raw.test.pixels, raw.test.labels, device)?;
    Ok(Data {
        sha256: sha256(&raw.classes, [&train.checksum, &test.checksum]),
        train,
        test,
        classes: raw.classes,
        left_out: raw.left_out,
        squeezed: raw.squeezed,
    })
}
