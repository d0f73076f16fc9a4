//! NCCL with one rank, which is as far as one GPU goes. `scripts/gpu-check` runs it; elsewhere it is ignored.

use std::time::Duration;

use tandem_collective::{ProcessGroup, RendezvousStore, cuda, tree_sum};
use tch::{Device, Kind, Tensor};

const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs an NVIDIA GPU: scripts/gpu-check"]
fn one_rank_over_nccl_does_what_a_rank_alone_does() {
    assert!(cuda::load().unwrap(), "no driver");
    let store = RendezvousStore::listen("127.0.0.1", TIMEOUT).unwrap();
    let group = ProcessGroup::nccl(&store, "test", 0, 1, 0, TIMEOUT).unwrap();
    let x = Tensor::arange(6, (Kind::Float, Device::Cuda(0)));
    let same = |y: &Tensor| assert_eq!(y, &x);

    group.barrier().unwrap();
    let reduced = x.copy();
    group.all_reduce_sum(&reduced).unwrap();
    same(&reduced);
    group.broadcast(&reduced, 0).unwrap();
    same(&reduced);
    same(&group.all_gather(&x).unwrap());
    same(&tree_sum(&group, vec![x.copy()], 1).unwrap());
    let leaf = x.copy().set_requires_grad(true);
    let loss = group.shard_sum(&leaf).unwrap().square().sum(Kind::Float);
    same(&(Tensor::run_backward(&[loss], &[&leaf], false, false).remove(0) / 2.0));
}
