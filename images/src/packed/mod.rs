//! A data set in one file: a tar of its image files as they are, in the order of the listing, without times or owners. So
//! equal folders are equal bytes, and a packed data set has the same images as the folder that it was made of.
//!
//! In a store such files lie in [`FOLDER`], as `NAME.SHA256.tar`.

mod index;
mod name;
mod write;

pub use index::{list, sha256};
pub use name::{FOLDER, Stored, all, file_name, find};
pub use write::Packing;

/// `train/` or `test/`, a class, a file: the parts that the name of each image has at least.
const HALVES: [&str; 2] = ["train", "test"];

#[cfg(test)]
mod tests;
