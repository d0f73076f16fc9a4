//! Which faults, when and to whom: drawn from the seed before anything runs, so that the seed repeats them.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use serde::Serialize;

use crate::fault::Kind;

/// A fault is not injected before this stage; a stage that ended too early leaves its faults to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Pretraining,
    Linear,
    Attack,
}

impl Stage {
    /// By the name of its job in the experiment.
    pub(crate) fn of_job(name: &str) -> Self {
        match name {
            "encoder" => Self::Pretraining,
            "linear" => Self::Linear,
            _ => Self::Attack,
        }
    }
}

/// One fault as drawn. What depends on what runs then (which processes there are) is chosen by `choice`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    /// Committed steps to wait for before it.
    pub(crate) gap: u32,
    /// And then so long, into the steps between two checkpoints.
    pub(crate) delay_ms: u32,
    /// Which of the possible victims.
    pub(crate) choice: u32,
    /// What lasts, lasts this much longer than a lease.
    pub(crate) beyond_ms: u32,
}

/// What is asked for on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) only: Vec<Kind>,
    pub(crate) count: Option<usize>,
    /// Kinds that this machine cannot do.
    pub(crate) impossible: Vec<Kind>,
    /// The fence is off: what shows that must be among them.
    pub(crate) broken: bool,
}

/// More of what the promise is about: one sample says little about a time.
const EXTRA_KILLS: usize = 2;
/// Of the faults, in percent; the rest is for the attack.
const PRETRAINING: usize = 62;
const LINEAR: usize = 22;

/// The faults of one run, in order.
pub(crate) fn draw(seed: u64, run: u32, wish: &Wish) -> Vec<Planned> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(run));
    let mut kinds = kinds(&mut random, wish);
    shuffle(&mut random, &mut kinds);
    let total = kinds.len();
    let mut planned: Vec<Planned> = kinds
        .into_iter()
        .enumerate()
        .map(|(index, kind)| Planned {
            kind,
            stage: if wish.broken { Stage::Linear } else { stage_of(kind, index, total) },
            gap: random.next_u32() % 2,
            delay_ms: random.next_u32() % 1200,
            choice: random.next_u32(),
            beyond_ms: 1000 + random.next_u32() % 1500,
        })
        .collect();
    // Stable: within a stage the drawn order stays.
    planned.sort_by_key(|fault| fault.stage);
    planned
}

fn kinds(random: &mut ChaCha8Rng, wish: &Wish) -> Vec<Kind> {
    let possible: Vec<Kind> = Kind::all()
        .iter()
        .copied()
        .filter(|kind| wish.only.is_empty() || wish.only.contains(kind))
        .filter(|kind| !wish.impossible.contains(kind))
        .collect();
    if possible.is_empty() {
        return Vec::new();
    }
    if wish.broken {
        let mut kinds = vec![Kind::FreezeWorker, Kind::StopWorker];
        let more = wish.count.unwrap_or(4).saturating_sub(2);
        kinds.extend((0..more).map(|_| possible[random.next_u32() as usize % possible.len()]));
        return kinds;
    }
    let mut kinds = possible.clone();
    shuffle(random, &mut kinds);
    match wish.count {
        Some(count) => {
            kinds.truncate(count);
            while kinds.len() < count {
                kinds.push(possible[random.next_u32() as usize % possible.len()]);
            }
        }
        None if possible.contains(&Kind::KillWorker) && wish.only.is_empty() => {
            kinds.extend([Kind::KillWorker; EXTRA_KILLS]);
        }
        None => {}
    }
    kinds
}

/// A frozen rank that needs no peer computes on when it wakes, while another does the same job: that is the linear
/// stage, of one rank.
fn stage_of(kind: Kind, index: usize, total: usize) -> Stage {
    let percent = index * 100 / total.max(1);
    match () {
        () if kind == Kind::FreezeWorker => Stage::Linear,
        () if percent < PRETRAINING => Stage::Pretraining,
        () if percent < PRETRAINING + LINEAR => Stage::Linear,
        () => Stage::Attack,
    }
}

/// Fisher and Yates. The remainder favours none of a few dozen by more than one in a hundred million.
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
        let wish = Wish::default();
        let faults = draw(7, 1, &wish);
        assert_eq!(faults, draw(7, 1, &wish));
        assert_ne!(faults, draw(8, 1, &wish));
        assert_ne!(faults, draw(7, 2, &wish), "each run of a call has faults of its own");
        assert!(Kind::all().iter().all(|kind| faults.iter().any(|fault| fault.kind == *kind)));
        assert_eq!(faults.len(), Kind::all().len() + EXTRA_KILLS);
        assert!(faults.is_sorted_by_key(|fault| fault.stage));
        for stage in [Stage::Pretraining, Stage::Linear, Stage::Attack] {
            assert!(faults.iter().filter(|fault| fault.stage == stage).count() >= 3, "{stage:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_drawn() {
        let only = Wish { only: vec![Kind::StopRank, Kind::StepClock], count: Some(5), ..Wish::default() };
        assert!(draw(1, 1, &only).iter().all(|fault| only.only.contains(&fault.kind)));
        assert_eq!(draw(1, 1, &only).len(), 5);
        let without = Wish { impossible: vec![Kind::StepClock], ..Wish::default() };
        assert!(draw(1, 1, &without).iter().all(|fault| fault.kind != Kind::StepClock));
        assert!(draw(1, 1, &Wish { impossible: Kind::all().to_vec(), ..Wish::default() }).is_empty());
    }

    #[test]
    fn without_a_fence_workers_that_come_back_are_always_among_them() {
        for seed in 0..50 {
            let faults = draw(seed, 1, &Wish { broken: true, ..Wish::default() });
            for kind in [Kind::FreezeWorker, Kind::StopWorker] {
                assert!(faults.iter().any(|fault| fault.kind == kind && fault.stage == Stage::Linear));
            }
        }
    }
}
