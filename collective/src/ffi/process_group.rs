use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::time::Duration;

use tch::Tensor;

use super::gloo_device::GlooDevice;
use super::library::nccl_backend;
use super::raw;
use super::rendezvous::StoreHandle;
use super::status::{c_int, c_string, call, milliseconds};
use crate::Error;

/// Owns a `tandem::ProcessGroup`.
pub(crate) struct GroupHandle(NonNull<raw::ProcessGroup>);

// SAFETY: c10d's groups are not tied to the thread that made them. Calls must be made one after another, in the same
// order on all ranks: so this is Send, and not Sync.
unsafe impl Send for GroupHandle {}

/// Owns a `c10d::Backend` until it becomes part of a group.
struct BackendHandle(*mut raw::Backend);

impl BackendHandle {
    fn give_away(self) -> *mut raw::Backend {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for BackendHandle {
    fn drop(&mut self) {
        // SAFETY: made by the plugin, owned by self, and freed once.
        unsafe { raw::tandem_backend_free(self.0) }
    }
}

/// This rank's place in a group.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) rank: u32,
    pub(crate) world_size: u32,
}

impl GroupHandle {
    pub(crate) fn gloo(
        store: &StoreHandle,
        member: Member<'_>,
        device: &GlooDevice,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let prefix = c_string("prefix", member.prefix)?;
        let (rank, world_size) = (c_int("rank", member.rank)?, c_int("world size", member.world_size)?);
        let timeout = milliseconds(timeout)?;
        let mut group = ptr::null_mut();
        call(&format!("forming a group of {world_size} ranks"), |message| {
            // SAFETY: the string, the store and the device live through the call (the group takes references of its own
            // to what is in them); `group` and `message` are places to write to.
            unsafe {
                raw::tandem_group_gloo(
                    store.as_ptr(),
                    prefix.as_ptr(),
                    rank,
                    world_size,
                    device.as_ptr(),
                    timeout,
                    &mut group,
                    message,
                )
            }
        })?;
        Ok(Self::owning(group))
    }

    pub(crate) fn nccl(store: &StoreHandle, member: Member<'_>, device: u32, timeout: Duration) -> Result<Self, Error> {
        let (rank, world_size) = (c_int("rank", member.rank)?, c_int("world size", member.world_size)?);
        let (device, timeout) = (c_int("device", device)?, milliseconds(timeout)?);
        let make = nccl_backend()?;
        let operation = format!("forming a group of {world_size} ranks on CUDA device {device}");
        let backend = |part: &str| {
            let prefix = c_string("prefix", &format!("{}/{part}-nccl", member.prefix))?;
            let mut backend = ptr::null_mut();
            call(&operation, |message| {
                // SAFETY: `make` is the plugin's function of this signature, which stays loaded for good; pointers as
                // in `gloo`.
                unsafe {
                    make(store.as_ptr(), prefix.as_ptr(), rank, world_size, device, timeout, &mut backend, message)
                }
            })?;
            Ok::<_, Error>(BackendHandle(backend))
        };
        let (main, autograd) = (backend("main")?, backend("autograd")?);
        let prefix = c_string("prefix", member.prefix)?;
        let mut group = ptr::null_mut();
        call(&operation, |message| {
            let (main, autograd) = (main.give_away(), autograd.give_away());
            // SAFETY: both backends are owned pointers made above and given away here; the rest as in `gloo`.
            unsafe { raw::tandem_group_nccl(store.as_ptr(), prefix.as_ptr(), main, autograd, &mut group, message) }
        })?;
        Ok(Self::owning(group))
    }

    fn owning(group: raw::GroupPtr) -> Self {
        Self(NonNull::new(group).expect("a call that succeeds returns a group"))
    }

