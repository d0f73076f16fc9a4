//! What the ranks of one attempt do together.

use std::cell::RefCell;
use std::time::Duration;

use tch::{Device, Tensor};

use crate::ffi::{self, Channel, Member};
use crate::{Error, ListenOn, RendezvousStore, check, cuda, listen};

/// The ranks of one attempt, seen from one of them.
///
/// Every rank makes the same calls in the same order; each call blocks until its result is there (on a GPU: until it is
/// queued). After [`Error::PeerLost`] or [`Error::Timeout`] every further call returns that error again.
pub struct ProcessGroup {
    rank: u32,
    world_size: u32,
    /// `None` for a group of one without connections, which works on any device.
    device: Option<Device>,
    handle: Option<ffi::GroupHandle>,
    failure: RefCell<Option<Error>>,
}

impl ProcessGroup {
    /// A group of one rank, without connections.
    pub fn alone() -> Self {
        Self { rank: 0, world_size: 1, device: None, handle: None, failure: RefCell::new(None) }
    }

    /// Forms a group over TCP, for tensors on the CPU. Returns when all ranks are there, or fails after `timeout`. That
    /// also bounds each later call, and must exceed the longest time that one rank keeps the others waiting.
    ///
    /// `prefix` separates this group's keys from those of others on the same store: never use one twice. `on` is where
    /// *this* rank listens, on one port. Its peers must reach it; 127.0.0.1 keeps to the loopback interface.
    pub fn gloo<'a>(
        store: &RendezvousStore,
        prefix: &str,
        rank: u32,
        world_size: u32,
        on: impl Into<ListenOn<'a>>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let member = member(prefix, rank, world_size)?;
        let handle = if world_size > 1 {
            let device = gloo_device(on.into())?;
            Some(ffi::GroupHandle::gloo(&store.handle, member, &device, timeout)?)
        } else {
            None
        };
        Ok(Self { device: Some(Device::Cpu), handle, rank, world_size, failure: RefCell::new(None) })
    }

    /// Forms a group over NCCL, for tensors on one CUDA device. Untested on a GPU so far.
    ///
    /// Call [`cuda::load`] first. A failure on the device shows at the next synchronisation, after which c10d's
    /// watchdog ends the process.
    pub fn nccl(
        store: &RendezvousStore,
        prefix: &str,
        rank: u32,
        world_size: u32,
        device_index: u32,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let member = member(prefix, rank, world_size)?;
        cuda::available()?;
        // A group of one goes through NCCL too, so that NCCL can be tested with a single GPU.
        let handle = Some(ffi::GroupHandle::nccl(&store.handle, member, device_index, timeout)?);
        let device = Some(Device::Cuda(device_index as usize));
        Ok(Self { device, handle, rank, world_size, failure: RefCell::new(None) })
    }

    pub fn rank(&self) -> u32 {
        self.rank
    }

    pub fn world_size(&self) -> u32 {
        self.world_size
    }

    /// Replaces `tensor`, of equal shape on all ranks, by its sum over ranks.
    ///
    /// The order of addition is Gloo's or NCCL's and changes with the world size: see [`tree_sum`](crate::tree_sum).
    pub fn all_reduce_sum(&self, tensor: &Tensor) -> Result<(), Error> {
        let checked = check::writable("all_reduce_sum", tensor, self.device);
        self.exchange(Channel::Main, checked, (), |handle| handle.all_reduce_sum(tensor))
    }

    /// Replaces `tensor`, of equal shape on all ranks, by that of rank `root`.
    pub fn broadcast(&self, tensor: &Tensor, root: u32) -> Result<(), Error> {
        let checked = self.peer("broadcast", root).and_then(|()| check::writable("broadcast", tensor, self.device));
        self.exchange(Channel::Main, checked, (), |handle| handle.broadcast(tensor, root))
    }

    /// Returns when every rank has called it.
    pub fn barrier(&self) -> Result<(), Error> {
        self.exchange(Channel::Main, Ok(()), (), |handle| handle.barrier())
    }

    /// `[n, ...]` on each rank to `[world_size * n, ...]` on all, in rank order; without gradient.
    pub fn all_gather(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        let rows = self.rows("all_gather", tensor).and_then(|()| Ok(tensor.f_detach()?.f_contiguous()?));
        match (&self.handle, rows) {
            (None, rows) => copy(&rows?),
            (Some(_), Ok(rows)) => self.run(|handle| handle.all_gather(&rows)),
            (Some(_), Err(error)) => Err(self.refuse(Channel::Main, error)),
        }
    }

    /// `[own shards, ...]` on each rank to the same shape, each row the sum over all shards of all ranks. The bits are
    /// the same for any number of ranks. It is its own adjoint, so that it has derivatives of every order.
    ///
    /// Its backward pass is a call between ranks too, which every rank must make. It fails with a
    /// [`TchError`](tch::TchError) that converts into [`Error`].
    pub fn shard_sum(&self, rows: &Tensor) -> Result<Tensor, Error> {
        let checked = self.rows("shard_sum", rows);
        match &self.handle {
            Some(_) => self.exchange(Channel::Autograd, checked, Tensor::new(), |handle| handle.shard_sum(rows)),
            None => {
                checked?;
                let dims: &[i64] = &[0];
                Ok(rows.f_sum_dim_intlist(dims, true, None)?.f_expand_as(rows)?.f_contiguous()?)
            }
        }
    }

    /// Leaves at once, even where peers are stuck; on a GPU it ends the calls under way. Peers see [`Error::PeerLost`].
    pub fn abort(self) {
        // Gloo has no call under way here, since each one blocks until its end. An error would only say that the group
        // is broken.
        let _ = self.handle.as_ref().map(ffi::GroupHandle::abort);
    }

    /// Makes a call that all ranks make. If this rank's arguments were refused, it tells the others so.
    fn exchange<T>(
        &self,
        channel: Channel,
        checked: Result<(), Error>,
        alone: T,
        call: impl FnOnce(&ffi::GroupHandle) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match (&self.handle, checked) {
            (None, checked) => checked.map(|()| alone),
            (Some(_), Ok(())) => self.run(call),
            (Some(_), Err(error)) => Err(self.refuse(channel, error)),
        }
    }

    /// Tells the others that this rank does not make the call, and returns the error to report.
    fn refuse(&self, channel: Channel, error: Error) -> Error {
        // Telling them also fails where they made a call; this rank's own refusal is what it reports.
        let answer = self.run(|handle| handle.refuse(channel));
        answer.err().filter(Error::breaks_group).unwrap_or(error)
    }

    /// Makes a call, and remembers a failure after which the group is useless.
    fn run<T>(&self, call: impl FnOnce(&ffi::GroupHandle) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(failure) = self.failure.borrow().as_ref() {
            return Err(failure.clone());
        }
        let handle = self.handle.as_ref().ok_or_else(|| Error::Invalid("a group of one rank has no peers".into()))?;
        call(handle).inspect_err(|error| {
            if error.breaks_group() {
                *self.failure.borrow_mut() = Some(error.clone());
            }
        })
    }

    /// Compares the ranks' calls of [`tree_sum`](crate::tree_sum); `checked` is the check of this rank's own arguments.
    pub(crate) fn agree_tree_sum(&self, part: &Tensor, shards: u32, checked: Result<(), Error>) -> Result<(), Error> {
        self.exchange(Channel::Main, checked, (), |handle| handle.agree_tree_sum(part, shards))
    }

    /// Sends to a rank that [`recv`](Self::recv)s; both must have agreed on shape and type before.
    pub(crate) fn send(&self, tensor: &Tensor, to: u32) -> Result<(), Error> {
        self.run(|handle| handle.send(tensor, to))
    }

    pub(crate) fn recv(&self, tensor: &Tensor, from: u32) -> Result<(), Error> {
        self.run(|handle| handle.recv(tensor, from))
    }

    pub(crate) fn device(&self) -> Option<Device> {
        self.device
    }

    fn rows(&self, operation: &str, tensor: &Tensor) -> Result<(), Error> {
        check::sendable(operation, tensor, self.device)?;
        match tensor.dim() {
            0 => {
                Err(Error::Invalid(format!("{operation}: a tensor without dimensions has no rows; reshape it to [1]")))
            }
            _ => Ok(()),
        }
    }

    fn peer(&self, operation: &str, rank: u32) -> Result<(), Error> {
        if rank < self.world_size {
            return Ok(());
        }
        Err(Error::Invalid(format!("{operation}: there is no rank {rank} in a group of {}", self.world_size)))
    }
}

fn gloo_device(on: ListenOn<'_>) -> Result<ffi::GlooDevice, Error> {
    let mut device = ffi::GlooDevice::listen(on.host)?;
    if let Some(ports) = on.ports {
        listen::first_free(on.host, ports, |listener| {
            let port = listener.local_addr().map_err(|error| listen::unavailable(on.host, 0, &error))?.port();
            // Gloo binds by itself: this showed that it can, or told in better words why not.
            drop(listener);
            Ok(device.move_to(port)?.then_some(()))
        })?;
    }
    Ok(device)
}

fn member(prefix: &str, rank: u32, world_size: u32) -> Result<Member<'_>, Error> {
    if rank < world_size {
        return Ok(Member { prefix, rank, world_size });
    }
    Err(Error::Invalid(format!("rank {rank} does not exist in a group of {world_size}: ranks count from 0")))
}

fn copy(tensor: &Tensor) -> Result<Tensor, Error> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}
