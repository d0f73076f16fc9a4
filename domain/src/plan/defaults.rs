//! Defaults that follow from other keys, so that the spec types cannot hold them. What is filled in is stored with the job and
//! part of its content.

use toml::de::DeTable;

use super::conflict::locate;
use crate::spec::{Attack, Draw, LinearSolver, Stage};

/// The share of a training that a default warm-up takes at most; a longer one would leave too little of the schedule.
const WARMUP_SHARE: f64 = 0.1;

/// Enough for L-BFGS to converge with all but the weakest ridges. A stored spec that says nothing means 100, as ever.
const LBFGS_ITERATIONS: u32 = 500;

/// Fills in what `written`, the job's table, leaves open. `seed` is the experiment's.
pub(super) fn fill(stage: &mut Stage, seed: u64, written: &DeTable<'_>) {
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
