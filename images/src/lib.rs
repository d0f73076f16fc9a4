//! Image folders, without libtorch: what `folder:NAME` is on a disk, and how it travels.
//!
//! [`Listing`] is what is in one, of a folder ([`list`]) or packed in one file ([`packed`]); [`decode()`] and [`check`] read its
//! images. Every image becomes 32x32 RGB, one byte a value, channel planes first. [`Error`] says where something is wrong, and
//! what to do.

mod decode;
mod error;
mod file;
mod listing;
pub mod packed;
mod raw;
mod whole;

pub use decode::{Checked, check, decode};
pub use error::{Blame, Error, lies_in_the_data, what_to_do};
pub use file::open;
pub use listing::{Half, Listing, list};
pub use raw::{Facts, IMAGE, PLANE, RawData, RawImages, SIDE, checksum, sha256};

/// Told after each piece of work, so that whoever waits knows that it goes on.
pub type Worked<'a> = &'a (dyn Fn() + Sync);
