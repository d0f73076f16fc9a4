//! Ranks attack images of their own, but end a round and stop together.
//!
//! How long a batch takes depends on its images, so ranks finish at different times. But a rank that waits in a collective
//! gives up after a few minutes, and a rank that is asked to stop must not finish a long batch first. So every rank calls a
//! barrier every few seconds from inside its forward passes: a tiny collective that tells who is done and whether a rank was
//! asked to stop. Ranks that are done call it again and again until all are. All ranks leave a round after the same barrier.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use tch::{Kind, Tensor};

use crate::attack::Target;
use crate::failure::Failure;
use crate::progress;
use crate::stage::RankContext;

/// Time between two barriers: well below the grace period of a stop, and long compared with a forward pass.
const SYNC_INTERVAL: Duration = Duration::from_secs(3);

/// How a round ended, on all ranks alike.
#[derive(Debug, PartialEq)]
pub(super) enum Round<T> {
    /// Every rank did its work; `stop` if one was asked to stop meanwhile.
    Done { own: T, stop: bool },
    /// A rank was asked to stop before all were done.
    Stopped,
}

/// The payload of a panic that leaves an attack from inside a forward pass.
enum Interrupted {
    Stop,
    Failed(Failure),
}

#[derive(Clone, Copy)]
struct BarrierResult {
    all_done: bool,
    stop: bool,
}

/// The net under attack, with a barrier now and then.
struct SyncedTarget<'a, 'r> {
    target: &'a dyn Target,
    rank: &'a RankContext<'r>,
    synced_at: Cell<Instant>,
}

impl Target for SyncedTarget<'_, '_> {
    fn logits(&self, images: &Tensor) -> Tensor {
        let alone = self.rank.group.world_size() == 1;
        if alone || self.synced_at.get().elapsed() >= SYNC_INTERVAL {
            match barrier(self.rank, false) {
                Ok(BarrierResult { stop: false, .. }) => {}
                Ok(_) => resume_unwind(Box::new(Interrupted::Stop)),
                Err(failure) => resume_unwind(Box::new(Interrupted::Failed(failure))),
            }
            self.synced_at.set(Instant::now());
        }
        self.target.logits(images)
    }

    fn classes(&self) -> i64 {
        self.target.classes()
    }
}

/// Does this rank's `work` of a round and waits until all ranks have done theirs.
pub(super) fn round<T>(
    rank: &RankContext<'_>,
    target: &dyn Target,
    work: impl FnOnce(&dyn Target) -> T,
) -> Result<Round<T>, Failure> {
    let synced = SyncedTarget { target, rank, synced_at: Cell::new(Instant::now()) };
    // tch switches gradients back on when its closure returns; the guard does so after a panic, too.
    let gradients_as_before = tch::no_grad_guard();
    let done = catch_unwind(AssertUnwindSafe(|| work(&synced)));
    drop(gradients_as_before);
    let own = match done {
        Ok(own) => own,
        Err(panic) => match panic.downcast::<Interrupted>().map(|interrupted| *interrupted) {
            Ok(Interrupted::Stop) => return Ok(Round::Stopped),
            Ok(Interrupted::Failed(failure)) => return Err(failure),
            Err(panic) => resume_unwind(panic),
        },
    };
    loop {
        match barrier(rank, true)? {
            BarrierResult { all_done: true, stop } => return Ok(Round::Done { own, stop }),
            BarrierResult { stop: true, .. } => return Ok(Round::Stopped),
            _ => {}
        }
    }
}

fn barrier(rank: &RankContext<'_>, done: bool) -> Result<BarrierResult, Failure> {
    let flags = [i64::from(done), i64::from(rank.stop_requested())];
    let all = rank.group.all_gather(&Tensor::from_slice(&flags).view([1, 2]).to_device(rank.device))?;
    progress::wait_done();
    let all_done = all.select(1, 0).min().int64_value(&[]) == 1;
    let stop = all.select(1, 1).max().to_kind(Kind::Int64).int64_value(&[]) == 1;
    Ok(BarrierResult { all_done, stop })
}
