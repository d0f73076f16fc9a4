//! What can be wrong with data. Each message says where, and what to do.

use std::path::PathBuf;

use tch::TchError;
use thiserror::Error;

/// Reading, checking or dividing a data set failed. The job is at fault and another attempt fails too, except where
/// [`DataError::is_machine`] says otherwise.
#[derive(Debug, Error)]
pub enum DataError {
    #[error("no data at {}: {how}", path.display())]
    Missing { path: PathBuf, how: String },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} has {found} bytes where {expected} are expected: it is cut off or not the official file; fetch it again", path.display())]
    Size { path: PathBuf, expected: u64, found: u64 },
    #[error("{}, record {record}: label {value} is not below {classes}; the file is damaged, fetch it again", path.display())]
    Label { path: PathBuf, record: usize, value: u8, classes: usize },
    #[error("cannot decode {}: {source}; replace or remove this file", path.display())]
    Decode { path: PathBuf, source: image::ImageError },
    #[error("class folder {} holds no .png, .jpg or .jpeg file; add images or remove the class", path.display())]
    EmptyClass { path: PathBuf },
    #[error("train and test must have the same class folders: `{class}` is only in {}", path.display())]
    Classes { class: String, path: PathBuf },
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
    /// The disk or the device failed, not the data: another machine might succeed.
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Torch(_))
    }
}
