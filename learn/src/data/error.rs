//! What can be wrong with data. Each message says where, and what to do.

use std::io;
use std::path::PathBuf;

use tandem_images::{Blame, lies_in_the_data, what_to_do};
use tch::TchError;
use thiserror::Error;

/// Reading, checking or dividing a data set failed.
#[derive(Debug, Error)]
pub enum DataError {
    /// Of an image folder.
    #[error(transparent)]
    Folder(#[from] tandem_images::Error),
    #[error("no data at {} on this machine: {how}", path.display())]
    NotHere { path: PathBuf, how: String },
    #[error("cannot read {}: {source}{}", path.display(), what_to_do(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has {found} bytes where {expected} are expected: it is cut off or not the official file; fetch it again", path.display())]
    Size { path: PathBuf, expected: u64, found: u64 },
    #[error("{}, record {record}: label {value} is not below {classes}; the file is damaged, fetch it again", path.display())]
    Label { path: PathBuf, record: usize, value: u8, classes: usize },
    #[error("{bytes} bytes of pixels do not make {images} images of 3072 bytes")]
    Shape { images: usize, bytes: usize },
    #[error(
        "a label fraction of {fraction} leaves no image of class {class} (it has {count}); use at least {least:.6}"
    )]
    Fraction { fraction: f64, class: usize, count: usize, least: f64 },
    #[error("no image of class {class} among {images}: each of the {classes} classes needs one")]
    Absent { class: usize, classes: usize, images: usize },
    #[error("label fraction {fraction} is not above 0 and at most 1")]
    FractionRange { fraction: f64 },
    #[error(
        "holding out {share} of the labelled images leaves none of class {class} to train on (it has {labelled}); use \
         validation = 0, which keeps the last model, or a larger label_fraction"
    )]
    Holdout { share: f64, class: usize, labelled: usize },
    #[error("cannot put the images on the device: {0}")]
    Torch(#[from] TchError),
}

impl DataError {
    /// Who is at fault, which decides what happens next.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Folder(error) => error.blame(),
            Self::NotHere { .. } => Blame::Input,
            Self::Read { source, .. } if !lies_in_the_data(source) => Blame::Machine,
            Self::Torch(_) => Blame::Machine,
            _ => Blame::Job,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_that_is_not_here_is_nobodys_fault() {
        let absent = DataError::NotHere { path: "data/cats".into(), how: "copy it".into() };
        assert_eq!(absent.blame(), Blame::Input);
        // A damaged copy is there, and whoever waited for a better one would wait in silence.
        let damaged = DataError::Size { path: "data/x.bin".into(), expected: 2, found: 1 };
        assert_eq!(damaged.blame(), Blame::Job);
        let disk = DataError::Read { path: "data/x.bin".into(), source: io::Error::from_raw_os_error(5) };
        assert_eq!(disk.blame(), Blame::Machine);
    }
}
