//! The images of a data set on a device.

use tandem_images::{IMAGE, SIDE, checksum};
use tch::{Device, Tensor};

use super::error::DataError;

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
