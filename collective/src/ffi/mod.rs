//! The calls into `csrc/`: the only unsafe code of the workspace. What this module exports is safe to use with tensors
//! that [`crate::check`] has passed.
#![expect(unsafe_code, reason = "libtorch's c10d is C++; each block says why it is sound")]

mod gloo_device;
mod library;
mod libtorch;
mod process_group;
mod raw;
mod rendezvous;
mod status;

pub(crate) use gloo_device::GlooDevice;
pub(crate) use library::{open_global, open_plugin, opens};
pub(crate) use libtorch::{batch_norm_jvp, batch_norm_relu, batch_norm_relu_jvp, build, convolution, set_tf32, tf32};
pub(crate) use process_group::{Channel, GroupHandle, Member};
pub(crate) use rendezvous::StoreHandle;
