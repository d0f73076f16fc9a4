//! Defaults that follow from other keys, so that the spec types cannot hold them. What is filled in is stored with the job and
//! part of its content.

use toml::de::DeTable;

use super::read::locate;
use crate::spec::{Attack, Draw, LinearSolver, PenaltyMethod, Stage};

/// The share of a training that a default warm-up takes at most; a longer one would leave too little of the schedule.
const WARMUP_SHARE: f64 = 0.1;

/// Enough for L-BFGS to converge with all but the weakest ridges. A stored spec that says nothing means 100, as ever.
pub(super) const LBFGS_ITERATIONS: u32 = 500;

/// Step of a finite difference, about as long as the perturbations of the paper's Figure 2. On nets with ReLU a shorter one is
/// farther from the exact penalty. A stored spec that says nothing means 0.01, as ever.
pub(super) const DIFFERENCE_STEP: f64 = 0.1;

/// Fills in what `written`, the job's table, leaves open. `seed` is the experiment's.
pub(super) fn fill(stage: &mut Stage, seed: u64, written: &DeTable<'_>) {
    let tikhonov = match stage {
        Stage::Contrastive(stage) => Some(&mut stage.tikhonov),
        Stage::Supervised(stage) => Some(&mut stage.tikhonov),
        Stage::Finetune(stage) => Some(&mut stage.tikhonov),
        Stage::Linear(_) | Stage::Attack(_) => None,
    };
    if let Some(tikhonov) = tikhonov.filter(|tikhonov| tikhonov.method == PenaltyMethod::FiniteDifference)
        && locate(written, "tikhonov.h").is_none()
    {
        tikhonov.h = DIFFERENCE_STEP;
    }
    match stage {
        Stage::Contrastive(stage) if locate(written, "optimizer.warmup_epochs").is_none() => {
            let most = WARMUP_SHARE * f64::from(stage.epochs);
            stage.optimizer.warmup_epochs = stage.optimizer.warmup_epochs.min(most);
        }
        Stage::Attack(stage) => draw(stage, seed),
        Stage::Linear(stage) if stage.solver == LinearSolver::Lbfgs && locate(written, "epochs").is_none() => {
            stage.epochs = LBFGS_ITERATIONS;
        }
        Stage::Contrastive(_) | Stage::Supervised(_) | Stage::Linear(_) | Stage::Finetune(_) => {}
    }
}

/// The first images are stored as no word at all, which is what earlier versions stored: they stay the same job.
fn draw(stage: &mut Attack, seed: u64) {
    (stage.draw, stage.draw_seed) = match (stage.images, stage.draw) {
        (0, _) | (_, Some(Draw::First)) => (None, None),
        (_, Some(Draw::Balanced) | None) => (Some(Draw::Balanced), Some(stage.draw_seed.unwrap_or(seed))),
    };
}
