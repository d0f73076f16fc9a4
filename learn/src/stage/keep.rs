//! What a training run keeps on disk while it goes on, and how it goes on from there.
//!
//! Training stands still only while its numbers are copied. A thread then encodes, hashes and writes the copy, and what
//! came of it is told at the boundary of a later step. At most one is under way, in memory that is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tch::{Device, Tensor};

use super::Rank;
use crate::checkpoint::{self, Best, Claim, Position, Saved, State};
use crate::failure::Failure;
use crate::flat::Flat;
use crate::progress;
use crate::report::Event;

/// Where a file says nothing, an epoch of hours loses no more than this.
const AT_LEAST: Duration = Duration::from_secs(600);
/// Who waits for a disk looks this often whether bytes still reach it.
const LOOK: Duration = Duration::from_millis(100);

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    /// As the experiment file says; 0 is not by this.
    pub(super) steps: u32,
    pub(super) minutes: f64,
}

impl Rhythm {
    /// After update number `step`, `since` the last one. Only rank 0 asks: by its clock.
    pub(super) fn due(self, step: u64, epoch_ended: bool, over: bool, since: Duration) -> bool {
        let by_steps = self.steps > 0 && step.is_multiple_of(u64::from(self.steps));
        let by_minutes = self.minutes > 0.0 && since.as_secs_f64() >= 60.0 * self.minutes;
        match self.steps == 0 && self.minutes == 0.0 {
            true => epoch_ended || since >= AT_LEAST,
            false => by_steps || by_minutes || over,
        }
    }
}

/// Keeps one run.
pub(super) struct Keeper {
    spec_sha256: String,
    claim: Claim,
    /// When the last one was begun.
    saved_at: Instant,
    /// What training stood still for, in this attempt and before. The wait for the last one's bytes, when no step is left
    /// to take, is not in it.
    stall: Duration,
    under_way: Option<UnderWay>,
    /// Memory for the next copy.
    spare: Option<Frozen>,
}

type Done = (Result<Saved, Failure>, Frozen);

struct UnderWay {
    step: u64,
    done: Receiver<Done>,
    /// Moves as bytes reach the disk.
    written: Arc<AtomicU64>,
}

impl Keeper {
    /// Where the run goes on. Rank 0 loads the newest good checkpoint into `state` and hands it to the others: no shared
    /// folder is needed, and all ranks go on from the same step.
    pub(super) fn resume(rank: &mut Rank<'_>, state: &State<'_>) -> Result<(Self, Position), Failure> {
        let spec_sha256 = rank.spec_sha256()?;
        let mut position = Position::default();
        if rank.leads() {
            let (found, skipped) = checkpoint::newest(&rank.task.checkpoints, &spec_sha256, state);
            skipped.into_iter().for_each(|message| rank.note("checkpoint_skipped", message));
            position = found.unwrap_or_default();
        }
        progress::beat();
        // What all ranks decide by; the other figures of a position are told by rank 0 alone.
        let best = position.best.map_or([-1, -1], |best| [best.step as i64, best.hits as i64]);
        let shared = Tensor::from_slice(&[position.step as i64, best[0], best[1]]).to_device(rank.device);
        rank.group.broadcast(&shared, 0)?;
        let number = |i: i64| u64::try_from(shared.int64_value(&[i])).ok();
        position.step = number(0).unwrap_or_default();
        position.best = number(1).zip(number(2)).map(|(step, hits)| Best { step, hits });
        for (_, flat) in &state.0 {
            rank.group.broadcast(flat.vector(), 0)?;
            progress::waited();
        }
        let keeper = Self {
            spec_sha256,
            claim: Claim::new(rank.task.fence, &rank.task.checkpoints, position.step),
            saved_at: Instant::now(),
            stall: Duration::try_from_secs_f64(position.stall_seconds).unwrap_or_default(),
            under_way: None,
            // Fresh pages cost several times the copy: they are had before the first step, not between two.
            spare: rank.leads().then(|| Frozen::of(state, None)),
        };
        Ok((keeper, position))
    }

    /// Since the last one was begun, or the run was.
    pub(super) fn since(&self) -> Duration {
        self.saved_at.elapsed()
    }

    pub(super) fn stall_seconds(&self) -> f64 {
        self.stall.as_secs_f64()
    }

