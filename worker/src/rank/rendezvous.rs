//! The ranks of an attempt find each other: rank 0 listens and says where, the others are told.

use tandem_collective::{Error, Group, Store, cuda};
use tandem_domain::timing::{self, Timing};
use tandem_learn::{
    Failure,
    report::{Event, Report},
    task::Task,
};

/// Forms the group of `task`; `told` waits for the line that says where rank 0 listens.
pub(super) fn process_group(
    task: &Task,
    reporter: &mut dyn Report,
    rank_0_address: impl FnOnce() -> Result<(String, u16), Failure>,
) -> Result<Group, Failure> {
    open_cuda(&task.device)?;
    let cuda_index = cuda_index(&task.device);
    if task.world_size == 1 {
        return Ok(Group::alone());
    }
    reporter.event(Event::Phase { name: "rendezvous".to_owned(), first_step: 0 });
    let patience = Timing::named(&task.timing).unwrap_or(timing::DEFAULT).rendezvous();
    let store = if task.rank == 0 {
        let store = Store::listen(&task.host, patience).map_err(failure)?;
        reporter.event(Event::Rendezvous { host: task.host.clone(), port: store.port() });
        store
    } else {
        let (host, port) = rank_0_address()?;
        Store::connect(&host, port, patience).map_err(failure)?
    };
    // A new generation for each attempt: a rank of an earlier one finds nobody under its keys.
    let prefix = format!("tandem/{}", task.fence);
    let (rank, world_size) = (task.rank, task.world_size);
    let group = match cuda_index {
        Some(index) => Group::nccl(&store, &prefix, rank, world_size, index, timing::COLLECTIVE),
        None => Group::gloo(&store, &prefix, rank, world_size, &task.host, timing::COLLECTIVE),
    };
    group.map_err(failure)
}

/// Loads libtorch's CUDA half if `device` needs it: before anything else touches libtorch.
pub(crate) fn open_cuda(device: &str) -> Result<(), Failure> {
    if cuda_index(device).is_some() && !cuda::load().map_err(failure)? {
        return Err(Failure::Machine(format!("{device} was asked for, and this host has no NVIDIA driver")));
    }
    Ok(())
}

fn cuda_index(device: &str) -> Option<u32> {
    device.strip_prefix("cuda:").and_then(|index| index.parse().ok())
}

/// Before the first step nothing of the job was looked at: the machine is at fault, or that of another rank.
fn failure(error: Error) -> Failure {
    let message = format!("the ranks could not meet: {error}");
    match error {
        Error::PeerLost(_) | Error::Timeout(_) => Failure::Peer(message),
        _ => Failure::Machine(message),
    }
}
