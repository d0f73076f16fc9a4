//! Forms the process group of an attempt: rank 0 listens and reports where, the others are told.

use tandem_collective::{Error, ListenOn, ProcessGroup, RendezvousStore, cuda};
use tandem_domain::timing::{self, Timing};
use tandem_learn::{
    Failure,
    report::{Event, Report},
    task::Task,
};

/// Forms the process group of `task`; `rank_0_address` waits until the worker says where rank 0 listens.
pub(super) fn process_group(
    task: &Task,
    reporter: &mut dyn Report,
    rank_0_address: impl FnOnce() -> Result<(String, u16), Failure>,
) -> Result<ProcessGroup, Failure> {
    open_cuda(&task.device)?;
    let cuda_index = cuda_index(&task.device);
    if task.world_size == 1 {
        return Ok(ProcessGroup::alone());
    }
    reporter.event(Event::Phase { name: "rendezvous".to_owned(), first_step: 0 });
    let rendezvous_timeout = Timing::named(&task.timing).unwrap_or(timing::DEFAULT).rendezvous();
    let on = ListenOn { host: &task.host, ports: task.meet_ports };
    let store = if task.rank == 0 {
        let store = RendezvousStore::listen(on, rendezvous_timeout).map_err(failure)?;
        reporter.event(Event::Rendezvous { host: task.host.clone(), port: store.port() });
        store
    } else {
        let (host, port) = rank_0_address()?;
        RendezvousStore::connect(&host, port, rendezvous_timeout).map_err(failure)?
    };
    // The fence separates attempts: a rank of an earlier one finds no peer under its keys.
    let prefix = format!("tandem/{}", task.fence);
    let (rank, world_size) = (task.rank, task.world_size);
    let group = match cuda_index {
        Some(index) => ProcessGroup::nccl(&store, &prefix, rank, world_size, index, timing::COLLECTIVE),
        None => ProcessGroup::gloo(&store, &prefix, rank, world_size, on, timing::COLLECTIVE),
    };
    group.map_err(failure)
}

/// Loads libtorch's CUDA libraries if `device` needs them. Call it before anything else uses libtorch.
pub(crate) fn open_cuda(device: &str) -> Result<(), Failure> {
    if cuda_index(device).is_some() && !cuda::load().map_err(failure)? {
        return Err(Failure::Machine(format!("{device} was asked for, and this host has no NVIDIA driver")));
    }
    Ok(())
}

fn cuda_index(device: &str) -> Option<u32> {
    device.strip_prefix("cuda:").and_then(|index| index.parse().ok())
}

/// The job cannot be at fault, since its data were not read yet.
fn failure(error: Error) -> Failure {
    let message = format!("the ranks could not form a process group: {error}");
    match error {
        Error::PeerLost(_) | Error::Timeout(_) => Failure::Peer(message),
        Error::Unavailable(_) | Error::Device(_) => Failure::Machine(message),
        _ => Failure::Unknown(message),
    }
}
