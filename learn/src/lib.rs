//! The learning side of Tandem: what one rank computes, from a task to weights.
//!
//! In reading order: [`task`] says what to do, [`report`] what was done; [`random`], [`data`] and [`augment`] make the
//! images; [`flat`], [`network`], [`sync_batch_norm`], [`encoder`] and [`views_apart`] are the networks; [`objective`], [`nt_xent`]
//! and [`penalty`] are what a step minimises; [`shards`] takes the step, all ranks together; [`optimizer`]
//! and [`lr_schedule`] update the parameters; [`features`], [`monitor`] and [`linear`] judge an encoder, [`classifier`]
//! and [`attack`] a finished network, and [`sheet`] shows images to people; [`weights`], [`files`], [`checkpoint`] and [`artifact`] store it; [`progress`] is
//! what a watchdog reads; [`stage`] has one module per stage, which [`run`] calls; [`Failure`] (`failure`, with `memory`) is why a run
//! did not end well. [`run`] is the entry point.
//!
//! Two rules hold throughout. The bits of a result depend on the spec (with its shards and threads) and on the kind of
//! device, never on ranks, attempts or time. And libtorch's operators are called in their panicking form, which reads
//! like the formula: shapes are this crate's own doing, so that a panic means a bug or a lack of memory; [`run`] turns
//! it into a [`Failure`].
//!
//! To add a stage: its parameters in `tandem_domain::spec`, a file in `stage/`, a line in `run`.

pub mod artifact;
pub mod attack;
pub mod augment;
pub mod checkpoint;
pub mod classifier;
pub mod data;
pub mod encoder;
mod failure;
pub mod features;
pub mod files;
pub mod flat;
pub mod linear;
pub mod lr_schedule;
mod memory;
pub mod monitor;
pub mod network;
pub mod nt_xent;
pub mod objective;
pub mod optimizer;
pub mod penalty;
pub mod progress;
pub mod random;
pub mod report;
pub mod shards;
mod sheet;
mod stage;
pub mod sync_batch_norm;
pub mod task;
pub mod views_apart;
pub mod weights;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;

use tandem_collective::{ProcessGroup, cuda};
use tandem_domain::spec::{Precision, Stage};
use tch::Device;

pub use failure::Failure;
use report::{Outcome, Report};
use stage::RankContext;
use task::Task;

/// Environment variable to start a rank's process with. It changes speed, never bits: glibc keeps freed memory, on
/// large pages, where it would otherwise map and unmap every large activation.
pub const ALLOCATOR: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=68719476736:glibc.malloc.hugetlb=1",
);

/// As [`ALLOCATOR`]: a waiting OpenMP thread sleeps. By default it spins, which slows a step down where anything
/// else wants a core (another rank, the database).
pub const OPENMP: (&str, &str) = ("OMP_WAIT_POLICY", "passive");

/// Runs this rank's share of a task to its end, or until `stop` is set on any rank of the group.
///
/// All ranks of the group call it with tasks that differ in `rank` only. A stopped training leaves a checkpoint of its
/// last step, which is the same on all ranks; a linear job by L-BFGS is short and leaves none.
pub fn run(task: &Task, group: &ProcessGroup, report: &mut dyn Report, stop: &AtomicBool) -> Result<Outcome, Failure> {
    let device = device(&task.device)?;
    if (task.rank, task.world_size) != (group.rank(), group.world_size()) {
        return Err(Failure::Unknown(format!(
            "the task is for rank {} of {}, but this is rank {} of {} in its group",
            task.rank,
            task.world_size,
            group.rank(),
            group.world_size()
        )));
    }
    // Refused when it is submitted, but an earlier version may have stored it.
    if task.spec.stage.differences_in_bf16() {
        return Err(Failure::Job(
            "precision = \"bf16\" rounds the images, and with them the step of the penalty's finite difference, which would be \
             noise: submit it again with tikhonov.method = \"exact\" or precision = \"f32\""
                .to_owned(),
        ));
    }
    // By default libtorch takes TF32 for convolutions; f32 must mean f32, in attacks and penalties too.
    cuda::set_tf32(task.spec.stage.precision() == Precision::Tf32)?;
    tch::set_num_threads(i32::try_from(task.spec.threads).unwrap_or(1).max(1));
    let mut rank = RankContext::new(task, group, device, report, stop);
    let staged = AssertUnwindSafe(|| match &task.spec.stage {
        Stage::Contrastive(spec) => stage::contrastive::run(&mut rank, spec),
        Stage::Supervised(spec) => stage::supervised::run(&mut rank, spec),
        Stage::Linear(spec) => stage::linear::run(&mut rank, spec),
        Stage::Finetune(spec) => stage::finetune::run(&mut rank, spec),
        Stage::Attack(spec) => stage::attack::run(&mut rank, spec),
    });
    // Unwind safe, because nothing of the run is used after a panic.
    catch_unwind(staged).unwrap_or_else(|panic| Err(Failure::from_panic(panic)))
}

/// The device named "cpu" or "cuda:0".
fn device(name: &str) -> Result<Device, Failure> {
    match name.split_once(':') {
        None if name == "cpu" => Ok(Device::Cpu),
        Some(("cuda", index))
            if index.parse::<usize>().is_ok_and(|index| (index as i64) < tch::Cuda::device_count()) =>
        {
            // Benchmarking picks kernels by their speed, which differs from run to run; the default choice does not.
            tch::Cuda::cudnn_set_benchmark(false);
            Ok(Device::Cuda(index.parse().unwrap_or_default()))
        }
        _ => Err(Failure::Machine(format!(
            "no device `{name}` here: expected cpu or cuda:N, and libtorch finds {} CUDA devices",
            tch::Cuda::device_count()
        ))),
    }
}