    /// Tells the others that this rank does not make the call that they make.
    pub(crate) fn refuse(&self, channel: Channel) -> Result<(), Error> {
        // SAFETY: the group is alive; `message` is a place to write to. So in all calls below, whose tensors are alive
        // too and were passed by `check`: defined, dense where written to, on the group's device.
        call("refusing", |message| unsafe {
            raw::tandem_refuse(self.0.as_ptr(), channel == Channel::Autograd, message)
        })
    }

    pub(crate) fn agree_tree_sum(&self, tensor: &Tensor, shards: u32) -> Result<(), Error> {
        // SAFETY: see `refuse`.
        call("tree_sum", |message| unsafe {
            raw::tandem_agree_tree_sum(self.0.as_ptr(), pointer(tensor), i64::from(shards), message)
        })
    }

    pub(crate) fn all_reduce_sum(&self, tensor: &Tensor) -> Result<(), Error> {
        // SAFETY: see `refuse`.
        call("all_reduce_sum", |message| unsafe {
            raw::tandem_all_reduce_sum(self.0.as_ptr(), pointer(tensor), message)
        })
    }

    pub(crate) fn broadcast(&self, tensor: &Tensor, root: u32) -> Result<(), Error> {
        // SAFETY: see `refuse`.
        call("broadcast", |message| unsafe {
            raw::tandem_broadcast(self.0.as_ptr(), pointer(tensor), i64::from(root), message)
        })
    }

    pub(crate) fn barrier(&self) -> Result<(), Error> {
        // SAFETY: see `refuse`.
        call("barrier", |message| unsafe { raw::tandem_barrier(self.0.as_ptr(), message) })
    }

    pub(crate) fn all_gather(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        let mut out = ptr::null_mut();
        // SAFETY: see `refuse`; `out` is a place to write to.
        call("all_gather", |message| unsafe {
            raw::tandem_all_gather(self.0.as_ptr(), pointer(tensor), &mut out, message)
        })?;
        Ok(owned(out))
    }

    pub(crate) fn shard_sum(&self, rows: &Tensor) -> Result<Tensor, Error> {
        let mut out = ptr::null_mut();
        // SAFETY: see `refuse`; `out` is a place to write to.
        call("shard_sum", |message| unsafe {
            raw::tandem_shard_sum(self.0.as_ptr(), pointer(rows), &mut out, message)
        })?;
        Ok(owned(out))
    }

    pub(crate) fn send(&self, tensor: &Tensor, to: u32) -> Result<(), Error> {
        let to = c_int("rank", to)?;
        // SAFETY: see `refuse`.
        call("send", |message| unsafe { raw::tandem_send(self.0.as_ptr(), pointer(tensor), to, message) })
    }

    pub(crate) fn recv(&self, tensor: &Tensor, from: u32) -> Result<(), Error> {
        let from = c_int("rank", from)?;
        // SAFETY: see `refuse`.
        call("recv", |message| unsafe { raw::tandem_recv(self.0.as_ptr(), pointer(tensor), from, message) })
    }

    pub(crate) fn abort(&self) -> Result<(), Error> {
        // SAFETY: see `refuse`.
        call("abort", |message| unsafe { raw::tandem_group_abort(self.0.as_ptr(), message) })
    }
}

impl Drop for GroupHandle {
    fn drop(&mut self) {
        // SAFETY: owned by self and freed once; autograd graphs hold references of their own to what they use.
        unsafe { raw::tandem_group_free(self.0.as_ptr()) }
    }
}

/// The two sets of connections of a `tandem::ProcessGroup`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Main,
    /// `shard_sum` only.
    Autograd,
}

pub(super) fn pointer(tensor: &Tensor) -> raw::TensorPtr {
    tensor.as_ptr().cast::<c_void>()
}

pub(super) fn owned(tensor: *mut c_void) -> Tensor {
    assert!(!tensor.is_null(), "a call that succeeds returns a tensor");
    // SAFETY: a new `at::Tensor` made in csrc/, given away to us; tch frees it with `delete`.
    unsafe { Tensor::from_ptr(tensor.cast()) }
}
