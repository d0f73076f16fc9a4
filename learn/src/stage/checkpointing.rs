//! When a training run saves a checkpoint, and how it goes on from one.
//!
//! Training stands still only while its tensors are copied. A thread then encodes, hashes and writes the copy, and the
//! outcome is reported after a later step. One save runs at a time, and the memory of its copy is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tch::{Device, Tensor};

use super::RankContext;
use super::training_state::{Best, Loaded, Origin, Position, TRAINING, TrainingState};
use crate::checkpoint::{self, PruneScope, Saved};
use crate::failure::Failure;
use crate::flat::FlatTensors;
use crate::progress;

/// Where the experiment file sets nothing, at most this much training is lost, however long an epoch takes.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(600);
/// While waiting for a save: how often to look whether bytes still reach the disk.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CheckpointPolicy {
    /// Every so many steps and every so many minutes, as the experiment file says; 0: not set.
    pub(super) steps: u32,
    pub(super) minutes: f64,
}

impl CheckpointPolicy {
    /// Whether one is due after update number `step`, the last one having begun `since_last` ago. Rank 0 alone asks, since
    /// clocks differ.
    pub(super) fn due(self, step: u64, epoch_ended: bool, training_ended: bool, since_last: Duration) -> bool {
        let by_steps = self.steps > 0 && step.is_multiple_of(u64::from(self.steps));
        let by_minutes = self.minutes > 0.0 && since_last.as_secs_f64() >= 60.0 * self.minutes;
        match self.steps == 0 && self.minutes == 0.0 {
            true => epoch_ended || since_last >= DEFAULT_INTERVAL,
            false => by_steps || by_minutes || training_ended,
        }
    }
}

/// Saves the checkpoints of one run.
pub(super) struct Checkpointer {
    origin: Origin,
    scope: PruneScope,
    /// When the last save began.
    saved_at: Instant,
    /// How long training stood still for saves, in this attempt and before. The wait for the last save, after the last
    /// step, does not count.
    stall: Duration,
    pending: Option<PendingSave>,
    /// Memory for the next copy.
    spare: Option<Snapshot>,
}

type SaveResult = (Result<Saved, Failure>, Snapshot);

struct PendingSave {
    step: u64,
    result: Receiver<SaveResult>,
    /// Grows as bytes reach the disk.
    written: Arc<AtomicU64>,
}

impl Checkpointer {
    /// Loads the newest good checkpoint into `state`; the position is the first one if there is none. Rank 0 reads it and
    /// broadcasts it, so that ranks need no shared folder and all go on from the same step. `images` is the checksum of the
    /// training images; the checkpoint must be of the same ones.
    pub(super) fn resume(
        rank: &mut RankContext<'_>,
        state: &TrainingState<'_>,
        images: &str,
    ) -> Result<(Self, Position), Failure> {
        let origin = Origin { spec_sha256: rank.spec_sha256()?, images: images.to_owned() };
        let loaded = rank.newest_checkpoint(&TRAINING, |candidate| state.load(candidate, &origin.spec_sha256));
        let mut position = match loaded {
            Some(loaded) => same_images(rank, loaded, images)?,
            None => Position::default(),
        };
        progress::work_done();
        // All ranks decide by these numbers; the others of a position are reported by rank 0 alone.
        let best = position.best.map_or([-1, -1], |best| [best.step as i64, best.hits as i64]);
        let shared = Tensor::from_slice(&[position.step as i64, best[0], best[1]]).to_device(rank.device);
        rank.group.broadcast(&shared, 0)?;
        let number = |i: i64| u64::try_from(shared.int64_value(&[i])).ok();
        position.step = number(0).unwrap_or_default();
        position.best = number(1).zip(number(2)).map(|(step, hits)| Best { step, hits });
        for (_, flat) in &state.0 {
            rank.group.broadcast(flat.vector(), 0)?;
            progress::wait_done();
        }
        let checkpointer = Self {
            origin,
            scope: PruneScope::new(rank.task.fence, &rank.task.checkpoints, position.step),
            saved_at: Instant::now(),
            stall: Duration::try_from_secs_f64(position.stall_seconds).unwrap_or_default(),
            pending: None,
            // Fresh pages cost several times the copy itself, so they are allocated before the first step.
            spare: rank.is_rank_zero().then(|| Snapshot::of(state, None)),
        };
        Ok((checkpointer, position))
    }

    /// Since the last save began, or else the run.
    pub(super) fn since_last(&self) -> Duration {
        self.saved_at.elapsed()
    }

    pub(super) fn stall_seconds(&self) -> f64 {
        self.stall.as_secs_f64()
    }