    /// Rank 0 takes a copy of the run as it is and begins to save it.
    pub(super) fn save(&mut self, rank: &mut Rank<'_>, position: Position, state: &State<'_>) -> Result<(), Failure> {
        if !rank.leads() {
            return Ok(());
        }
        let began = Instant::now();
        self.settle(rank)?;
        let copy = Frozen::of(state, self.spare.take());
        self.stall += began.elapsed();
        let position = Position { stall_seconds: self.stall_seconds(), ..position };
        let (claim, spec_sha256) = (self.claim.with(rank.committed()), self.spec_sha256.clone());
        let (job_dir, step) = (rank.task.job_dir.clone(), position.step);
        let (told, done) = channel();
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        let write = move || {
            let count = || {
                count.fetch_add(1, Relaxed);
            };
            let saved = checkpoint::save(&job_dir, &claim, &spec_sha256, position, &copy.state(), count);
            // Nobody listens any more where the run has failed.
            let _ = told.send((saved, copy));
        };
        thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(write)
            .map_err(|error| Failure::Machine(format!("cannot start the thread that writes checkpoints: {error}")))?;
        self.saved_at = Instant::now();
        self.under_way = Some(UnderWay { step, done, written });
        Ok(())
    }

    /// Tells of a save that has come to its end since.
    pub(super) fn poll(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        let Some(under_way) = &self.under_way else { return Ok(()) };
        match under_way.done.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Ok(done) => self.tell(rank, Some(done)),
            Err(TryRecvError::Disconnected) => self.tell(rank, None),
        }
    }

    /// Waits for the save under way and tells of it.
    pub(super) fn settle(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        let Some(under_way) = &self.under_way else { return Ok(()) };
        let mut seen = 0;
        let done = loop {
            match under_way.done.recv_timeout(LOOK) {
                Ok(done) => break Some(done),
                Err(RecvTimeoutError::Disconnected) => break None,
                Err(RecvTimeoutError::Timeout) => {
                    let written = under_way.written.load(Relaxed);
                    if written != seen {
                        seen = written;
                        progress::waited();
                    }
                }
            }
        };
        progress::waited();
        self.tell(rank, done)
    }

    /// `None`: the thread panicked, and has said so.
    fn tell(&mut self, rank: &mut Rank<'_>, done: Option<Done>) -> Result<(), Failure> {
        let Some(under_way) = self.under_way.take() else { return Ok(()) };
        let Some((saved, copy)) = done else {
            return Err(Failure::Job(format!("writing the checkpoint of step {} broke off", under_way.step)));
        };
        self.spare = Some(copy);
        let Saved { path, sha256, bytes, not_removed } = saved?;
        rank.tell(Event::Checkpoint { step: under_way.step, path, sha256, bytes });
        rank.note_not_removed(&not_removed);
        Ok(())
    }

    /// `outcome`, once what was being saved is on disk and told: what is kept is not lost by what happened afterwards.
    pub(super) fn close<T>(&mut self, rank: &mut Rank<'_>, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let settled = self.settle(rank);
        let outcome = outcome?;
        settled.map(|()| outcome)
    }
}

/// A run's numbers at one step, in memory of their own.
struct Frozen(Vec<(&'static str, Flat)>);

impl Frozen {
    /// Into the memory of `spare`, an earlier copy of the same run.
    fn of(state: &State<'_>, spare: Option<Self>) -> Self {
        let mut spare = spare.map(|spare| spare.0.into_iter().map(|(_, flat)| flat)).into_iter().flatten();
        let mut copy = |flat: &Flat| match spare.next() {
            Some(mut spare) if spare.layout() == flat.layout() => {
                spare.assign(flat.vector());
                spare
            }
            _ => {
                let vector = tch::no_grad(|| flat.vector().to_device_(Device::Cpu, tch::Kind::Float, false, true));
                Flat::over(flat.layout().clone(), vector)
            }
        };
        Self(state.0.iter().map(|(prefix, flat)| (*prefix, copy(flat))).collect())
    }

    fn state(&self) -> State<'_> {
        State(self.0.iter().map(|(prefix, flat)| (*prefix, flat)).collect())
    }
}

#[cfg(test)]
mod tests;
