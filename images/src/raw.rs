//! Images as bytes in host memory, and their checksums.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Rows and columns of every image.
pub const SIDE: usize = 32;
/// Pixels of one channel plane.
pub const PLANE: usize = SIDE * SIDE;
/// Bytes of one image: the red, green and blue plane, each row by row.
pub const IMAGE: usize = 3 * PLANE;

/// A data set in memory.
#[derive(Debug)]
pub struct RawData {
    pub train: RawImages,
    pub test: RawImages,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// A sentence for people on files that were not read.
    pub left_out: Option<String>,
    /// A sentence for people on images that lost their aspect.
    pub squeezed: Option<String>,
}

impl RawData {
    pub fn facts(&self) -> Facts {
        let [train, test] = [&self.train, &self.test].map(|half| checksum(&half.pixels, &half.labels));
        Facts {
            sha256: sha256(&self.classes, [&train, &test]),
            classes: self.classes.len() as u64,
            train: self.train.labels.len() as u64,
            test: self.test.labels.len() as u64,
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct RawImages {
    /// Planar, [`IMAGE`] bytes each.
    pub pixels: Vec<u8>,
    /// 0-based.
    pub labels: Vec<i64>,
}

/// What can be said of a data set without training on it. Equal checksums are equal data, whatever the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Of the names of the classes, and of labels and pixels of both halves.
    pub sha256: String,
    /// How many there are.
    pub classes: u64,
    pub train: u64,
    pub test: u64,
}

/// BLAKE3 of labels and pixels, in hex.
pub fn checksum(pixels: &[u8], labels: &[i64]) -> String {
    let mut hasher = hasher(labels);
    hasher.update(pixels);
    hasher.finalize().to_hex().to_string()
}

/// That of [`checksum`], before any pixels.
pub(crate) fn hasher(labels: &[i64]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(labels.len() as u64).to_le_bytes());
    for label in labels {
        hasher.update(&label.to_le_bytes());
    }
    hasher
}

/// Of a whole data set, from the names of its classes and the checksums of its halves.
pub fn sha256(classes: &[String], halves: [&str; 2]) -> String {
    let mut hasher = Sha256::new();
    for class in classes {
        hasher.update((class.len() as u64).to_le_bytes());
        hasher.update(class);
    }
    halves.iter().for_each(|half| hasher.update(half));
    hex::encode(hasher.finalize())
}
