//! The calls into `csrc/`: the only unsafe code of the workspace. What this module exports is safe to use with tensors
//! that [`crate::check`] has passed.
#![expect(unsafe_code, reason = "libtorch's c10d is C++; each block says why it is sound")]

mod batch_norm;
mod library;
mod process_group;
mod raw;
mod rendezvous;
mod status;
mod tf32;

pub(crate) use batch_norm::batch_norm_jvp;
pub(crate) use library::{open_global, open_plugin, opens};
pub(crate) use process_group::{Channel, GroupHandle, Membership};
pub(crate) use rendezvous::StoreHandle;
pub(crate) use tf32::{set_tf32, tf32};
