//! NVML as a file says: a shared library that a worker loads in place of the driver's, to be shown boxes that no test has.
//!
//! [`boxes`] has what a file may say. The environment variable [`BOX_FILE`] names it, and it is read again whenever it has
//! changed, so that a test can change the box under a worker that runs. [`play`] answers by it, late or with errors where it says
//! so, and [`export`] has the functions under their names in C.
//!
//! A box says in `origin` where its figures are from; those in `boxes/` are invented.

pub mod boxes;
mod export;
mod play;

/// Names the file with the box.
pub const BOX_FILE: &str = "TANDEM_FAKE_NVML";
