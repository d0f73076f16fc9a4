//! The images of a data set: as the readers return them, and on a device.

use tch::{Device, Tensor};

use super::error::DataError;

/// Rows and columns of every image.
pub const SIDE: usize = 32;
/// Pixels of one channel plane.
pub const PLANE: usize = SIDE * SIDE;
/// Bytes of one image: the red, green and blue plane, each row by row.
pub const IMAGE: usize = 3 * PLANE;

/// Labelled images on one device.
#[derive(Debug)]
pub struct Images {
    /// u8 `[N, 3, 32, 32]`, contiguous.
    pub pixels: Tensor,
    /// Class of each image, 0-based.
    pub labels: Vec<i64>,
    /// BLAKE3 of labels and pixels, in hex.
    pub checksum: String,
}

impl Images {
    /// Moves planar bytes, `labels.len()` times [`IMAGE`] of them, to `device`.
    pub fn new(pixels: &[u8], labels: Vec<i64>, device: Device) -> Result<Self, DataError> {
        if pixels.len() != labels.len() * IMAGE {
            return Err(DataError::Shape { images: labels.len(), bytes: pixels.len() });
        }
        let checksum = checksum(pixels, &labels);
        let side = SIDE as i64;
        let tensor = Tensor::f_from_slice(pixels)?.f_reshape([labels.len() as i64, 3, side, side])?;
        Ok(Self { pixels: tensor.f_to_device(device)?, labels, checksum })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// BLAKE3 in hex.
pub(super) fn checksum(pixels: &[u8], labels: &[i64]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(labels.len() as u64).to_le_bytes());
    for label in labels {
        hasher.update(&label.to_le_bytes());
    }
    hasher.update(pixels);
    hasher.finalize().to_hex().to_string()
}

/// What the readers return: bytes in host memory.
pub(super) struct RawData {
    pub train: RawImages,
    pub test: RawImages,
    pub classes: Vec<String>,
    /// A sentence for people on files that were not read.
    pub left_out: Option<String>,
    /// A sentence for people on images that lost their aspect.
    pub squeezed: Option<String>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct RawImages {
    /// Planar, [`IMAGE`] bytes each.
    pub pixels: Vec<u8>,
    pub labels: Vec<i64>,
}

/// How many threads this process may use.
pub(super) fn cores() -> usize {
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
