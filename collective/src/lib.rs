//! Ranks that train together: where they meet ([`RendezvousStore`]), what they do together ([`ProcessGroup`]), and a sum whose bits do
//! not depend on how many they are ([`tree_sum`]).
//!
//! It stands on libtorch's own c10d (TCPStore, Gloo on CPUs, NCCL on GPUs) rather than on a ring of its own making. The
//! C++ side lives in `csrc/` and the calls into it in [`ffi`]; no exception crosses, every failure is an [`Error`].
//!
//! Three of c10d's habits are kept from callers. Gloo ends the process when ranks disagree about a shape: ranks
//! therefore agree on each call before they make it, and a disagreement is [`Error::Invalid`] on all of them, after
//! which the group still works. Gloo takes a tensor with gaps and answers with wrong elements: layouts are checked. And
//! a group that has lost a peer answers differently from call to call: here it stays lost.
//!
//! Autograd functions that tch has no words for live here too, beside the other C++: [`ProcessGroup::shard_sum`] and
//! [`BatchNorm::jvp`].
//!
//! What can only be bounded: a peer that is stopped rather than dead shows as [`Error::Timeout`], when the group's
//! timeout is over. Whoever knows better (the worker, told by the coordinator) ends the process instead of waiting.

mod batch_norm;
mod check;
pub mod cuda;
mod error;
mod ffi;
mod header;
mod process_group;
mod rendezvous;
mod tree;

pub use batch_norm::BatchNorm;
pub use error::Error;
pub use process_group::ProcessGroup;
pub use rendezvous::RendezvousStore;
pub use tree::tree_sum;