    /// Rank 0 copies the state and begins to save the copy.
    pub(super) fn save(
        &mut self,
        rank: &mut RankContext<'_>,
        position: Position,
        state: &TrainingState<'_>,
    ) -> Result<(), Failure> {
        if !rank.is_rank_zero() {
            return Ok(());
        }
        let began = Instant::now();
        self.wait(rank)?;
        let copy = Snapshot::of(state, self.spare.take());
        self.stall += began.elapsed();
        let position = Position { stall_seconds: self.stall_seconds(), ..position };
        let (scope, origin) = (self.scope.with_committed(rank.committed()), self.origin.clone());
        let (job_dir, step) = (rank.task.job_dir.clone(), position.step);
        let (sender, result) = channel();
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let save = move || {
            let count = || {
                counter.fetch_add(1, Relaxed);
            };
            let saved = checkpoint::save(&TRAINING, &job_dir, &scope, step, |folder| {
                copy.state().write(folder, &origin, position, count)
            });
            // Nobody receives it if the run has failed meanwhile.
            let _ = sender.send((saved, copy));
        };
        thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(save)
            .map_err(|error| Failure::Machine(format!("cannot start the thread that writes checkpoints: {error}")))?;
        self.saved_at = Instant::now();
        self.pending = Some(PendingSave { step, result, written });
        Ok(())
    }

    /// Reports the pending save if it has ended.
    pub(super) fn poll(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        let Some(pending) = &self.pending else { return Ok(()) };
        match pending.result.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Ok(result) => self.report(rank, Some(result)),
            Err(TryRecvError::Disconnected) => self.report(rank, None),
        }
    }

    /// Waits for the pending save and reports it.
    pub(super) fn wait(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let mut seen = 0;
        let result = loop {
            match pending.result.recv_timeout(POLL_INTERVAL) {
                Ok(result) => break Some(result),
                Err(RecvTimeoutError::Disconnected) => break None,
                Err(RecvTimeoutError::Timeout) => {
                    let written = pending.written.load(Relaxed);
                    if written != seen {
                        seen = written;
                        progress::wait_done();
                    }
                }
            }
        };
        progress::wait_done();
        self.report(rank, result)
    }

    /// `None`: the thread panicked, and its panic is in the log.
    fn report(&mut self, rank: &mut RankContext<'_>, result: Option<SaveResult>) -> Result<(), Failure> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let Some((saved, copy)) = result else {
            return Err(Failure::Unknown(format!("writing the checkpoint of step {} broke off", pending.step)));
        };
        self.spare = Some(copy);
        rank.checkpoint(pending.step, saved?);
        Ok(())
    }

    /// Returns `outcome`, after the pending save is on disk and reported: a failure of the run does not lose it.
    pub(super) fn finish<T>(&mut self, rank: &mut RankContext<'_>, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let saved = self.wait(rank);
        let outcome = outcome?;
        saved.map(|()| outcome)
    }
}

/// How far the run is, if it is of these images. Going on with others, or beginning anew with them in silence, would give a
/// result that nobody asked for.
fn same_images(rank: &RankContext<'_>, loaded: Loaded, images: &str) -> Result<Position, Failure> {
    let short = |checksum: &str| checksum.get(..12).unwrap_or(checksum).to_owned();
    match loaded.images.filter(|trained| trained != images) {
        None => Ok(loaded.position),
        Some(trained) => Err(Failure::InputMissing(format!(
            "the checkpoint of step {} was trained on other images of {} than are in {} now (checksum {}.., here {}..): \
             put the former images back, or begin anew by `tandem submit --fresh` (`tandem-worker local`: another --out)",
            loaded.position.step,
            rank.task.spec.dataset,
            rank.task.folders().shown(&rank.task.spec.dataset),
            short(&trained),
            short(images)
        ))),
    }
}

/// A copy of a run's tensors at one step, on the CPU.
struct Snapshot(Vec<(&'static str, FlatTensors)>);

impl Snapshot {
    /// Uses the memory of `spare`, an earlier copy of the same run.
    fn of(state: &TrainingState<'_>, spare: Option<Self>) -> Self {
        let mut spare = spare.map(|spare| spare.0.into_iter().map(|(_, flat)| flat)).into_iter().flatten();
        let mut copy = |flat: &FlatTensors| match spare.next() {
            Some(mut spare) if spare.layout() == flat.layout() => {
                spare.assign(flat.vector());
                spare
            }
            _ => {
                let vector = tch::no_grad(|| flat.vector().to_device_(Device::Cpu, tch::Kind::Float, false, true));
                FlatTensors::over(flat.layout().clone(), vector)
            }
        };
        Self(state.0.iter().map(|(prefix, flat)| (*prefix, copy(flat))).collect())
    }

    fn state(&self) -> TrainingState<'_> {
        TrainingState(self.0.iter().map(|(prefix, flat)| (*prefix, flat)).collect())
    }
}

#[cfg(test)]
mod tests;
