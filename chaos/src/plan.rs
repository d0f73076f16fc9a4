//! Which faults happen, when and to whom. They are drawn from the seed before anything runs, so the seed repeats them.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use serde::Serialize;

use crate::fault::FaultKind;

/// A fault is not injected before its stage. If the stage ends first, the fault is injected in the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Pretraining,
    Linear,
    Attack,
}

impl Stage {
    /// The stage of a job, by its name in the experiment.
    pub(crate) fn of_job(name: &str) -> Self {
        match name {
            "encoder" => Self::Pretraining,
            "linear" => Self::Linear,
            _ => Self::Attack,
        }
    }
}

/// One fault as drawn. Its victim is chosen by `choice` among the processes that run when it is injected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PlannedFault {
    pub(crate) kind: FaultKind,
    pub(crate) stage: Stage,
    /// Committed steps to wait for before it.
    pub(crate) gap: u32,
    /// The wait after the last of these, so that it hits between two checkpoints.
    pub(crate) delay_ms: u32,
    /// Which of the possible victims.
    pub(crate) choice: u32,
    /// A fault that lasts, lasts this much longer than a lease.
    pub(crate) beyond_ms: u32,
}

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanOptions {
    pub(crate) only: Vec<FaultKind>,
    pub(crate) count: Option<usize>,
    /// Kinds that are not possible on this machine.
    pub(crate) skipped: Vec<FaultKind>,
    /// The coordinator is broken on purpose: faults that show it must be among those drawn.
    pub(crate) broken: bool,
}

/// More deaths of workers, because the promise is about them and one sample says little about a time.
const EXTRA_KILLS: usize = 2;
/// Shares of the faults in percent; the others come in the attack.
const PRETRAINING: usize = 62;
const LINEAR: usize = 22;

/// The faults of one run, in order.
pub(crate) fn draw(seed: u64, run: u32, options: &PlanOptions) -> Vec<PlannedFault> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(run));
    let mut kinds = kinds(&mut random, options);
    shuffle(&mut random, &mut kinds);
    let total = kinds.len();
    let mut planned: Vec<PlannedFault> = kinds
        .into_iter()
        .enumerate()
        .map(|(index, kind)| PlannedFault {
            kind,
            stage: if options.broken { Stage::Linear } else { stage_of(kind, index, total) },
            gap: random.next_u32() % 2,
            delay_ms: random.next_u32() % 1200,
            choice: random.next_u32(),
            beyond_ms: 1000 + random.next_u32() % 1500,
        })
        .collect();
    // A stable sort: within a stage the drawn order stays.
    planned.sort_by_key(|fault| fault.stage);
    planned
}

fn kinds(random: &mut ChaCha8Rng, options: &PlanOptions) -> Vec<FaultKind> {
    let possible: Vec<FaultKind> = FaultKind::all()
        .iter()
        .copied()
        .filter(|kind| options.only.is_empty() || options.only.contains(kind))
        .filter(|kind| !options.skipped.contains(kind))
        .collect();
    if possible.is_empty() {
        return Vec::new();
    }
    if options.broken {
        let mut kinds = vec![FaultKind::FreezeWorker, FaultKind::StopWorker];
        let more = options.count.unwrap_or(4).saturating_sub(2);
        kinds.extend((0..more).map(|_| possible[random.next_u32() as usize % possible.len()]));
        return kinds;
    }
    let mut kinds = possible.clone();
    shuffle(random, &mut kinds);
    match options.count {
        Some(count) => {
            kinds.truncate(count);
            while kinds.len() < count {
                kinds.push(possible[random.next_u32() as usize % possible.len()]);
            }
        }
        None if possible.contains(&FaultKind::KillWorker) && options.only.is_empty() => {
            kinds.extend([FaultKind::KillWorker; EXTRA_KILLS]);
        }
        None => {}
    }
    kinds
}

/// A frozen rank must compute on when it wakes, while another rank does the same job. Only a rank without peers does so:
/// that of the linear stage.
fn stage_of(kind: FaultKind, index: usize, total: usize) -> Stage {
    let percent = index * 100 / total.max(1);
    match () {
        () if kind == FaultKind::FreezeWorker => Stage::Linear,
        () if percent < PRETRAINING => Stage::Pretraining,
        () if percent < PRETRAINING + LINEAR => Stage::Linear,
        () => Stage::Attack,
    }
}

/// Fisher-Yates. Taking the remainder favours no item by more than one in a hundred million.
fn shuffle<T>(random: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.next_u32() as usize % (last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_faults_and_each_kind_is_among_them() {
        let options = PlanOptions::default();
        let faults = draw(7, 1, &options);
        assert_eq!(faults, draw(7, 1, &options));
        assert_ne!(faults, draw(8, 1, &options));
        assert_ne!(faults, draw(7, 2, &options), "each run of a call has faults of its own");
        assert!(FaultKind::all().iter().all(|kind| faults.iter().any(|fault| fault.kind == *kind)));
        assert_eq!(faults.len(), FaultKind::all().len() + EXTRA_KILLS);
        assert!(faults.is_sorted_by_key(|fault| fault.stage));
        for stage in [Stage::Pretraining, Stage::Linear, Stage::Attack] {
            assert!(faults.iter().filter(|fault| fault.stage == stage).count() >= 3, "{stage:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_drawn() {
        let only = PlanOptions {
            only: vec![FaultKind::StopRank, FaultKind::StepClock],
            count: Some(5),
            ..PlanOptions::default()
        };
        assert!(draw(1, 1, &only).iter().all(|fault| only.only.contains(&fault.kind)));
        assert_eq!(draw(1, 1, &only).len(), 5);
        let without = PlanOptions { skipped: vec![FaultKind::StepClock], ..PlanOptions::default() };
        assert!(draw(1, 1, &without).iter().all(|fault| fault.kind != FaultKind::StepClock));
        assert!(draw(1, 1, &PlanOptions { skipped: FaultKind::all().to_vec(), ..PlanOptions::default() }).is_empty());
    }

    #[test]
    fn a_broken_coordinator_always_gets_workers_that_come_back() {
        for seed in 0..50 {
            let faults = draw(seed, 1, &PlanOptions { broken: true, ..PlanOptions::default() });
            for kind in [FaultKind::FreezeWorker, FaultKind::StopWorker] {
                assert!(faults.iter().any(|fault| fault.kind == kind && fault.stage == Stage::Linear));
            }
        }
    }
}
