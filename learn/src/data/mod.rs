//! Images a job trains on, resident on its device as bytes.
//!
//! Every data set becomes the same thing: 32x32 RGB, one byte a value, channel planes first. CIFAR-10 is 184 MB that
//! way, so it stays on the device for the whole job and a batch is one gather. `cifar` and `folder` read files,
//! `shapes` draws its own, `split` decides which images a job may see and in which order.

mod cifar;
mod error;
mod folder;
mod shapes;
mod split;

use std::path::Path;

use tandem_domain::spec::Dataset;
use tch::{Device, Tensor};

pub use error::DataError;
pub use shapes::{SHAPES_TEST, SHAPES_TRAIN};
pub use split::{balanced_subset, epoch_order, hold_out};

/// Rows and columns of every image.
pub const SIDE: usize = 32;
/// Pixels of one channel plane.
pub const PLANE: usize = SIDE * SIDE;
/// Bytes of one image: red, green and blue plane, each row by row.
pub const IMAGE: usize = 3 * PLANE;

/// Labelled images on one device.
#[derive(Debug)]
pub struct Images {
    /// u8 `[N, 3, 32, 32]`, contiguous.
    pub pixels: Tensor,
    /// Class of each image, 0-based.
    pub labels: Vec<i64>,
    /// BLAKE3 of labels and pixels in hex: two sets with one checksum train alike.
    pub checksum: String,
}

impl Images {
    /// Takes planar bytes (`labels.len()` times [`IMAGE`]) to `device`.
    pub fn new(pixels: &[u8], labels: Vec<i64>, device: Device) -> Result<Self, DataError> {
        if pixels.len() != labels.len() * IMAGE {
            return Err(DataError::Shape { images: labels.len(), bytes: pixels.len() });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(labels.len() as u64).to_le_bytes());
        for label in &labels {
            hasher.update(&label.to_le_bytes());
        }
        hasher.update(pixels);
        let side = SIDE as i64;
        let tensor = Tensor::f_from_slice(pixels)?.f_reshape([labels.len() as i64, 3, side, side])?;
        Ok(Self { pixels: tensor.f_to_device(device)?, labels, checksum: hasher.finalize().to_hex().to_string() })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// A data set as a job sees it.
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

/// What the readers return: bytes on the host, not yet a tensor.
struct Raw {
    train: RawImages,
    test: RawImages,
    classes: Vec<String>,
}

#[derive(Debug, Default, PartialEq)]
struct RawImages {
    /// Planar, [`IMAGE`] bytes each.
    pixels: Vec<u8>,
    labels: Vec<i64>,
}

/// As many threads as this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_follows_pixels_and_labels_and_nothing_else() {
        let images = |first: u8, label: i64| {
            let mut pixels = vec![7; 2 * IMAGE];
            pixels[0] = first;
            Images::new(&pixels, vec![label, 1], Device::Cpu).unwrap()
        };
        assert_eq!(images(0, 0).checksum, images(0, 0).checksum);
        assert_ne!(images(0, 0).checksum, images(1, 0).checksum);
        assert_ne!(images(0, 0).checksum, images(0, 1).checksum);
        assert_eq!(images(0, 0).pixels.size(), [2, 3, 32, 32]);
    }

    #[test]
    fn pixels_without_a_label_are_refused() {
        let error = Images::new(&[0; IMAGE], vec![0, 1], Device::Cpu).unwrap_err();
        assert_eq!(error.to_string(), "3072 bytes of pixels do not make 2 images of 3072 bytes");
    }
}
