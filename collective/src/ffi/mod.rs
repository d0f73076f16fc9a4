//! The calls into `csrc/`, and nothing else: the only unsafe code of the workspace. Everything that leaves this module
//! is safe to use, given tensors that [`crate::check`] has passed.
#![expect(unsafe_code, reason = "libtorch's c10d is C++; each block says why it is sound")]

mod group;
mod library;
mod norm;
mod raw;
mod status;
mod store;
mod tf32;

pub(crate) use group::{Channel, Group, Place};
pub(crate) use library::{open_global, open_plugin, opens};
pub(crate) use norm::moving_norm;
pub(crate) use store::Store;
pub(crate) use tf32::{set_tf32, tf32};
