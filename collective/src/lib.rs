//! Ranks that train together: where they meet ([`RendezvousStore`], [`ListenOn`]), what they do together ([`ProcessGroup`]), and a
//! sum whose bits do not depend on how many they are ([`tree_sum`]).
//!
//! It stands on libtorch's c10d (TCPStore, Gloo on CPUs, NCCL on GPUs). The C++ side is in `csrc/`, the calls into it
//! in `ffi`; no exception crosses, every failure is an [`Error`].
//!
//! Three habits of c10d are hidden from callers. Gloo ends the process when ranks disagree about a shape: here ranks
//! compare each call before they make it, and a difference is [`Error::Unequal`] on all of them, after which the group
//! still works. Gloo accepts a tensor with gaps and returns wrong elements: here layouts are checked. A group that has
//! lost a peer answers differently from call to call: here it returns its first failure from then on.
//!
//! [`ProcessGroup::shard_sum`], [`BatchNorm::normalise`], [`BatchNorm::jvp`] and [`convolution()`] are autograd functions that
//! tch cannot express.
//!
//! A peer that is stopped rather than dead can only be bounded in time: it shows as [`Error::Timeout`] after the
//! group's timeout. A worker that learns of it earlier, from the coordinator, ends the process instead of waiting.

mod batch_norm;
mod build;
mod check;
mod convolution;
pub mod cuda;
mod error;
mod ffi;
mod holders;
mod listen;
mod ports;
mod process_group;
mod rendezvous;
mod then;
mod torch_text;
mod tree;

pub use batch_norm::BatchNorm;
pub use build::{Build, libtorch};
pub use convolution::convolution;
pub use error::Error;
pub use listen::ListenOn;
pub use ports::PortRange;
pub use process_group::ProcessGroup;
pub use rendezvous::RendezvousStore;
pub use then::Then;
pub use torch_text::{DeviceMemory, device_memory, tried_bytes};
pub use tree::tree_sum;
